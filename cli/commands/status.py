"""`status`: every node asked, all at once, what only a working service has."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from cli.console import DEFAULT_STACK, StackName, format_count, out
from components.model.planning.capacity import recordings_days
from components.model.report import (
    DiskRow,
    NodeReport,
    Reports,
    Row,
    ServiceRow,
    is_healthy,
    list_services,
    list_silent,
    make_silent_report,
    read_report,
)
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Access, Answer
    from components.model.plan import Plan

STATUS_SECONDS = 15
LOG_LINES = 4


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


def ask_status(access: Access) -> dict[str, NodeReport]:
    """Ask every node for its own report; by key."""
    return asyncio.run(ask_status_async(access))


async def ask_status_async(access: Access) -> dict[str, NodeReport]:
    """Ask where a loop runs already."""
    from cli.nodes.access import ask_nodes
    from cloud_init.node_command import node_command

    answers = await ask_nodes(access, list(access.nodes.values()), node_command("status", "--json"), STATUS_SECONDS)
    return {key: read_answer(access.nodes[key].name, key, answer) for key, answer in answers.items()}


def read_answer(node: str, key: str, answer: Answer) -> NodeReport:
    """Read one node's answer as a report."""
    if answer.problem:
        return make_silent_report(key, node, answer.problem)
    return read_report(key, node, answer.output, answer.errors, answer.status)


def count_services(reports: Reports) -> str:
    """`21 of 22 services healthy`, with the nodes that said nothing of theirs."""
    rows, silent = list_services(reports), list_silent(reports)
    text = f"{sum(service.healthy for service in rows)} of {format_count(len(rows), 'service')} healthy"
    return f"{text}, nothing known of {', '.join(silent)}" if silent else text


def describe_disk(disk: DiskRow, planned_days: float | None) -> str:
    """How full a disk is and when it will be: by its own growth, else by the tier's load as `plan` tells it."""
    if not disk.healthy:
        return disk.why
    used = f"{100 * (disk.size - disk.free) // disk.size} % of {disk.size / 1024**3:.0f} GiB used"
    if disk.days_until_full is not None:
        return f"{used}, full in {format_count(round(disk.days_until_full), 'day')} at its growth"
    if planned_days is not None:
        return f"{used}, full in {format_count(round(planned_days * disk.free / disk.size), 'day')} at the tier's load"
    return used


def show_status(reports: Reports, made: Plan) -> None:
    """Print one line a service, disk, certificate and clock, and the last log lines of what is not healthy."""
    days = recordings_days(made)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("node", "service", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("why", overflow="fold")
    for key, report in reports.items():
        if report.problem:
            table.add_row(key, "", "not healthy", report.problem, style="red")
        if report.left is not None:
            table.add_row(key, "", "has left" if report.left else "is leaving", "./webitel scale brings it to its end")
        rows: list[tuple[str, Row, str]] = [
            (one.name, one, one.why or (f"{one.standby} runs it" if one.standby else "")) for one in report.services]
        rows += [(f"disk {one.purpose}", one, describe_disk(one, days.get(report.node) if one.purpose == "recordings" else None))
                 for one in report.disks]
        rows += [(one.name, one, one.why) for one in report.machine]
        for name, row, why in rows:
            state = "not healthy" if not row.healthy else "standby" if isinstance(row, ServiceRow) and row.standby else "healthy"
            table.add_row(key, name, state, why, style=None if row.healthy else "red")
    out.print(table)
    for key, report in reports.items():
        for service in report.services:
            for line in service.log[-LOG_LINES:] if not service.healthy else ():
                out.print(f"  {key} {service.name}: {line}", soft_wrap=True)
    out.print(f"{count_services(reports)}.")
