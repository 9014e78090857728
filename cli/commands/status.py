"""`status`: every node asked, all at once, what only a working service has."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from cli.console import DEFAULT_STACK, StackName, format_count, out
from components.model.planning.capacity import recordings_days
from components.model.planning.planner import make_plan
from stacks.settings import load_stack

if TYPE_CHECKING:
    from cli.nodes.access import Access, Answer
    from components.model.plan import Plan

STATUS_SECONDS = 15
LOG_LINES = 4
Report = Mapping[str, Any]


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

    made = make_plan(load_stack(stack), stack)
    with open_engine(stack) as engine:
        access = read_access(engine)
    reports = ask_status(access)
    if as_json:
        print(json.dumps({"stack": stack, "healthy": is_healthy(reports), "url": access.url, "nodes": reports}, indent=2))
    else:
        show_status(reports, made)
        next_step = next((f"./webitel logs {key} --stack {stack}" for key, report in reports.items()
                          if not report["healthy"]), "")
        if next_step:
            out.print(f"Next: {next_step}")
    raise typer.Exit(0 if is_healthy(reports) else 1)


def ask_status(access: Access) -> dict[str, Report]:
    """By key, each node's own report (`cloud_init/node/health/status.py`), or why there is none in `problem`."""
    return asyncio.run(ask_status_async(access))


async def ask_status_async(access: Access) -> dict[str, Report]:
    """The same where a loop runs already."""
    from cli.nodes.access import ask_nodes
    from cloud_init.node_command import node_command

    answers = await ask_nodes(access, list(access.nodes.values()), node_command("status", "--json"), STATUS_SECONDS)
    return {key: read_report(access, key, answer) for key, answer in answers.items()}


def read_report(access: Access, key: str, answer: Answer) -> Report:
    """One node's answer as a report."""
    nothing = {"node": access.nodes[key].name, "key": key, "healthy": False, "services": [], "disks": [], "machine": []}
    if answer.problem:
        return nothing | {"problem": answer.problem}
    try:
        report: dict[str, Any] = json.loads(answer.output)
    except ValueError:
        said = (answer.errors or answer.output).strip().splitlines()[-1:] or ["nothing"]
        return nothing | {"problem": f"its node program failed with exit status {answer.status}: {said[0]}"}
    known = report["services"] or "left" in report
    return report | {"problem": "" if known else "not configured yet"}


def is_healthy(reports: Mapping[str, Report]) -> bool:
    """Whether every node answered and every service works."""
    return bool(reports) and all(report["healthy"] for report in reports.values())


def count_services(reports: Mapping[str, Report]) -> str:
    """`21 of 22 services healthy`, with the nodes that said nothing of theirs."""
    rows = [service for report in reports.values() for service in report["services"]]
    healthy = sum(service["healthy"] for service in rows)
    silent = [key for key, report in reports.items() if report["problem"]]
    text = f"{healthy} of {format_count(len(rows), 'service')} healthy"
    return f"{text}, nothing known of {', '.join(silent)}" if silent else text


def describe_disk(disk: Report, planned_days: float | None) -> str:
    """How full a disk is and when it will be: by its own growth, else by the tier's load as `plan` tells it."""
    if not disk["healthy"]:
        return str(disk["why"])
    used = f"{100 * (disk['size'] - disk['free']) // disk['size']} % of {disk['size'] / 1024**3:.0f} GiB used"
    if disk.get("days_until_full") is not None:
        return f"{used}, full in {format_count(round(disk['days_until_full']), 'day')} at its growth"
    if planned_days is not None:
        return f"{used}, full in {format_count(round(planned_days * disk['free'] / disk['size']), 'day')} at the tier's load"
    return used


def describe_state(row: Report) -> tuple[str, str | None]:
    """A row's state in a word, and its colour."""
    if not row["healthy"]:
        return "not healthy", "red"
    if "standby" in row:
        return "standby", None
    return ("warning", "yellow") if row.get("warning") else ("healthy", None)


def show_status(reports: Mapping[str, Report], made: Plan) -> None:
    """Print one line a service, disk, certificate and clock, and the last log lines of what is not healthy."""
    days = recordings_days(made)
    table = Table(box=None, padding=(0, 1), header_style="bold")
    for title in ("node", "service", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("why", overflow="fold")
    for key, report in reports.items():
        if report["problem"]:
            table.add_row(key, "", "not healthy", report["problem"], style="red")
        if "left" in report:
            table.add_row(key, "", "has left" if report["left"] else "is leaving", "./webitel scale brings it to its end")
        disks = [disk | {"name": f"disk {disk['purpose']}",
                         "why": describe_disk(disk, days.get(report["node"]) if disk["purpose"] == "recordings" else None)}
                 for disk in report["disks"]]
        rows = [*report["services"], *disks, *report.get("machine", ())]
        for row in rows:
            state, style = describe_state(row)
            why = row["why"] or (f"{row['standby']} runs it" if "standby" in row else "")
            table.add_row(key, row["name"], state, why, style=style)
    out.print(table)
    for key, report in reports.items():
        for service in report["services"]:
            for line in service.get("log", [])[-LOG_LINES:] if not service["healthy"] else ():
                out.print(f"  {key} {service['name']}: {line}", soft_wrap=True)
    out.print(f"{count_services(reports)}.")
