"""`status`: every node asked, all at once, what only a working service has."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, StackName, out
from components.model.report import is_healthy
from stacks.load import load_deployment


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(status)


def status(
    stack: StackName = DEFAULT_STACK,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of the table.")] = False,
) -> None:
    """Ask every node how its services are; exit status 0 only if all are healthy."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.reports import ask_status
    from cli.show.status import show_status

    made = load_deployment(stack).plan
    with open_engine(stack) as engine:
        access = read_access(engine)
    reports = ask_status(access)
    if as_json:
        print(json.dumps({"stack": stack, "healthy": is_healthy(reports), "url": access.url,
                          "nodes": {key: report.as_json() for key, report in reports.items()}}, indent=2))
    else:
        show_status(reports, made)
        next_step = next((f"./webitel logs {key} --stack {stack}" for key, report in reports.items() if not report.healthy), "")
        if next_step:
            out.print(f"Next: {next_step}")
    raise typer.Exit(0 if is_healthy(reports) else 1)
