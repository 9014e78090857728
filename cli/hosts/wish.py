"""What the plan asks of a host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cli.hosts.foreign import FOREIGN
from cloud_init.host.facts import Request
from cloud_init.node.manifest import BASE
from components.model.catalogue.repositories import Repository, needed_repositories
from components.model.catalogue.service import Bind, PackageSource
from components.model.catalogue.standby import ADDRESS
from components.model.catalogue.tiers import MEDIA, SIP, TIERS
from components.model.given_hosts import Host
from components.model.machine import Size
from components.model.plan import Node, Plan
from components.model.planning.draft import tier_size
from components.model.planning.hosts import find_host
from components.model.settings import Settings
from components.model.share import resolve_catalogue

PACKETS_PER_SECOND = 50
"""Of a call's audio in one direction: 20 ms each."""
CALLS_AT_ONCE_PER_DAY = 300 / 400_000
"""The vendor's figure for `basic` (`facts/webitel.md` 5)."""


class WantedPort(NamedTuple):
    """Ports that a service will take."""

    service: str
    protocol: str
    first: int
    last: int


@dataclass(frozen=True)
class Wish:
    """A node of the plan, and the host that it is to stand on."""

    stack: str
    node: Node
    host: Host
    size: Size
    ports: tuple[WantedPort, ...]
    urls: tuple[str, ...]
    peers: tuple[str, ...]
    relays_audio: bool
    """Audio leaves the deployment here, packet by packet, which a module of the kernel could do."""
    shared: str = ""
    turns: tuple[str, ...] = ()
    """The address that it has in turn with the hosts of these, "" = none."""

    @property
    def key(self) -> str:
        """The node's name inside its deployment."""
        return self.node.key

    @property
    def carries_calls(self) -> bool:
        """Whether audio or SIP passes here."""
        return not {*MEDIA, *SIP}.isdisjoint(self.node.services)

    @property
    def has_database(self) -> bool:
        """Whether PostgreSQL stands here."""
        return any(disk.purpose == "database" for disk in self.node.disks)

    def ask(self, *, measure: bool) -> Request:
        """Return what the program on the host is asked."""
        devices = {str(purpose): path for purpose, path in self.host.devices.items()}
        return Request(self.stack, self.host.private, self.peers, devices, self.urls, FOREIGN, measure, self.shared, self.turns)


def list_wishes(plan: Plan, settings: Settings) -> list[Wish]:
    """List what is wished of every host that a node stands on."""
    hosts = {node.key: find_host(settings, node.role, node.n) for node in plan.nodes}
    return [
        Wish(
            plan.stack,
            node,
            hosts[node.key],
            tier_size(TIERS[plan.tier].role(node.role), plan.facts),
            tuple(list_ports(node, settings)),
            tuple(list_urls(plan, node, settings)),
            tuple(other.private for key, other in hosts.items() if key != node.key),
            any(resolve_catalogue(settings)[name].sends_audio for name in node.services),
            plan.sip_address if ADDRESS in node.services else "",
            tuple(hosts[other.key].private for other in plan.nodes_with(ADDRESS) if other.key != node.key),
        )
        for node in plan.nodes
    ]


def list_ports(node: Node, settings: Settings) -> Iterator[WantedPort]:
    """List the ports that a node's services will listen on; on the loopback only theirs."""
    catalogue = resolve_catalogue(settings)
    for name in node.services:
        if name not in BASE:  # these are the host's too
            for listener in catalogue[name].listeners:
                if listener.bind is not Bind.LOOPBACK:
                    yield WantedPort(name, listener.protocol, listener.ports.first, listener.ports.last)


def list_urls(plan: Plan, node: Node, settings: Settings) -> Iterator[str]:
    """List what a node installs from beside Debian, whose sources the host knows: each repository's list and key."""
    source = PackageSource(plan.package_source)
    catalogue = resolve_catalogue(settings)
    services = [catalogue[name] for name in node.services]
    for repository in needed_repositories(source, services, settings.repository_keys, settings.mirror):
        yield from (find_list(repository), repository.key)


def find_list(repository: Repository) -> str:
    """Return the address of a repository's list of lists."""
    return f"{repository.uri.rstrip('/')}/dists/{repository.suite}/InRelease"


def audio_rate(plan: Plan) -> int:
    """Return packets of audio a second in one direction, at the load that the tier is made for."""
    return round(TIERS[plan.tier].calls_per_day * CALLS_AT_ONCE_PER_DAY) * PACKETS_PER_SECOND
