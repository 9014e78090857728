"""`up`: from the settings to healthy services, or to the reason why not."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, AsJson, Ask, StackName, Yes
from cli.deploy import bring_up
from cli.help import DEPLOY


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEPLOY)(up)


def up(
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    as_json: AsJson = False,
    disruptive: Annotated[bool, typer.Option(help="Allow changes that drop calls in progress.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Look for drift first (`drift` lists it), and undo it.")] = False,
    ask: Ask = True,
) -> None:
    """Create or change a deployment. It ends when every service is healthy; running it again resumes."""
    bring_up(stack, yes, as_json, disruptive, repair=repair, ask=ask)
