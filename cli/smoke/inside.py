"""What the nodes say themselves, by the probes of `status`: discovery, database, broker, clocks, disks and all else."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from cli.nodes.reports import ask_status
from cli.smoke.check import Finding, World
from components.model.catalogue.services import CATALOGUE
from components.model.report import MachineRow, NodeReport, Reports, Row, list_alerts, list_silent

KINDS = {
    "discovery": {"consul", "consul_server", "consul_entry"},
    "database": {"postgresql", "patroni"},
    "broker": {"rabbitmq"},
}
"""By check the kinds of probes (`cloud_init/node/health/probes.py`) of what it is about: a service's own say where it belongs."""
MACHINE = {"clock": "clocks", "backup": "backup"}
GROUPS = ("discovery", "database", "broker", "services", "clocks", "disks", "backup")
CRITICAL = "critical"
"""The severity of an alert that somebody is woken for; any other one is told of, and is no failure."""


def group_of(row: Row) -> str:
    """Return which check a line of a report belongs to, "" where one of its own asks from outside."""
    if isinstance(row, MachineRow):
        return MACHINE.get(row.name, "")
    name = getattr(row, "name", "")
    if not name:
        return "disks"
    failed = str(getattr(row, "probe", {}).get("kind", ""))
    asked = {probe.kind for probe in CATALOGUE[name].probes} - {"consul_entry"} if name in CATALOGUE else set()
    if failed in KINDS["discovery"]:
        return "discovery"
    return next((group for group, kinds in KINDS.items() if asked & kinds), "services")


class Inside:
    """The nodes' answers, asked for once however many checks want them."""

    def __init__(self) -> None:
        from threading import Lock

        self._lock = Lock()
        self._reports: Reports | None = None

    def ask(self, world: World) -> Reports:
        """Return every node's report."""
        with self._lock:
            if self._reports is None:
                self._reports = ask_status(world.access)
            return self._reports

    def check(self, group: str) -> Callable[[World], Iterable[Finding]]:
        """Return the check of a group."""

        def run(world: World) -> Iterable[Finding]:
            findings = [one for key, report in self.ask(world).items() for one in judge(group, key, report)]
            yield from findings or [Finding("", None, "no node says anything of it")]

        return run

    def check_alerts(self, world: World) -> Iterable[Finding]:
        """Judge the alerts that fire."""
        reports = self.ask(world)
        if not world.settings.monitoring:
            yield Finding("", None, "monitoring is off")
            return
        if len(list_silent(reports)) == len(reports):
            yield Finding("", None, "no node says anything of it")
            return
        alerts = list_alerts(reports)
        for one in alerts:
            if one.severity == CRITICAL:
                yield Finding(f"{one.node} {one.name}".strip(), False, one.means, one.look)
        others = [one.name for one in alerts if one.severity != CRITICAL]
        if len(others) == len(alerts):
            yield Finding("", True, f"none is critical: {', '.join(others)}" if others else "none fires")


def judge(group: str, key: str, report: NodeReport) -> Iterable[Finding]:
    """Judge what one node says of a group: one line for all that is well, and one for each that is not."""
    if report.problem:
        if group == "services":
            yield Finding(key, False, report.problem)
        return
    rows: list[Row] = [*report.services, *report.disks, *report.machine]
    mine = [row for row in rows if group_of(row) == group]
    for row in mine:
        if is_wrong(row):
            name = getattr(row, "name", "") or f"disk {getattr(row, 'purpose', '')}"
            yield Finding(f"{key} {name}", False, row.why)
    well = [row for row in mine if not is_wrong(row)]
    if well:
        yield Finding(key, True, describe(group, well))


def is_wrong(row: Row) -> bool:
    """Tell whether a line is worth a failure: of a backup a warning is, for nothing else tells that it is late."""
    return not row.healthy or (isinstance(row, MachineRow) and row.name == "backup" and row.warning)


def describe(group: str, rows: list[Row]) -> str:
    """Say what is well."""
    if group in MACHINE.values():
        return rows[0].why
    names = [str(getattr(row, "name", "") or getattr(row, "purpose", "")) for row in rows]
    return f"{len(names)} healthy" if group == "services" else f"healthy: {', '.join(names)}"
