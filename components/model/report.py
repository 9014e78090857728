"""What a node says of itself, read in one place for all who ask: `status`, `up`, the provider's `Health`, drills, `upgrade`.

The node's side of it is `cloud_init/node/report.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError


class Said(BaseModel):
    """A part of a report. A program of another version may say more than this one reads."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ServiceRow(Said):
    """A service. `log` has the last lines of the unit at fault, `probe` is the question that failed, `standby` the key of the
    other node that runs what moves, `quiet` that it is meant to be off because the deployment is quiet."""

    name: str
    title: str = ""
    units: dict[str, str] = {}
    healthy: bool
    why: str = ""
    log: tuple[str, ...] = ()
    probe: dict[str, str | int | bool] = {}
    standby: str = ""
    quiet: bool = False


class DiskRow(Said):
    """A data disk or the share; sizes in bytes, 0 where it is not there."""

    purpose: str
    healthy: bool
    why: str = ""
    size: int = 0
    free: int = 0
    days_until_full: float | None = None


class MachineRow(Said):
    """What is no service: `days` that the certificate has left, `seconds` that the clock is off, `packages` that wait, with their
    new versions; `warning` where something is worth a look and nothing is broken."""

    name: str
    healthy: bool
    why: str = ""
    warning: bool = False
    days: float | None = None
    seconds: float | None = None
    packages: dict[str, str] = {}


class AlertRow(Said):
    """An alert that fires: about which node and service, "" = none, since when, what it means for callers, where to look."""

    name: str
    severity: str = ""
    node: str = ""
    service: str = ""
    since: str = ""
    means: str = ""
    look: str = ""


Row = ServiceRow | DiskRow | MachineRow


class NodeReport(Said):
    """A node. `problem` is why nothing is known of it, `left` of one that is leaving: whether it has. `alerts` are those of its
    Prometheus, about all nodes. `shut_out`: Consul lets its new machine in only once a rotation is over."""

    node: str
    key: str
    healthy: bool
    services: tuple[ServiceRow, ...] = ()
    disks: tuple[DiskRow, ...] = ()
    machine: tuple[MachineRow, ...] = ()
    uptime: float | None = None
    left: bool | None = None
    problem: str = ""
    alerts: tuple[AlertRow, ...] = ()
    shut_out: bool = False

    def as_json(self) -> dict[str, object]:
        """Return what the node said, for `--json`: without what it did not say."""
        return self.model_dump(mode="json", exclude_unset=True)


@dataclass(frozen=True)
class Fault:
    """What keeps a node from being healthy: the part at fault, "" where it is the node itself, why, and its last log lines."""

    part: str
    why: str
    log: tuple[str, ...] = ()


Reports = Mapping[str, NodeReport]
"""By key of the node."""


def make_silent_report(key: str, node: str, problem: str) -> NodeReport:
    """Make the report of a node that said nothing."""
    return NodeReport(node=node, key=key, healthy=False, services=(), disks=(), machine=(), problem=problem)


def read_report(key: str, node: str, output: str, errors: str, status: int) -> NodeReport:
    """Read what a node's program printed for `status --json`, or how it failed."""
    try:
        report = NodeReport.model_validate_json(output)
    except ValidationError as error:
        said = (errors or output).strip().splitlines()[-1:]
        if status == 0 and said:
            wrong = error.errors(include_url=False)[0]
            said = [f"{'.'.join(map(str, wrong['loc'])) or 'its report'}: {wrong['msg']}"]
        return make_silent_report(key, node, f"its node program failed with exit status {status}: {''.join(said) or 'no output'}")
    known = report.services or report.left is not None
    return NodeReport.model_validate(report.as_json() | {"problem": "" if known else "not configured yet"})


def list_faults(report: NodeReport) -> list[Fault]:
    """List what keeps a node from being healthy."""
    if report.problem:
        return [Fault("", report.problem)]
    faults = [Fault(f"disk {disk.purpose}", disk.why) for disk in report.disks if not disk.healthy]
    for service in report.services:
        if not service.healthy:
            down = [unit for unit, state in service.units.items() if state != "active"]
            units = f" ({', '.join(down)})" if down and down != [service.name] else ""
            faults.append(Fault(service.name + units, service.why, service.log))
    faults += [Fault(row.name, row.why) for row in report.machine if not row.healthy]
    if not faults and not report.healthy:
        faults.append(Fault("", "it is leaving" if report.left is not None else "it says nothing more"))
    return faults


def is_healthy(reports: Reports) -> bool:
    """Return whether there are nodes, every one answered and every part of them works."""
    return bool(reports) and all(report.healthy for report in reports.values())


def list_services(reports: Reports) -> list[ServiceRow]:
    """List the services of all nodes."""
    return [service for report in reports.values() for service in report.services]


def list_alerts(reports: Reports) -> list[AlertRow]:
    """List the alerts that fire, each once: where several Prometheus tell of one, since the earliest of their times."""
    found: dict[tuple[str, str, str], AlertRow] = {}
    for alert in sorted((alert for report in reports.values() for alert in report.alerts), key=lambda alert: alert.since):
        found.setdefault((alert.name, alert.node, alert.service), alert)
    return sorted(found.values(), key=lambda alert: (alert.severity, alert.since))


def list_silent(reports: Reports) -> list[str]:
    """List the keys of the nodes of which nothing is known."""
    return [key for key, report in reports.items() if report.problem]


def describe_first(reports: Reports) -> str:
    """Tell the first thing that does not work, with its node; nodes that say nothing come before all others. "" = all works."""
    silent = list_silent(reports)
    for key in (*silent, *(key for key in reports if key not in silent)):
        for fault in list_faults(reports[key]):
            return describe_fault(key, fault, next(iter(fault.why.splitlines()), ""))
    return ""


def describe_fault(key: str, fault: Fault, why: str) -> str:
    """Tell a fault of a node in a line."""
    return f"{f'{key} {fault.part}'.strip()}: {why}"


def describe_all(reports: Reports, log_lines: int) -> Iterable[str]:
    """Tell every fault of every node, each followed by its last log lines."""
    for key, report in reports.items():
        for fault in list_faults(report):
            yield describe_fault(key, fault, fault.why)
            yield from (f"    {line}" for line in fault.log[-log_lines:])
