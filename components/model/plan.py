"""The plan: everything decided before the first API call, as frozen plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from components.model.clouds.facts import CloudFacts
from components.model.machine import Disk, MachineType, Public
from components.model.settings import ExistingNetwork

ROLE_SOURCE = "role:"
"""What a source of an opening begins with when it is the nodes of a role."""


@dataclass(frozen=True)
class Node:
    """One machine of the plan. `name` is `<stack>-<role>-<n>`, `n` counts from 1. `services` are in start order.

    `private_address` is None where the cloud cannot fix it before the machine exists. `zone` is "" where there are none, `subnet`
    the company's one that it stands in, "" in a network of our own. A `leaving` node gives up its services and leaves its
    clusters before its machine goes.
    """

    name: str
    role: str
    n: int
    services: tuple[str, ...]
    machine_type: MachineType
    disks: tuple[Disk, ...]
    private_address: str | None
    public: Public
    monthly_price: float | None
    leaving: bool = False
    zone: str = ""
    subnet: str = ""

    @cached_property
    def key(self) -> str:
        """`<role>-<n>`: the node's name inside its deployment."""
        return f"{self.role}-{self.n}"

    @property
    def has_data(self) -> bool:
        """Whether it has a data disk."""
        return any(disk.is_data for disk in self.disks)


@dataclass(frozen=True)
class Opening:
    """One derived firewall rule of a role: `sources` are networks, or `role:<role>` for the nodes of a role."""

    role: str
    service: str
    listener: str
    protocol: str
    ports: str
    audience: str
    sources: tuple[str, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The sources that are networks."""
        return tuple(source for source in self.sources if not source.startswith(ROLE_SOURCE))

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles whose nodes are sources."""
        return tuple(source.removeprefix(ROLE_SOURCE) for source in self.sources if source.startswith(ROLE_SOURCE))


@dataclass(frozen=True)
class EgressRule:
    """One derived way out of a role, with the services' purposes; `destinations` are networks."""

    role: str
    protocol: str
    ports: str
    destinations: tuple[str, ...]
    purposes: tuple[str, ...]


@dataclass(frozen=True)
class BillLine:
    """A line of the month's bill without tax. `amount` is None when a part of it has no dated price.

    `as_of` is the date of its oldest figure; `derived`: a figure was made from other prices.
    """

    what: str
    amount: float | None
    detail: str
    as_of: str
    derived: bool = False


@dataclass(frozen=True)
class Price:
    """A month's price without tax, traffic at the tier's load included; `amount` is None when a part of it has no dated price."""

    amount: float | None
    currency: str
    as_of: str


@dataclass(frozen=True)
class Plan:
    """A deployment, decided. `nodes` in rollout order (roles as the tier lists them); `zone` is that of what a deployment has
    once, "" where none is; `slots` say by zone which part of the network its subnets have, None where they are the region's.
    `share` is the source of the network file system with Storage's files, "" where they are on a disk. `sip_address` is the one
    that two nodes for SIP have in turn, or one alone, "" where one has its own only; `sip_outside` is the one by which that is
    reached from outside, "" where the cloud chooses it. `facts` are the cloud's, as this deployment's machines have them.

    `kept` are nodes that are gone: of each only its data disks are there, for a later node of its name. `bill` are the lines of
    `monthly_price`, none where nothing is paid. `existing` is the company's network in which all this stands, None where the
    deployment has one of its own; `network` is then what has its subnets in it.
    """

    stack: str
    facts: CloudFacts
    tier: str
    region: str
    release: str
    package_source: str
    domain: str
    network: str
    nodes: tuple[Node, ...]
    openings: tuple[Opening, ...]
    egress: tuple[EgressRule, ...]
    secrets: tuple[str, ...]
    consul_servers: tuple[str, ...]
    monthly_price: Price
    warnings: tuple[str, ...]
    zone: str = ""
    slots: Mapping[str, int | None] = field(default_factory=dict)
    share: str = ""
    sip_address: str = ""
    sip_outside: str = ""
    kept: tuple[Node, ...] = ()
    bill: tuple[BillLine, ...] = ()
    existing: ExistingNetwork | None = None

    @property
    def cloud(self) -> str:
        """The cloud's name."""
        return self.facts.name

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles that have nodes, in rollout order."""
        return tuple(dict.fromkeys(node.role for node in self.nodes))

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones in which nodes stand, that of the first node first; none where the region is one place."""
        return tuple(dict.fromkeys(node.zone for node in self.nodes if node.zone))

    @property
    def gateways(self) -> int:
        """How many NAT gateways of ours let nodes without an address out: one where subnets are the region's, else one a zone."""
        if self.existing:
            return 0
        return len({self.slots.get(node.zone) for node in self.nodes if node.public is Public.NO})

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks in which nodes stand: the deployment's own, or those of the company's subnets that it uses."""
        if not self.existing:
            return (self.network,)
        used = dict.fromkeys(node.subnet for node in self.nodes)
        return tuple(str(self.existing.subnets[id].range) for id in used)

    def nodes_with(self, service: str) -> tuple[Node, ...]:
        """Return the nodes that carry a service, in rollout order."""
        return tuple(node for node in self.nodes if service in node.services)

    def serving(self, service: str) -> tuple[Node, ...]:
        """Return the nodes that carry a service and stay, in rollout order: what others send work to."""
        return tuple(node for node in self.nodes_with(service) if not node.leaving)

    def candidates(self, service: str, node: Node) -> tuple[Node, ...]:
        """Return the nodes of a node's role that carry a service, the leaving ones too: between them it moves, if it may."""
        return tuple(other for other in self.nodes_with(service) if other.role == node.role)

    def node(self, name: str) -> Node:
        """Return the node of that full or short name; a KeyError names the ones there are."""
        for node in self.nodes:
            if name in (node.name, node.key):
                return node
        raise KeyError(f"no node {name} in {self.stack}: {', '.join(node.key for node in self.nodes)}")
