"""What a node answers, as types: its health, what a run did, what was changed on it, which versions exist.

`components/model/report.py` reads a `Report` on the host.
"""

from typing import NotRequired, TypedDict

from .manifest import ProbeEntry

CONFIRM = "confirm"
"""The step of a run at which the host is to log in anew and say `webitel-node confirm`: else the run goes back."""


class ServiceRow(TypedDict):
    """A service: `why` names the cause nearest to its fault, `log` the last lines of the unit at fault.

    `probe` is the question that failed, `standby` the key of the other node that runs what moves, `quiet` that it is
    meant to be off because the deployment is quiet.
    """

    name: str
    title: str
    units: dict[str, str]
    healthy: bool
    why: str
    log: list[str]
    probe: NotRequired[ProbeEntry]
    standby: NotRequired[str]
    quiet: NotRequired[bool]


class DiskRow(TypedDict):
    """A data disk or the share; sizes in bytes, without them where it is not there."""

    purpose: str
    healthy: bool
    why: str
    size: NotRequired[int]
    free: NotRequired[int]
    days_until_full: NotRequired[float | None]


class MachineRow(TypedDict):
    """What is not a service: `days` that the certificate has left, `seconds` that the clock is off, `packages` that wait, with
    their new versions; `warning` where something is worth a look and nothing is broken."""

    name: str
    healthy: bool
    why: str
    warning: NotRequired[bool]
    packages: NotRequired[dict[str, str]]
    days: NotRequired[float | None]
    seconds: NotRequired[float | None]


class AlertRow(TypedDict):
    """An alert that fires: the node and the service that it is about ("" = none), since when (UTC), what it means for callers,
    and the command that shows more."""

    name: str
    severity: str
    node: str
    service: str
    since: str
    means: str
    look: str


class Report(TypedDict):
    """A node; `uptime` in seconds, `left` of one that is leaving: whether it has. `alerts` are those of its Prometheus, about all
    nodes. `shut_out`: Consul lets its new machine in only once a rotation is over (`clusters/newcomers.py`)."""

    node: str
    key: str
    healthy: bool
    services: list[ServiceRow]
    disks: list[DiskRow]
    machine: list[MachineRow]
    uptime: float
    left: NotRequired[bool]
    alerts: NotRequired[list[AlertRow]]
    shut_out: NotRequired[bool]


class Applied(TypedDict):
    """What a run of `apply` did; `put_off`: units whose restart waits for calls to end."""

    changed: list[str]
    removed: list[str]
    actions: list[str]
    put_off: NotRequired[list[str]]
    seconds: dict[str, float]


class Finding(TypedDict):
    """What was changed on a node: a file, a unit, a package, an account, a setting of `sshd` that another file overrules, or
    `machine`: time zone and host name; never a content."""

    kind: str
    name: str
    what: str


class NewerEntry(TypedDict):
    """A held package's version and the newer ones there are, the highest first; `security`: those that Debian's security team
    made."""

    now: str
    newer: list[str]
    security: list[str]
