"""Networks of carriers and phones that a cloud's firewall has no room for beside a role's other rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, collapse_addresses

from components.model.catalogue.service import Audience
from components.model.clouds.facts import CloudFacts
from components.model.plan import EgressRule, Opening
from components.model.planning.firewall import ANYWHERE

PEOPLE = (Audience.CARRIERS.value, Audience.PHONES.value)
"""Whose networks may be many."""

EVERYTHING = "all"
"""In place of a protocol: every one, and every port."""


@dataclass(frozen=True)
class Way:
    """A range of ports between a role and one network; no ports of `EVERYTHING`."""

    protocol: str
    ports: str
    network: str


@dataclass
class Group:
    """The rules of one further group, each way."""

    entering: list[Way] = field(default_factory=list)
    leaving: list[Way] = field(default_factory=list)


def networks_of_people(openings: Sequence[Opening], egress: Sequence[EgressRule], role: str) -> tuple[str, ...]:
    """Return the networks of carriers and phones that a role lets in or out to."""
    entering = [network for one in openings if one.role == role and one.audience in PEOPLE for network in one.networks]
    leaving = [network for rule in egress if rule.role == role for network in rule.destinations]
    known = {network for one in openings if one.audience in PEOPLE for network in one.networks}
    return tuple(network for network in dict.fromkeys((*entering, *leaving)) if network in known and network != ANYWHERE)


def is_crowded(facts: CloudFacts, openings: Iterable[Opening], egress: Iterable[EgressRule], role: str) -> bool:
    """Return whether a role's rules are more than its group holds (`rules_per_group`): then networks of carriers and phones have
    groups of their own."""
    entering = {(one.protocol, one.ports, source) for one in openings if one.role == role for source in one.sources}
    leaving = {(rule.protocol, rule.ports, network) for rule in egress if rule.role == role for network in rule.destinations}
    # One more leads into the network.
    return bool(facts.rules_per_group) and max(len(entering), len(leaving) + 1) > facts.rules_per_group


def make_groups(facts: CloudFacts, openings: Sequence[Opening], egress: Sequence[EgressRule], role: str) -> list[Group]:
    """Return the further groups of a role, none where its own has room: exactly the ports, and only where those are too many
    rules every port, a network a rule."""
    if not is_crowded(facts, openings, egress, role):
        return []
    people = networks_of_people(openings, egress, role)
    entering = list_ways(people, ((one.protocol, one.ports, one.networks) for one in openings if one.role == role))
    leaving = list_ways(people, ((rule.protocol, rule.ports, rule.destinations) for rule in egress if rule.role == role))
    groups = distribute(people, entering, leaving, facts.rules_per_group)
    if len(groups) * facts.rules_per_group <= facts.max_networks:
        return groups
    merged = [str(network) for network in collapse_addresses(map(IPv4Network, people))]
    everything = [Way(EVERYTHING, "", network) for network in merged]
    return distribute(merged, everything, everything, facts.rules_per_group)


def opens_everything(groups: Iterable[Group]) -> bool:
    """Return whether these groups know no ports."""
    return any(way.protocol == EVERYTHING for group in groups for way in group.entering)


def find_crowds(facts: CloudFacts, openings: Sequence[Opening], egress: Sequence[EgressRule]) -> Iterator[str]:
    """Find roles whose firewalls on the cloud know no ports of carriers and phones, and say so."""
    for role in dict.fromkeys(one.role for one in openings):
        if opens_everything(make_groups(facts, openings, egress, role)):
            number = len(networks_of_people(openings, egress, role))
            yield (
                f"{number} networks of carriers and phones: {facts.title} has no room for the ports of so many, so its firewall "
                f"opens every port of {role} nodes to them, whose own firewall (nftables) closes all but SIP; name larger "
                "networks, such as 198.51.100.0/24 instead of parts of it"
            )


def list_ways(people: Sequence[str], rules: Iterable[tuple[str, str, Sequence[str]]]) -> list[Way]:
    """Return the rules (protocol, ports, networks) for these networks with adjoining ports as one range: the same ports, in as
    few rules as can be."""
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for protocol, ports, networks in rules:
        first, _, last = ports.partition("-")
        for network in networks:
            spans.setdefault((network, protocol), []).append((int(first), int(last or first)))
    return [
        Way(protocol, str(low) if low == high else f"{low}-{high}", network)
        for (network, protocol), found in spans.items()
        if network in people
        for low, high in join_spans(found)
    ]


def join_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of ports with those that adjoin or overlap as one."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined


def distribute(networks: Iterable[str], entering: Sequence[Way], leaving: Sequence[Way], room: int) -> list[Group]:
    """Return groups of at most `room` rules each way, every network in one: one network more at the end moves no other."""
    groups = [Group()]
    for network in networks:
        own = Group(*([way for way in ways if way.network == network] for ways in (entering, leaving)))
        if max(len(groups[-1].entering) + len(own.entering), len(groups[-1].leaving) + len(own.leaving)) > room:
            groups.append(Group())
        groups[-1].entering.extend(own.entering)
        groups[-1].leaving.extend(own.leaving)
    return groups
