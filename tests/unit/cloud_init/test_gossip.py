"""How long Consul's gossip suspects a node before it calls it failed, by the rule of its library (memberlist 0.2.2).

`facts/ha-measured.md` 10 has what real agents did by it.
"""

import json
import math
import re
from functools import lru_cache
from typing import Any

import pytest

from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan

LONGEST = 6
"""The longest suspicion is so many times the shortest; a default that Consul does not let anybody change."""
BORNE_SECONDS = 4.0
"""A node that stands still for less must not cost a failover."""
ZONE_SECONDS = 6.0
ZONES: dict[str, Any] = {"cloud": "local", "tier": "basic", "counts": {"data": 3}, "zones": ["a", "b", "c"]}


def suspicion_seconds(multiplier: int, probe_seconds: float, nodes: int, confirmed: int) -> float:
    """How long a node is suspected that so many others found silent too (state.go, suspicion.go)."""
    shortest = multiplier * max(1.0, math.log10(nodes)) * probe_seconds
    wanted = multiplier - 2
    if nodes - 2 < wanted:
        return shortest
    share = math.log(min(confirmed, wanted) + 1) / math.log(wanted + 1)
    return LONGEST * shortest - share * (LONGEST - 1) * shortest


@lru_cache
def rendered() -> dict[str, Any]:
    """What a node of the plan is told about gossip."""
    settings = Settings.model_validate(ZONES)
    plan = make_plan(settings, "test")
    text = compose_configuration(plan, plan.nodes[0], settings).files["/etc/consul.d/webitel.json"]
    found: dict[str, Any] = json.loads(re.sub(r"\{\{.*?\}\}", "x", text)).get("gossip_lan", {})
    return {"probe_interval": "1s", "probe_timeout": "500ms", "suspicion_mult": 4} | found


def seconds(text: str) -> float:
    return float(text.removesuffix("ms")) / 1000 if text.endswith("ms") else float(text.removesuffix("s"))


def test_the_rule_is_the_one_that_was_measured() -> None:
    assert round(suspicion_seconds(4, 1, 5, 1), 1) == 11.4
    assert suspicion_seconds(4, 1, 5, 2) == 4.0
    assert suspicion_seconds(8, 0.5, 5, 0) == 4.0


def test_a_probe_leaves_others_time_to_ask_too() -> None:
    gossip = rendered()
    assert 2 * seconds(gossip["probe_timeout"]) <= seconds(gossip["probe_interval"])


def test_a_pause_of_seconds_fails_nobody() -> None:
    gossip = rendered()
    for nodes in range(2, 101):
        shortest = suspicion_seconds(gossip["suspicion_mult"], seconds(gossip["probe_interval"]), nodes, nodes)
        assert BORNE_SECONDS <= shortest <= 2.5 * BORNE_SECONDS, nodes


def test_who_is_left_when_a_zone_is_lost_is_enough_to_call_its_nodes_failed() -> None:
    plan = make_plan(Settings.model_validate(ZONES), "test")
    left = [node for node in plan.nodes if node.zone != "a"]
    assert (len(plan.nodes), len(left)) == (5, 2)
    gossip = rendered()
    suspected = suspicion_seconds(gossip["suspicion_mult"], seconds(gossip["probe_interval"]), len(plan.nodes), len(left) - 1)
    assert suspected <= ZONE_SECONDS


@pytest.mark.parametrize("tier", ["single", "basic", "extended"])
def test_a_server_looks_for_others_than_itself(tier: str) -> None:
    """One that finds itself looks no further: a new machine that is not let in at once would stay alone."""
    settings = Settings.model_validate({"cloud": "local", "tier": tier})
    plan = make_plan(settings, "test")
    servers = {node.key for node in plan.nodes_with("consul-server")}
    for node in plan.nodes:
        text = compose_configuration(plan, node, settings).files["/etc/consul.d/peers.json"]
        found = set(re.findall(r"\{\{address:([\w-]+)\}\}", text))
        assert found == servers - {node.key}
        assert len(json.loads(text)["retry_join"]) == len(found)
