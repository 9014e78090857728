"""Who reaches whom in a simulated world, computed from what the cloud was asked to create, never from our plan.

`look` gives every machine as its cloud treats it; `from_outside`, `between` and `to_outside` say which ports are open.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from tests.simulator.world import World

Network = IPv4Network | IPv6Network
Open = dict[str, tuple[tuple[int, int], ...]]
"""Protocol -> its open ports as separate ranges in order; what is closed is left out. ICMP stands as port 0."""

PROTOCOLS = {"tcp": (1, 65535), "udp": (1, 65535), "icmp": (0, 0)}
EVERYWHERE = (IPv4Network("0.0.0.0/0"),)


@dataclass(frozen=True)
class Rule:
    """A rule of a cloud: `protocol` is tcp, udp, icmp or any; the other end is a network (not one of `but`) or a machine."""

    protocol: str
    first: int
    last: int
    networks: tuple[Network, ...] = ()
    machines: frozenset[str] = frozenset()
    allow: bool = True
    but: tuple[Network, ...] = ()

    def meets(self, address: str | None, machine: str | None) -> bool:
        """Whether the other end is one of this rule's."""
        if machine is not None and machine in self.machines:
            return True
        if address is None:
            return False
        return _is_in(address, self.networks) and not _is_in(address, self.but)


@dataclass(frozen=True)
class Machine:
    """A machine as its cloud treats it.

    `ingress` and `egress` are layers that all have to let through; in each the first rule that meets decides, and what
    none meets is closed. No layer = open. `reachable`: its public address is routed to it. `way_out`: it gets out at all.
    """

    id: str
    name: str
    network: str
    private: str
    public: str
    reachable: bool
    way_out: bool
    ingress: tuple[tuple[Rule, ...], ...]
    egress: tuple[tuple[Rule, ...], ...]
    filters_private: bool = True


def look(world: World, cloud: str) -> list[Machine]:
    """Every machine of a cloud, in the order of their creation."""
    found: list[Machine] = importlib.import_module(f"tests.simulator.{cloud}.view").look(world)
    return found


def from_outside(machine: Machine, address: str) -> Open:
    """What an address of the internet reaches on a machine's public address."""
    if not machine.reachable or not machine.public:
        return {}
    return _evaluate(machine.ingress, lambda rule: rule.meets(address, None))


def to_outside(machine: Machine, address: str) -> Open:
    """What a machine reaches at an address of the internet."""
    return _evaluate(machine.egress, lambda rule: rule.meets(address, None)) if machine.way_out else {}


def between(source: Machine, target: Machine) -> Open:
    """What a machine reaches on another one's private address."""
    if source.network != target.network or not source.private or not target.private:
        return {}
    if not target.filters_private:
        return _everything()
    out = _evaluate(source.egress, lambda rule: rule.meets(target.private, target.id))
    into = _evaluate(target.ingress, lambda rule: rule.meets(source.private, source.id))
    return _meet(out, into)


def from_inside(machine: Machine, address: str) -> Open:
    """What somebody else in its network reaches on a machine's private address."""
    return _evaluate(machine.ingress, lambda rule: rule.meets(address, None))


def union(protocol_ports: Iterable[tuple[str, int, int]]) -> Open:
    """Ports from single ranges, put together where they touch."""
    found: Open = {}
    for protocol, first, last in protocol_ports:
        for each in PROTOCOLS if protocol == "any" else (protocol,):
            low, high = PROTOCOLS[each]
            clipped = (max(first, low), min(last, high)) if each != "icmp" else (0, 0)
            found[each] = _join([*found.get(each, ()), clipped])
    return found


def _evaluate(layers: Sequence[Sequence[Rule]], meets: Callable[[Rule], bool]) -> Open:
    found = _everything()
    for layer in layers:
        found = _meet(found, _evaluate_layer([rule for rule in layer if meets(rule)]))
    return found


def _evaluate_layer(rules: Sequence[Rule]) -> Open:
    found: Open = {}
    for protocol, whole in PROTOCOLS.items():
        undecided, allowed = [whole], []
        for rule in rules:
            if rule.protocol not in (protocol, "any"):
                continue
            span = whole if protocol == "icmp" or rule.protocol == "any" else (rule.first, rule.last)
            hit = _cut(undecided, span)
            if rule.allow:
                allowed += hit
            undecided = [rest for one in undecided for rest in _without(one, span)]
        if allowed:
            found[protocol] = _join(allowed)
    return found


def _everything() -> Open:
    return {protocol: (span,) for protocol, span in PROTOCOLS.items()}


def _meet(one: Open, other: Open) -> Open:
    both = {
        protocol: _join([hit for span in one[protocol] for hit in _cut(other[protocol], span)])
        for protocol in one.keys() & other.keys()
    }
    return {protocol: both[protocol] for protocol in PROTOCOLS if both.get(protocol)}


def _cut(spans: Iterable[tuple[int, int]], by: tuple[int, int]) -> list[tuple[int, int]]:
    cut = [(max(low, by[0]), min(high, by[1])) for low, high in spans]
    return [(low, high) for low, high in cut if low <= high]


def _without(span: tuple[int, int], by: tuple[int, int]) -> list[tuple[int, int]]:
    parts = [(span[0], min(span[1], by[0] - 1)), (max(span[0], by[1] + 1), span[1])]
    return [(low, high) for low, high in parts if low <= high]


def _join(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], high))
        else:
            joined.append((low, high))
    return tuple(joined)


def _is_in(address: str, networks: Iterable[Network]) -> bool:
    return any(IPv4Address(address) in network for network in networks if isinstance(network, IPv4Network))
