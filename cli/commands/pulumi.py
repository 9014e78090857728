"""`pulumi`: the engine itself, with the state and passphrase that the other commands use."""

from __future__ import annotations

import subprocess

import typer

from cli.console import progress
from cli.help import DEVELOP


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
    from cli.engine.engine import RUN_VARIABLES
    from tools.engine.environment import run_environment
    from tools.engine.find import find_engine

    command = [str(find_engine(progress)), *context.args]
    raise typer.Exit(subprocess.run(command, cwd=ROOT, env=run_environment() | RUN_VARIABLES, check=False).returncode)
