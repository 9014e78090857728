"""What the nodes report, as a table."""

from __future__ import annotations

from cli.console import format_count, make_table, out
from components.model.plan import Plan
from components.model.planning.capacity import recordings_days
from components.model.report import DiskRow, MachineRow, Reports, Row, ServiceRow, list_alerts, list_services, list_silent

LOG_LINES = 4


def count_services(reports: Reports) -> str:
    """Return such as `21 of 22 services healthy`, with the nodes that said nothing of theirs."""
    rows, silent = list_services(reports), list_silent(reports)
    text = f"{sum(service.healthy for service in rows)} of {format_count(len(rows), 'service')} healthy"
    return f"{text}, no answer from {', '.join(silent)}" if silent else text


def describe_disk(disk: DiskRow, planned_days: float | None) -> str:
    """Return how full a disk is and when it will be: by its own growth, else by the tier's load as `plan` tells it."""
    if not disk.healthy:
        return disk.why
    used = f"{100 * (disk.size - disk.free) // disk.size} % of {disk.size / 1024**3:.0f} GiB used"
    if disk.days_until_full is not None:
        return f"{used}, full in {format_count(round(disk.days_until_full), 'day')} at its current growth"
    if planned_days is not None:
        return f"{used}, full in {format_count(round(planned_days * disk.free / disk.size), 'day')} at the tier's load"
    return used


def describe_state(row: Row) -> tuple[str, str | None]:
    """Return a row's state in words, and the style it is shown in."""
    if not row.healthy:
        return "not healthy", "red"
    if isinstance(row, MachineRow) and row.warning:
        return "warning", "yellow"
    if isinstance(row, ServiceRow) and row.quiet:
        return "quiet", None
    return ("standby" if isinstance(row, ServiceRow) and row.standby else "healthy"), None


def show_alerts(reports: Reports) -> None:
    """Print the alerts that fire, where any does."""
    alerts = list_alerts(reports)
    if not alerts:
        return
    table = make_table("alert", "node", "since (UTC)", "means", "look")
    for one in alerts:
        since = one.since.replace("T", " ").removesuffix("Z")
        table.add_row(one.name, one.node, since, one.means, one.look, style="red" if one.severity == "critical" else "yellow")
    out.print(table)


def show_status(reports: Reports, plan: Plan) -> None:
    """Print one line a service, disk, certificate and clock, and the last log lines of what is not healthy."""
    days = recordings_days(plan)
    table = make_table("node", "service", "state", "why")
    for key, report in reports.items():
        if report.problem:
            table.add_row(key, "", "not healthy", report.problem, style="red")
        if report.left is not None:
            table.add_row(key, "", "has left" if report.left else "is leaving", "./webitel scale finishes it")
        rows: list[tuple[str, Row, str]] = [
            (one.name, one, one.why or (f"{one.standby} runs it" if one.standby else "")) for one in report.services
        ]
        rows += [
            (f"disk {one.purpose}", one, describe_disk(one, days.get(report.node) if one.purpose == "recordings" else None))
            for one in report.disks
        ]
        rows += [(one.name, one, one.why) for one in report.machine]
        for name, row, why in rows:
            state, style = describe_state(row)
            table.add_row(key, name, state, why, style=style)
    out.print(table)
    for key, report in reports.items():
        for service in report.services:
            for line in service.log[-LOG_LINES:] if not service.healthy else ():
                out.print(f"  {key} {service.name}: {line}")
    show_alerts(reports)
    out.print(f"{count_services(reports)}.")
