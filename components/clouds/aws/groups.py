"""Which rules of a role stand in which of AWS' security groups (`facts/clouds.md` 1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.clouds.rules import Rule, rules_in, rules_out
from components.model.plan import Plan
from components.model.planning.crowds import EVERYTHING, Way, make_groups, networks_of_people


@dataclass(frozen=True)
class GroupRule:
    """A rule inside a group, which AWS counts once a network."""

    protocol: str
    first: int
    last: int
    networks: tuple[str, ...]


def own_rules(plan: Plan, role: str) -> tuple[Mapping[Rule, str], Mapping[Rule, str]]:
    """Return what the role's own group lets in and out, with the purposes: all, or all but what further groups have."""
    crowded = make_groups(plan.facts, plan.openings, plan.egress, role)
    elsewhere = networks_of_people(plan.openings, plan.egress, role) if crowded else ()
    entering, leaving = (
        {rule: purpose for rule, purpose in rules.items() if rule.network not in elsewhere}
        for rules in (rules_in(plan, role), rules_out(plan, role))
    )
    return entering, leaving


def list_crowd(plan: Plan, role: str) -> list[tuple[list[GroupRule], list[GroupRule]]]:
    """Return what each of the role's further groups lets in and out."""
    groups = make_groups(plan.facts, plan.openings, plan.egress, role)
    return [(join(group.entering), join(group.leaving)) for group in groups]


def join(ways: Iterable[Way]) -> list[GroupRule]:
    """Return a rule for each range of ports, with all its networks."""
    networks: dict[tuple[str, str], list[str]] = {}
    for way in ways:
        networks.setdefault((way.protocol, way.ports), []).append(way.network)
    return [make_rule(protocol, ports, found) for (protocol, ports), found in networks.items()]


def make_rule(protocol: str, ports: str, networks: Iterable[str]) -> GroupRule:
    """Return a rule in AWS' words: all protocols are -1 and have no ports."""
    if protocol == EVERYTHING:
        return GroupRule("-1", 0, 0, tuple(networks))
    first, _, last = ports.partition("-")
    return GroupRule(protocol, int(first), int(last or first), tuple(networks))
