"""`plan`: machines, addresses, open ports and the monthly price; offline, without credentials or Pulumi."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, AsJson, StackName, out
from cli.help import DEPLOY
from cli.show.documents import print_document
from cli.show.plan import show_plan
from components.model.planning.planner import plan_to_json
from stacks.load import load_deployment


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEPLOY)(plan)


def plan(
    stack: StackName = DEFAULT_STACK,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="Openings between nodes and ways out as well.")] = False,
) -> None:
    """Show machines, addresses, open ports and the monthly price."""
    deployment = load_deployment(stack)
    plan = deployment.plan
    if as_json:
        print_document(plan_to_json(plan))
        return
    show_plan(deployment, everything)
    listed = f"Price list of {plan.monthly_price.as_of}. " if plan.monthly_price.as_of else ""
    out.print(f"{listed}Next: ./webitel up {stack}")
