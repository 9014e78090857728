"""What the catalogue says about one service of the platform.

Everything the rest of the project needs is derived from these values: firewalls, start order, who gets which
secret, packages, health. Nothing here knows a cloud, a node or an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PackageSource(StrEnum):
    """Where packages that Debian does not have come from (`webitel:package_source`)."""

    VENDOR = "vendor"
    MIRROR = "mirror"
    SANDBOX = "sandbox"


class Audience(StrEnum):
    """Who may connect to a listener."""

    INTERNET = "internet"
    OPERATORS = "operators"
    CARRIERS = "carriers"
    PHONES = "phones"
    CALLERS = "callers"
    NODE = "node"


class Bind(StrEnum):
    """Which address of the node a listener uses."""

    PRIVATE = "private"
    LOOPBACK = "loopback"
    ANY = "any"


class OnChange(StrEnum):
    """What a changed file does to the running service."""

    NOTHING = "nothing"
    RELOAD = "reload"
    RESTART = "restart"
    DRAIN = "drain"
    REVIVE = "revive"
    """A restart after which calls in progress go on, put off while one of them would not."""


class Placement(StrEnum):
    """On which nodes a service stands.

    `ROLE`: on every node of the roles that list it. `FIRST`: only on the first node of such a role.
    `EVERY`: on every node of the plan. `BESIDE_CALLERS`: on every node with a service that calls one of `beside`.
    `BESIDE_MOVING`: on every node with a service that may move to another node of the role.
    `QUORUM`: on three nodes of the roles that list it, on one where there are not as many. `NOWHERE`: its setting turns it off.
    """

    ROLE = "role"
    FIRST = "first node only"
    EVERY = "every node"
    BESIDE_CALLERS = "beside callers"
    BESIDE_MOVING = "beside services that move"
    QUORUM = "a quorum of nodes"
    NOWHERE = "nowhere"


class Front(StrEnum):
    """What people outside ask of the deployment's domain."""

    WEB = "web"
    SIP = "sip"


@dataclass(frozen=True)
class Ports:
    """A closed range of ports; one port when `first == last`."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def overlaps(self, other: Ports) -> bool:
        """Return whether the two ranges share a port."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Listener:
    """Ports, protocol and audience of a service. `authenticated` is false where anybody who connects is obeyed.

    `tracked` is false where firewalls need not remember who spoke first, and would forget others for it: thousands of streams
    of audio, each with ports of its own that nobody else on the node has.
    """

    name: str
    protocol: str
    ports: Ports
    audiences: tuple[Audience, ...]
    bind: Bind = Bind.PRIVATE
    authenticated: bool = True
    tracked: bool = True

    @property
    def port(self) -> int:
        """The first port of the range."""
        return self.ports.first


@dataclass(frozen=True)
class Egress:
    """A way out a service needs: `audience` is INTERNET, CARRIERS or PHONES; `networks` say more exactly where to, if known.

    `tracked` is false for that of a listener which is so.
    """

    purpose: str
    protocol: str
    ports: Ports
    audience: Audience = Audience.INTERNET
    networks: tuple[str, ...] = ()
    tracked: bool = True


@dataclass(frozen=True)
class Metrics:
    """Where Prometheus asks a service for its figures: one of its listeners, over plain HTTP."""

    listener: str
    path: str = "/metrics"


@dataclass(frozen=True)
class Look:
    """How a service is looked at from another node, as its users do: one of its listeners, by a module of
    `cloud_init/files/prometheus/blackbox.yml`; `url` is the path where that module takes a URL."""

    module: str
    listener: str
    url: str = ""


@dataclass(frozen=True)
class DataDirectory:
    """A directory whose content must outlive the machine, on the data disk of that purpose or on the share.

    `changed_owner`: earlier versions gave it to another one, and all in it (`cloud_init/node/storage/owners.py`)."""

    path: str
    disk: str
    owner: str
    mode: str = "0700"
    changed_owner: bool = False


@dataclass(frozen=True)
class Account:
    """A user, and its group of the same name and number, that no package makes. The same number on every node: on a share files
    belong to numbers."""

    name: str
    number: int


@dataclass(frozen=True)
class Probe:
    """One question of the health check, answered by `cloud_init/node/health/probes.py`; `says` is what a failure means.

    It asks for what an *idle* working service shows too: silence is no death. `restart_cures`: a service that fails it has
    gone deaf; false for what a restart does not change, such as a full disk.
    """

    kind: str
    says: str
    arguments: Mapping[str, str | int] = field(default_factory=dict)
    restart_cures: bool = True


BySource = Mapping[PackageSource, tuple[str, ...]]


@dataclass(frozen=True)
class Service:
    """One program of the platform.

    `calls` names other services, as `service` (all its CALLERS listeners) or `service.listener`.
    `packages` and `units` are the same with every package source, unless `packages_by_source`/`units_by_source` says
    otherwise for one. `repositories` are the ones outside Debian that they come from (`repositories.py`).
    `secrets` are names of `secrets.py`.
    `web_socket`: the path where it takes web sockets before any log-in.
    `moves`: one node of several runs it, whichever holds its lock in Consul (`cloud_init/node/clusters/locks.py`); the others of
    the role have it ready. `moves_with`: the service whose lock decides, "" = its own; `locked_alone`: the only node of the role
    runs it by its lock too.
    `reload_renews`: its reload takes up a new version of its program too.
    `front`: what it answers at the deployment's domain. `carries_calls`: more nodes of it carry more calls at once.
    `has_standby`: false where exactly one may run, and nothing takes over when it is gone.
    `drops_calls`: what its restart does to calls in progress, so that it needs leave; `interrupts`: what it does to some of them,
    which is only said.
    `kept_by`: the service in which its calls survive its restart.
    `awaited`: units of its callers wait for it before they start (`cloud_init/node/health/waiting.py`).
    `knows_one_address`: it cannot choose among the nodes of what it calls, so that what moves needs a proxy in front of it.
    `metrics`: where Prometheus asks it for its figures, None where the node program asks it for them (`node/health/figures.py`).
    `account`: the user that it runs as, where no package makes it.
    `looks`: how Prometheus' nodes look at it.
    `speaks_outside`: what it does by itself towards people and other companies, for which it is off while a deployment is quiet.
    `sends_audio`: a call's audio leaves the deployment by it. `boot_iops`: what its data on the boot disk asks of that disk,
    0 = nothing to speak of.
    """

    name: str
    title: str
    packages: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    calls: tuple[str, ...] = ()
    egress: tuple[Egress, ...] = ()
    secrets: tuple[str, ...] = ()
    data: tuple[DataDirectory, ...] = ()
    probes: tuple[Probe, ...] = ()
    metrics: Metrics | None = None
    looks: tuple[Look, ...] = ()
    on_change: OnChange = OnChange.RESTART
    reload_renews: bool = False
    drops_calls: str = ""
    interrupts: str = ""
    kept_by: str = ""
    placement: Placement = Placement.ROLE
    placement_reason: str = ""
    moves: bool = False
    moves_with: str = ""
    locked_alone: bool = False
    beside: tuple[str, ...] = ()
    cluster_sizes: tuple[int, ...] = ()
    stand_in: bool = False
    front: Front | None = None
    carries_calls: bool = False
    has_standby: bool = True
    awaited: bool = False
    knows_one_address: bool = False
    sends_audio: bool = False
    speaks_outside: str = ""
    boot_iops: int = 0
    repositories: tuple[str, ...] = ()
    restarts_when_deaf: bool = False
    account: Account | None = None
    consul_name: str = ""
    web_socket: str = ""
    packages_by_source: BySource = field(default_factory=dict)
    units_by_source: BySource = field(default_factory=dict)

    @property
    def on_new_version(self) -> OnChange:
        """What a new version of its program does to the running service."""
        return OnChange.RESTART if self.on_change is OnChange.RELOAD and not self.reload_renews else self.on_change

    def packages_from(self, source: PackageSource) -> tuple[str, ...]:
        """Return the packages to install with that package source."""
        return self.packages_by_source.get(source, self.packages)

    def units_from(self, source: PackageSource) -> tuple[str, ...]:
        """Return the systemd units, without `.service`, with that package source."""
        return self.units_by_source.get(source, self.units)

    def listener(self, name: str) -> Listener:
        """Return the listener of that name; a KeyError names both when there is none."""
        for listener in self.listeners:
            if listener.name == name:
                return listener
        raise KeyError(f"service {self.name} has no listener {name}")


def tcp(name: str, port: int, *audiences: Audience, bind: Bind = Bind.PRIVATE, authenticated: bool = True) -> Listener:
    """Return a TCP listener on one port; without audience only the callers reach it."""
    return Listener(name, "tcp", Ports(port, port), audiences or (Audience.CALLERS,), bind, authenticated)


def udp(
    name: str,
    first: int,
    *audiences: Audience,
    last: int | None = None,
    bind: Bind = Bind.PRIVATE,
    authenticated: bool = True,
    tracked: bool = True,
) -> Listener:
    """Return a UDP listener on a port or a range; without audience only the callers reach it."""
    return Listener(name, "udp", Ports(first, last or first), audiences or (Audience.CALLERS,), bind, authenticated, tracked)
