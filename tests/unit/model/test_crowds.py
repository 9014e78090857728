"""Carriers and phones that are more than a group of rules holds: exactly their ports as long as there is room."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from components.clouds.aws.groups import list_crowd, own_rules
from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.planning.crowds import find_crowds, join_spans
from components.model.settings import Settings
from tests.plans import make_plan

AWS = CLOUDS["aws"]
PORTS = {("tcp", 5060, 5061), ("udp", 5060, 5060)}
"""What a carrier reaches."""


def plan(number: int, tier: str = "basic") -> Plan:
    """With so many carriers, of whom none adjoins another."""
    carriers = [f"62.{n}.0.0/24" for n in range(0, 2 * number, 2)] if number <= 120 else far_apart(number)
    return make_plan(Settings.model_validate({"cloud": "aws", "tier": tier, "carriers": carriers}), "aws-many")


def far_apart(number: int) -> list[str]:
    return [str(IPv4Network((0x3E000000 + 1024 * n, 29))) for n in range(number)]


def front(made: Plan) -> str:
    """The role that carriers call."""
    return next(one.role for one in made.openings if one.audience == "carriers")


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("number", [25, 120])
def test_further_groups_open_the_ports_of_sip_alone(tier: str, number: int) -> None:
    made = plan(number, tier)
    crowd = list_crowd(made, front(made))
    assert 1 <= len(crowd) <= 4, "beside its own group an interface has room for four"
    for ways in zip(*crowd, strict=True):
        found = [(rule.protocol, rule.first, rule.last, network) for group in ways for rule in group for network in rule.networks]
        assert len(found) == len(set(found)) == 2 * number
    assert {(rule.protocol, rule.first, rule.last) for entering, _ in crowd for rule in entering} == PORTS
    assert not any("room" in warning for warning in made.warnings)


def test_more_than_that_are_let_to_every_port_and_it_is_said() -> None:
    made = plan(121)
    crowd = list_crowd(made, front(made))
    assert {(rule.protocol, rule.first) for group in crowd for ways in group for rule in ways} == {("-1", 0)}
    (warning,) = find_crowds(AWS, made.openings, made.egress)
    assert warning in made.warnings
    assert warning.startswith("121 networks of carriers and phones: AWS") and "198.51.100.0/24" in warning


@pytest.mark.parametrize("number", [10, 25, 120, 240])
def test_no_group_has_more_rules_than_the_quota(number: int) -> None:
    made = plan(number)
    for role in made.roles:
        entering, leaving = own_rules(made, role)
        assert max(len(entering), len(leaving) + 1) <= AWS.rules_per_group
        for group in list_crowd(made, role):
            assert all(sum(len(rule.networks) for rule in way) <= AWS.rules_per_group for way in group)


def test_one_more_at_the_end_moves_nobody() -> None:
    few, more = (list_crowd(made, front(made)) for made in (plan(31), plan(32)))
    assert few[0] == more[0]


def test_ports_that_adjoin_are_one_range() -> None:
    assert join_spans([(5061, 5061), (80, 80), (5060, 5060), (10, 20), (15, 30)]) == [(10, 30), (80, 80), (5060, 5061)]
