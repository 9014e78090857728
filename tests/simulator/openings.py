"""The reach in a simulated world compared with what a plan opens: nothing more, nothing less."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from components.model.machine import Public
from components.model.plan import Node, Plan
from tests.simulator.reach import Machine, Open, between, from_inside, from_outside, look, to_outside, union
from tests.simulator.world import World

ANYBODY = ("192.0.2.77", "9.9.9.9")
"""Addresses of the internet that no rule names."""

PLATFORM = {"168.63.129.16"}
"""Azure's own services for a machine: inside, whatever its address looks like (`facts/clouds.md` 3.2)."""


def find_reach_problems(plan: Plan, world: World) -> Iterator[str]:
    """What is open and not in the plan, or in the plan and not open: a line each.

    Every pair of nodes is looked at, somebody else in the network, and the internet at both edges of each network that a rule
    or the plan names.
    Where a cloud does not filter its private network the nodes' own nftables do, and nothing is compared there.
    """
    machines = {machine.name: machine for machine in look(world, plan.cloud)}
    missing = [node.name for node in plan.nodes if node.name not in machines]
    if missing:
        yield f"no machine for {', '.join(missing)}"
        return
    taken = {machine.private for machine in machines.values()}
    strangers = [str(network[-3]) for network in map(IPv4Network, plan.networks) if str(network[-3]) not in taken]
    outside = list_probes(plan, list(machines.values()))
    for node in plan.nodes:
        machine = machines[node.name]
        for address in outside:
            expected = expect_from_outside(plan, node, address)
            yield from differ(f"{address} -> {node.key}", expected, from_outside(machine, address))
            yield from differ(f"{node.key} -> {address}", expect_to_outside(plan, node, address), to_outside(machine, address))
        yield from find_ipv6(node, machine)
        if plan.facts.firewall_filters_private:
            for address in strangers:
                yield from differ(
                    f"{address} -> {node.key}", expect_from_inside(plan, node, address), from_inside(machine, address)
                )
            for other in plan.nodes:
                if other is not node:
                    source = machines[other.name]
                    expected = expect_between(plan, other, node, source.private)
                    yield from differ(f"{other.key} -> {node.key}", expected, between(source, machine))


def expect_from_outside(plan: Plan, node: Node, address: str) -> Open:
    """What the plan opens to an address of the internet."""
    if node.public is not Public.SERVICE:
        return {}
    return union(
        (opening.protocol, *split(opening.ports))
        for opening in plan.openings
        if opening.role == node.role and any(holds(source, address) for source in opening.sources if ":" not in source)
    )


def expect_from_inside(plan: Plan, node: Node, address: str) -> Open:
    """What the plan opens to an address of the network that no node has: what everybody gets, and whose network it is in."""
    return union(
        (opening.protocol, *split(opening.ports))
        for opening in plan.openings
        if opening.role == node.role and any(holds(source, address) for source in opening.sources if ":" not in source)
    )


def expect_between(plan: Plan, source: Node, target: Node, address: str) -> Open:
    """What the plan opens to a node at its private address."""
    return union(
        (opening.protocol, *split(opening.ports))
        for opening in plan.openings
        if opening.role == target.role
        and any(end == f"role:{source.role}" or (":" not in end and holds(end, address)) for end in opening.sources)
    )


def expect_to_outside(plan: Plan, node: Node, address: str) -> Open:
    """The ways out that the plan gives to an address of the internet."""
    return union(
        (rule.protocol, *split(rule.ports))
        for rule in plan.egress
        if rule.role == node.role and any(holds(end, address) for end in rule.destinations)
    )


def list_probes(plan: Plan, machines: list[Machine]) -> list[str]:
    """Addresses of the internet at both sides of every edge of a network that the plan or a rule names."""
    named = [source for opening in plan.openings for source in opening.sources if ":" not in source]
    named += [end for rule in plan.egress for end in rule.destinations]
    blocks = {IPv4Network(text) for text in named}
    for machine in machines:
        for layer in (*machine.ingress, *machine.egress):
            blocks |= {block for rule in layer for block in (*rule.networks, *rule.but) if isinstance(block, IPv4Network)}
    edges = {edge for block in blocks for edge in (int(block[0]) - 1, int(block[0]), int(block[-1]), int(block[-1]) + 1)}
    inside = [IPv4Network(network) for network in plan.networks]
    found = [IPv4Address(edge) for edge in sorted(edges) if 0 < edge < 2**32 - 1]
    return [
        *ANYBODY,
        *(
            str(address)
            for address in found
            if not any(address in network for network in inside) and str(address) not in PLATFORM
        ),
    ]


def find_ipv6(node: Node, machine: Machine) -> Iterator[str]:
    """Plans know IPv4 only, so nothing may be open to IPv6."""
    for layer in machine.ingress:
        for rule in layer:
            if rule.allow and any(isinstance(block, IPv6Network) for block in rule.networks):
                yield f"{node.key}: open to IPv6: {rule.protocol} {rule.first}-{rule.last}"


def differ(what: str, expected: Open, found: Open) -> Iterator[str]:
    """A line for each protocol whose ports differ."""
    for protocol in sorted(expected.keys() | found.keys()):
        wanted, seen = expected.get(protocol, ()), found.get(protocol, ())
        if wanted != seen:
            yield f"{what}: {protocol} {show(seen)} open, planned {show(wanted)}"


def show(spans: tuple[tuple[int, int], ...]) -> str:
    """`80,443,10000-19999`, `nothing` where all is closed."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans) or "nothing"


def split(ports: str) -> tuple[int, int]:
    """The first and last port of a plan's range."""
    first, _, last = ports.partition("-")
    return int(first), int(last or first)


def holds(network: str, address: str) -> bool:
    """Whether an address is in a network."""
    return IPv4Address(address) in IPv4Network(network)
