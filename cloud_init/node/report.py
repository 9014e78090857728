"""What a node says of itself to `status`, to the provider and to its own watcher: the types of a report's rows.

`components/model/report.py` reads the same document on the host.
"""

from typing import NotRequired, TypedDict

from .manifest import ProbeEntry


class ServiceRow(TypedDict):
    """A service: `why` names the cause nearest to its fault, `log` the last lines of the unit at fault.

    `probe` is the question that failed, `standby` the key of the other node that runs what moves.
    """

    name: str
    title: str
    units: dict[str, str]
    healthy: bool
    why: str
    log: list[str]
    probe: NotRequired[ProbeEntry]
    standby: NotRequired[str]


class DiskRow(TypedDict):
    """A data disk or the share; sizes in bytes, without them where it is not there."""

    purpose: str
    healthy: bool
    why: str
    size: NotRequired[int]
    free: NotRequired[int]
    days_until_full: NotRequired[float | None]


class MachineRow(TypedDict):
    """What is no service: `days` that the certificate has left, `seconds` that the clock is off."""

    name: str
    healthy: bool
    why: str
    days: NotRequired[float | None]
    seconds: NotRequired[float | None]


class Report(TypedDict):
    """A node; `uptime` in seconds, `left` of one that is leaving: whether it has."""

    node: str
    key: str
    healthy: bool
    services: list[ServiceRow]
    disks: list[DiskRow]
    machine: list[MachineRow]
    uptime: float
    left: NotRequired[bool]
