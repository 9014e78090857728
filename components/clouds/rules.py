"""What a role lets in and out as single rules: for clouds whose rules have one peer each and may not repeat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from components.model.plan import Plan
from components.model.planning.crowds import networks_of_people

JOIN_FROM = 200
"""Rules of a role and direction from which on those of people are joined: fewer stay as they were made."""


@dataclass(frozen=True)
class Rule:
    """A rule between a role and one peer: a network, or the nodes of the role `peer_role`."""

    protocol: str
    ports: str
    network: str = ""
    peer_role: str = ""

    @property
    def key(self) -> str:
        """What tells it from the other rules of its role and direction."""
        return f"{self.protocol}-{self.ports}-{self.peer_role or self.network}"

    @property
    def first(self) -> int:
        """The first port."""
        return int(self.ports.partition("-")[0])

    @property
    def last(self) -> int:
        """The last port."""
        return int(self.ports.rpartition("-")[2])


def name_networks(networks: Sequence[str]) -> dict[str, str]:
    """Name the networks in which the nodes stand for rules, the first as the only one was always named."""
    return {f"network-{number}" if number > 1 else "network": network for number, network in enumerate(networks, 1)}


def rules_in(plan: Plan, role: str) -> dict[Rule, str]:
    """List what a role lets in, with the listeners it is for."""
    return _join(
        (Rule(opening.protocol, opening.ports, **peer), f"{opening.service} {opening.listener}")
        for opening in plan.openings
        if opening.role == role
        for peer in (*({"network": network} for network in opening.networks), *({"peer_role": one} for one in opening.roles))
    )


def rules_out(plan: Plan, role: str) -> dict[Rule, str]:
    """List what a role lets out of the deployment, with the purposes."""
    return _join(
        (Rule(rule.protocol, rule.ports, network), purpose)
        for rule in plan.egress
        if rule.role == role
        for network in rule.destinations
        for purpose in rule.purposes
    )


def by_ports(rules: Mapping[Rule, str]) -> dict[tuple[str, str], list[Rule]]:
    """Rules by protocol and ports, for clouds whose rules have many peers and whose firewalls have few rules."""
    found: dict[tuple[str, str], list[Rule]] = {}
    for rule in rules:
        found.setdefault((rule.protocol, rule.ports), []).append(rule)
    return found


def join_networks(plan: Plan, role: str, rules: Mapping[Rule, str]) -> Iterator[tuple[Rule, str, list[str] | None]]:
    """Return a role's rules of one direction with their purposes. Where they are many, those of carriers and phones for the
    same ports are one, with all its networks, for clouds whose groups hold more networks than rules."""
    people = networks_of_people(plan.openings, plan.egress, role) if len(rules) > JOIN_FROM else ()
    joined: dict[tuple[str, str], list[str]] = {}
    for rule in rules:
        if rule.network in people:
            joined.setdefault((rule.protocol, rule.ports), []).append(rule.network)
    for rule, purpose in rules.items():
        networks = joined.get((rule.protocol, rule.ports), []) if rule.network in people else []
        if not networks:
            yield rule, purpose, None
        elif rule.network == networks[0]:
            yield replace(rule, network="networks"), purpose, networks


def _join(found: Iterable[tuple[Rule, str]]) -> dict[Rule, str]:
    """Carriers and phones may share a network: the clouds refuse the same rule twice."""
    joined: dict[Rule, list[str]] = {}
    for rule, purpose in found:
        joined.setdefault(rule, []).append(purpose)
    return {rule: ", ".join(dict.fromkeys(purposes)) for rule, purposes in joined.items()}
