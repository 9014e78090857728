"""`bench`: figures measured on this machine, beside the budgets of the design."""

from __future__ import annotations

import subprocess
import sys
import time

import typer
from rich.table import Table

from cli.console import DEFAULT_STACK, StackName, out

PLAN_BUDGET = 1.0
UNCHANGED_BUDGET = 15.0
"""Seconds (architecture, section 10)."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(bench)


def bench(stack: StackName = DEFAULT_STACK) -> None:
    """Measure `plan`, and on a deployment that is up an unchanged `up` and `status`."""
    from cli.engine import ROOT, open_engine
    from stacks.settings import load_stack

    load_stack(stack)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("what", "seconds", "budget"):
        table.add_column(title, justify="left" if title == "what" else "right")

    def measure(what: str, budget: float | None, *arguments: str) -> None:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        failed = "" if done.returncode == 0 else f" (exit status {done.returncode})"
        table.add_row(what + failed, f"{seconds:.2f}", f"{budget:g}" if budget else "")

    measure(f"plan {stack}", PLAN_BUDGET, "plan", stack)
    with open_engine(stack) as engine:
        is_up = engine.exists() and bool(engine.resources())
    if is_up:
        measure(f"status {stack}", None, "status", stack)
        measure(f"up {stack}, nothing changed", UNCHANGED_BUDGET, "up", stack, "--yes")
    out.print(table)
    if not is_up:
        out.print(f"{stack} is not up: `up` unchanged and `status` were not measured. Next: ./webitel up {stack}")
