"""`status`: every node asked, all at once, what only a working service has."""

from __future__ import annotations

import typer

from cli.console import DEFAULT_STACK, AsJson, StackName, out
from cli.help import LOOK
from cli.show.documents import print_document, status_document
from components.model.planning.planner import describe_plain_http
from components.model.report import is_healthy
from stacks.load import load_deployment


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=LOOK)(status)


def status(
    stack: StackName = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Show the health of every service. Exit status 0 only if all are healthy."""
    from cli.engine.engine import open_engine
    from cli.engine.power import explain_silence
    from cli.nodes.access import read_access
    from cli.nodes.reports import ask_status
    from cli.show.status import show_status

    deployment = load_deployment(stack)
    plan = deployment.plan
    warnings = describe_plain_http(deployment.settings, plan.facts)
    with open_engine(stack) as engine:
        access = read_access(engine)
        reports = explain_silence(engine, plan, ask_status(access))
    if as_json:
        print_document(status_document(stack, access.url, is_healthy(reports), reports, warnings))
    else:
        show_status(reports, plan)
        for warning in warnings:
            out.print(f"Warning: {warning}.")
        next_step = next((f"./webitel logs {key} --stack {stack}" for key, report in reports.items() if not report.healthy), "")
        if next_step:
            out.print(f"Next: {next_step}")
    raise typer.Exit(0 if is_healthy(reports) else 1)
