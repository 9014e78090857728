"""Who reaches whom, by each cloud's own rules."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from components.model.settings import Settings
from tests.plans import make_plan
from tests.simulator import openings, reach
from tests.simulator.conftest import ALL, ANYBODY, Driver
from tests.simulator.reach import EVERYWHERE, Machine, Rule, between, from_outside, to_outside


def test_first_rule_decides_and_layers_meet() -> None:
    web, closed = Rule("tcp", 80, 443, EVERYWHERE), Rule("tcp", 100, 200, EVERYWHERE, allow=False)
    machine = Machine("m", "m", "n", "10.0.0.4", "198.18.0.1", True, True, ((closed, web),), ())
    assert from_outside(machine, ANYBODY) == {"tcp": ((80, 99), (201, 443))}
    assert from_outside(replace(machine, ingress=((web, closed),)), ANYBODY) == {"tcp": ((80, 443),)}
    both = replace(machine, ingress=((web,), (Rule("any", 1, 100, EVERYWHERE),)))
    assert from_outside(both, ANYBODY) == {"tcp": ((80, 443),)}  # all protocols have no ports
    assert from_outside(replace(machine, reachable=False), ANYBODY) == {}
    assert to_outside(machine, ANYBODY) == ALL
    assert to_outside(replace(machine, way_out=False), ANYBODY) == {}
    assert between(machine, replace(machine, network="other")) == {}
    assert reach.union([("tcp", 1, 5), ("tcp", 6, 9), ("udp", 3, 3), ("tcp", 20, 20)]) == {
        "tcp": ((1, 9), (20, 20)),
        "udp": ((3, 3),),
    }


def test_a_plan_is_compared_in_both_directions(monkeypatch: pytest.MonkeyPatch, make_driver: Callable[[str], Driver]) -> None:
    settings = Settings.model_validate({"cloud": "aws", "tier": "basic", "operators": ["203.0.113.0/24"]})
    plan = make_plan(settings, "aws-basic")

    def build(broken: str = "") -> list[Machine]:
        """What a faultless cloud does with the plan."""
        machines: list[Machine] = []
        for node in plan.nodes:
            inward = [
                Rule(
                    one.protocol,
                    *openings.split(one.ports),
                    tuple(network for source in one.sources if ":" not in source for network in _networks(source)),
                    frozenset(other.name for other in plan.nodes if f"role:{other.role}" in one.sources),
                )
                for one in plan.openings
                if one.role == node.role
            ]
            outward = [
                Rule(
                    one.protocol,
                    *openings.split(one.ports),
                    tuple(network for end in one.destinations for network in _networks(end)),
                )
                for one in plan.egress
                if one.role == node.role
            ]
            outward.append(Rule("any", 1, 65535, _networks(plan.network)))
            if broken == "drop":
                inward.pop()
            if broken == "open":
                inward.append(Rule("tcp", 22, 22, EVERYWHERE))
            if broken == "out":
                outward.append(Rule("udp", 5000, 5000, EVERYWHERE))
            public = f"198.19.0.{len(machines) + 1}" if node.public.value == "service" else ""
            machines.append(
                Machine(
                    node.name,
                    node.name,
                    "net",
                    node.private_address or "",
                    public,
                    bool(public),
                    True,
                    (tuple(inward),),
                    (tuple(outward),),
                )
            )
        return machines

    world = make_driver("aws").world
    for broken in ("", "drop", "open", "out"):
        monkeypatch.setattr(openings, "look", lambda world, cloud, broken=broken: build(broken))
        problems = list(openings.find_reach_problems(plan, world))
        assert bool(problems) is bool(broken), (broken, problems[:3])
    assert any(problem.startswith("data-1 -> 192.0.2.77: udp") and "5000" in problem for problem in problems), problems[:3]


def _networks(text: str) -> tuple[Any, ...]:
    return (ip_network(text),)
