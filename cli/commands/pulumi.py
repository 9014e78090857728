"""`pulumi`: the engine itself, with the state and passphrase that the other commands use."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence

import typer

from cli.console import progress
from cli.deploy import start_stack
from cli.help import DEVELOP

NAMED = re.compile(r"(?:--stack|-s)[ =](\S+)")


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        rich_help_panel=DEVELOP,
    )(pulumi)


def pulumi(context: typer.Context) -> None:
    """Run Pulumi itself, with our state and passphrase. Such as: webitel pulumi config set --secret webitel:repository_user
    NAME --stack aws-basic."""
    from cli.engine.backend import ROOT
    from cli.engine.engine import RUN_VARIABLES, open_engine
    from tools.engine.environment import run_environment
    from tools.engine.find import find_engine

    if stack := find_set(context.args):
        # The engine knows no stack that never was up, and `up` may ask for a setting that only this command writes.
        with open_engine(stack) as engine:
            start_stack(engine)
    command = [str(find_engine(progress)), *context.args]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=run_environment() | RUN_VARIABLES, check=False).returncode)


def find_set(words: Sequence[str]) -> str:
    """Return the stack of which a setting is to be written; "" where none is, or its name is not given."""
    named = NAMED.search(" ".join(words))
    return named[1] if named and words[:1] == ["config"] and words[1:2] in (["set"], ["set-all"]) else ""
