"""`preview`: what `up` would change, with the lines of every changed file."""

from __future__ import annotations

import subprocess
from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, StackName
from components.model.clouds import CLOUDS
from components.model.planner import make_plan
from stacks.settings import load_stack


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(preview)


def preview(
    stack: StackName = DEFAULT_STACK,
    diff: Annotated[bool, typer.Option("--diff", help="Every changed input, and files line by line.")] = False,
) -> None:
    """Show what `up` would change. Nothing is created, no node is asked, no secret is shown."""
    from cli.engine import ROOT, open_engine
    from cli.leftovers import remove_dead_locks
    from tools.environment import ensure_extra

    made = make_plan(load_stack(stack), stack)
    if CLOUDS[made.cloud].package:
        ensure_extra(made.cloud)
    with open_engine(stack) as engine:
        if not engine.exists():
            engine.create()
        remove_dead_locks(engine)
        command = [
            str(engine.binary), "preview", "--stack", stack, "--config-file", str(engine.config_file),
            "--suppress-outputs", "--non-interactive", *(["--diff"] if diff else []),
        ]
        done = subprocess.run(command, cwd=ROOT, env=engine.environment, stdin=subprocess.DEVNULL, check=False)
    raise typer.Exit(done.returncode)
