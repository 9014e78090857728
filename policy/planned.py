"""Every opening held against the plan: protocol, ports, sources, and the role where the resource says whose it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from components.model.plan import Plan
from components.model.planning.crowds import EVERYTHING, join_spans, make_groups
from policy.openings import EVERY_PORT, Opening, is_rule
from policy.resources import find_reader, list_openings
from policy.values import Inputs, texts_of


@dataclass(frozen=True)
class Way:
    """What the plan lets into a role: from one network, or from the nodes of the role `peer`."""

    role: str
    protocol: str
    first: int
    last: int
    network: str = ""
    peer: str = ""


class PlannedOpenings:
    """The openings of a plan. Without a plan nothing is open, and `why` says what is wrong with the settings."""

    def __init__(self, plan: Plan | None, why: str = "") -> None:
        self.plan, self.why = plan, why
        self.ways = list(list_ways(plan)) if plan else []
        self.addresses = {node.private_address: node.role for node in plan.nodes if node.private_address} if plan else {}

    def check(self, type: str, inputs: Inputs) -> Iterator[str]:
        """Find openings that no plan has, and rules that nobody here can read."""
        if find_reader(type) is None:
            if is_rule(type, inputs):
                yield f"{type} may let somebody in, and the pack cannot read it: open what the plan has with the types it knows"
            return
        ways = [way for way in self.ways if way.role in self.find_roles(inputs)]
        for opening in list_openings(type, inputs):
            for source in self.find_unplanned(opening, ways):
                yield f"{opening.ports} is open to {source}: {self.explain()}"

    def find_unplanned(self, opening: Opening, ways: Sequence[Way]) -> Iterator[str]:
        """Return the sources of an opening from which the plan lets nobody in by these ports."""
        for source in opening.blind:
            yield f"{source}, which can hold any address"
        for network in opening.networks:
            if not covers([way for way in ways if self.is_from(way, network)], opening):
                yield network
        for tag in opening.tags:
            if not covers([way for way in ways if way.peer and self.plan and tag in names_of(self.plan, way.peer)], opening):
                yield tag
        # A preview does not know yet which group it is.
        if opening.others and not covers([way for way in ways if way.peer], opening):
            yield from opening.others

    def is_from(self, way: Way, network: str) -> bool:
        """Return whether a way lets in all of a network: outside, or the address of a node."""
        wanted = ip_network(network, strict=False)
        if way.peer:
            return wanted.num_addresses == 1 and self.addresses.get(str(wanted.network_address)) == way.peer
        has = ip_network(way.network)
        return has.version == wanted.version and wanted.network_address in has and wanted.prefixlen >= has.prefixlen

    def find_roles(self, inputs: Inputs) -> set[str]:
        """Return the roles whose nodes a firewall is of, as its names, tags and labels say; all where they say none."""
        if not self.plan:
            return set()
        worn = [inputs.get(name) for name in ("labels", "tags") if isinstance(inputs.get(name), Mapping)]
        names = texts_of(
            *(inputs.get(name) for name in ("name", "networkSecurityGroupName", "targetTags", "tags")),
            *(one.get("Name") for one in worn if one),
        )
        told = {one.get(name) for one in worn if one for name in ("role", "webitel:role")}
        found = {role for role in self.plan.roles if role in told or is_named(names, names_of(self.plan, role))}
        return found or set(self.plan.roles)

    def explain(self) -> str:
        """Say what is open, or why nothing is."""
        if self.plan:
            return f"the plan has no such opening (./webitel plan {self.plan.stack} --all shows them)"
        return f"there is no plan to hold it against: {self.why}"


def list_ways(plan: Plan) -> Iterator[Way]:
    """Return what a plan lets in, and what a cloud's firewall without room for that lets in instead."""
    for opening in plan.openings:
        first, _, last = opening.ports.partition("-")
        span = int(first), int(last or first)
        yield from (Way(opening.role, opening.protocol, *span, network=network) for network in opening.networks)
        yield from (Way(opening.role, opening.protocol, *span, peer=peer) for peer in opening.roles)
    for role in plan.roles:
        for group in make_groups(plan.facts, plan.openings, plan.egress, role):
            for way in group.entering:
                if way.protocol == EVERYTHING:
                    yield Way(role, "all", *EVERY_PORT, network=way.network)


def covers(ways: Iterable[Way], opening: Opening) -> bool:
    """Return whether ways together have the protocol and all ports of an opening."""
    spans = join_spans((way.first, way.last) for way in ways if way.protocol in ("all", opening.protocol))
    return any(first <= opening.first and opening.last <= last for first, last in spans)


def names_of(plan: Plan, role: str) -> tuple[str, str]:
    """Return what the nodes of a role are called on clouds that know them by a tag or name."""
    return f"{plan.stack}-{role}", f"webitel:{plan.stack}:{role}"


def is_named(names: Iterable[str], known: tuple[str, str]) -> bool:
    """Return whether one of the names is a known one, or one of its parts."""
    return any(name in known or name.startswith(f"{known[0]}-") for name in names)
