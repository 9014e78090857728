"""More carriers and phones than one firewall of a cloud has room for: what the whole program makes of them, and what is open."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from tests.clouds.conformance.conftest import Standing, Start
from tests.clouds.conformance.engine import replaced
from tests.clouds.conformance.program import Config, Registration
from tests.clouds.conformance.sample import deal, do_on
from tests.clouds.conformance.test_conformance import REAL, build, plan_of
from tests.long_form import LONG
from tests.simulator.openings import find_reach_problems

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def make_networks(number: int, first: str = "62.0.0.0") -> list[str]:
    """Networks of which none adjoins another."""
    start = int(IPv4Address(first))
    return [str(IPv4Network((start + 1024 * n, 29))) for n in range(number)]


MANY: Config = {"carriers": make_networks(200), "operators": ["198.51.100.0/24"]}
BOTH: Config = {"carriers": make_networks(100), "phones": [*make_networks(110, "81.0.0.0"), "62.0.0.0/29"]}

FILTERING = [cloud for cloud in REAL if CLOUDS[cloud].firewalls]
"""Clouds with firewalls of their own."""

SPLIT = ("aws", "hetzner")
"""Clouds where many networks take further firewalls."""
ASKED = deal("many networks", {"asked": 1}, [cloud for cloud in FILTERING if cloud not in SPLIT])["asked"]
BACK = deal("many networks and back", {"engine": 1}, SPLIT)["engine"]

SOME: Config = {"carriers": make_networks(60), "phones": [*make_networks(50, "81.0.0.0"), "62.0.0.0/29"]}


def firewalls(registrations: list[Registration]) -> dict[str, Registration]:
    """What a firewall or a rule of one is on any of the clouds, by name."""
    words = ("SecurityGroup", "Firewall", "securityGroup")
    return {f"{one.type}:{one.name}": one for one in registrations if any(word in one.type for word in words)}


@pytest.mark.parametrize("cloud", FILTERING)
def test_each_of_them_is_let_in_and_nobody_else(cloud: str, tmp_path: Path) -> None:
    """On one node: every further one is asked for every network."""
    do_on((*SPLIT, *ASKED), cloud, "takes fifteen seconds")
    stack = f"{cloud}-single"
    world, _ = build(stack, tmp_path, BOTH)
    plan, _ = plan_of(stack, BOTH)
    problems = list(find_reach_problems(plan, world))
    if not plan.facts.rules_per_group:
        assert problems == []
        return
    # There a network of theirs reaches every port of the machine: the machine's own firewall closes them, and `plan` says so.
    assert any("has no room for the ports of so many" in warning for warning in plan.warnings)
    people = [IPv4Network(one) for name in ("carriers", "phones") for one in BOTH[name]]
    for line in problems:
        what, _, found = line.partition(": ")
        (end,) = (end for end in what.split(" -> ") if end[0].isdigit())
        assert any(IPv4Address(end) in network for network in people), line
        assert "1-65535 open" in found or found.startswith("icmp"), line
    asked = {line.partition(" -> ")[0] for line in problems if line[0].isdigit()}
    assert all(any(IPv4Address(end) in network for end in asked) for network in people)


def test_further_groups_open_nothing_more_while_they_have_room_for_ports(tmp_path: Path) -> None:
    world, _ = build("aws-single", tmp_path, SOME)
    plan, _ = plan_of("aws-single", SOME)
    assert list(find_reach_problems(plan, world)) == []


@pytest.mark.parametrize("cloud", FILTERING)
@pytest.mark.parametrize(("tier", "changes"), [("basic", MANY), ("extended", BOTH)])
def test_every_tier_takes_them(cloud: str, tier: str, changes: Config, tmp_path: Path) -> None:
    assert firewalls(build(f"{cloud}-{tier}", tmp_path, changes)[1])


@pytest.mark.parametrize("cloud", FILTERING)
def test_few_have_the_rules_that_they_always_had(cloud: str, tmp_path: Path) -> None:
    """What a running deployment has: every firewall of before, and none beside."""
    made = firewalls(build(f"{cloud}-basic", tmp_path, {"carriers": make_networks(10)})[1])
    assert not any("networks-" in name for name in made)
    if cloud == "hetzner":
        assert len(made) == 3


@pytest.mark.parametrize("cloud", FILTERING)
def test_from_few_to_many_and_back(cloud: str, start: Start, standing: Standing) -> None:
    """On the real engine: nothing is replaced, whichever way the number goes; in the long form by way of a number between."""
    do_on(BACK, cloud, "takes half a minute")
    live = start(f"{cloud}-basic", standing(f"{cloud}-basic"))
    for number in (100, 200, 10) if LONG else (200, 10):
        live.deployment.configure({"carriers": make_networks(number)})
        assert not replaced(live.deployment.up())
    assert not live.deployment.preview()
