"""`bench`: figures measured on this machine, beside the budgets of the design."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from cli.console import DEFAULT_STACK, Failure, StackName, make_table, out, progress
from cli.help import DEVELOP
from stacks.load import load_deployment

BUDGETS = {
    "plan": 1.0,
    "up unchanged": 15.0,
    "status": 10.0,
    "up from nothing": 480.0,
    "up local-single": 60.0,
    "up local-basic": 100.0,
    "up local-extended": 180.0,
}
"""Seconds; with tools and image cached, but for the one from nothing."""
MEMORY = "cat /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat"
"""The unified hierarchy has the first, the older one the second, with other names in it."""


@dataclass(frozen=True)
class Figure:
    """One measurement. `budget` is None where the design promises nothing."""

    what: str
    figure: str
    budget: float | None = None


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEVELOP)(bench)


def bench(
    stack: StackName = DEFAULT_STACK,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what the measurement started.")] = False,
    cold: Annotated[bool, typer.Option("--cold", help="Measure only an `up` with nothing cached; takes minutes.")] = False,
    hardening: Annotated[bool, typer.Option("--hardening", help="Show only what lynis finds on nodes that are up.")] = False,
) -> None:
    """Measure `plan`, `up`, an unchanged `up`, `status` and memory. On local, what is not up is started and deleted."""
    from cli.engine.engine import open_engine

    facts = load_deployment(stack).plan.facts
    if hardening:
        show_hardening(stack)
        return
    if cold:
        show_cold(stack, is_local=facts.trial)
        return
    with open_engine(stack) as engine:
        was_up = engine.exists() and bool(engine.resources())
    if not was_up and not facts.trial:
        raise Failure(f"{stack} is not up, and on a cloud that costs money nothing is started for a measurement.")
    table = make_figures()
    try:
        for figure in measure(stack, was_up):
            progress(f"{figure.what}: {figure.figure}")
            table.add_row(figure.what, figure.figure, f"{figure.budget:g} s" if figure.budget else "")
    finally:
        if not was_up and not keep:
            run("destroy", stack, "--yes")
    out.print(table)


def show_hardening(stack: str) -> None:
    """Show lynis' index of each node beside a stock Debian's, and what it finds (reasons: `docs/operate/security.md`)."""
    from cli.develop.hardening import STOCK, measure_hardening

    table = make_table("node", "lynis", "stock", "findings", right=("lynis", "stock"))
    for key, seen in measure_hardening(stack):
        table.add_row(key, str(seen.index), str(STOCK), " ".join(name for name, _ in seen.findings))
    out.print(table)


def make_figures() -> Table:
    """Return the columns of every measurement."""
    return make_table("what", "figure", "budget", right=("figure", "budget"))


def show_cold(stack: str, *, is_local: bool) -> None:
    """Measure a first `up`, in folders of its own; whatever is up stays as it is."""
    from cli.develop.cold import describe_host, measure_cold

    if not is_local:
        raise Failure(f"{stack} is on a cloud that costs money: a first `up` is measured on local, such as {DEFAULT_STACK}.")
    seconds, total = measure_cold(stack)
    table = make_figures()
    for stage, spent in seconds.items():
        table.add_row(f"  {stage}", f"{spent:.0f} s", "")
    table.add_row(f"up {stack} from nothing", f"{total:.0f} s", f"{BUDGETS['up from nothing']:g} s")
    out.print(table)
    out.print(describe_host())


def measure(stack: str, was_up: bool) -> Iterator[Figure]:
    """Yield every figure, as soon as it is known."""
    seconds, _ = run("plan", stack)
    yield Figure(f"plan {stack}", f"{seconds:.2f} s", BUDGETS["plan"])
    if not was_up:
        seconds, said = run("up", stack, "--yes", "--json")
        yield Figure(f"up {stack}", f"{seconds:.1f} s", BUDGETS.get(f"up {stack}"))
        for node, stages in json.loads(said)["seconds"].items():
            for stage, spent in stages.items():
                yield Figure(f"  {node} {stage}", f"{spent:.0f} s")
    seconds, _ = run("up", stack, "--yes")
    yield Figure(f"up {stack} unchanged", f"{seconds:.1f} s", BUDGETS["up unchanged"])
    seconds, _ = run("status", stack)
    yield Figure(f"status {stack}", f"{seconds:.1f} s", BUDGETS["status"])
    for node, gib in measure_memory(stack).items():
        yield Figure(f"memory of {node}, without caches", f"{gib:.2f} GiB")


def run(*arguments: str) -> tuple[float, str]:
    """Run one of our own commands; its seconds and standard output. It must succeed."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cli", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failure(f"webitel {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".rstrip())
    return time.monotonic() - started, done.stdout


def measure_memory(stack: str) -> dict[str, float]:
    """Return GiB that the processes of each node hold, by key."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import ask_nodes, read_access

    with open_engine(stack) as engine:
        access = read_access(engine)
    answers = asyncio.run(ask_nodes(access, list(access.nodes.values()), MEMORY, 15))
    held = {key: re.search(r"^(?:anon|total_rss) (\d+)$", answer.output, re.MULTILINE) for key, answer in answers.items()}
    return {key: int(found.group(1)) / 2**30 for key, found in held.items() if found}
