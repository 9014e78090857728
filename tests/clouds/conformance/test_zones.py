"""Deployments over several zones on the real engine: who stands where, and that nobody moves whatever the setting becomes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from components.clouds.registry import CLOUDS
from components.model.planning.standing import OUTPUT
from tests.clouds.conformance.checks import find_world_problems
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Live, Start
from tests.clouds.conformance.engine import replaced
from tests.clouds.conformance.sample import do_on
from tests.clouds.conformance.test_conformance import APART, plan_of
from tests.simulator.case import load_case

pytestmark = pytest.mark.clouds

FULLEST = ("aws",)
"""The cloud with most to make in each zone: it is the short form's."""


def places(live: Live) -> dict[str, tuple[str, str]]:
    cloud = live.deployment.stack.partition("-")[0]
    prefix = f"{live.deployment.stack}-"
    return {one.name.removeprefix(prefix): (one.place, one.private_address) for one in load_case(cloud).see(live.world)}


def forget_places(state: Path) -> None:
    """Take from the state what versions before zones did not write."""
    document = json.loads(state.read_text())
    for resource in document["checkpoint"]["latest"]["resources"]:
        if resource["type"] == "pulumi:pulumi:Stack":
            del resource["outputs"][OUTPUT]
    state.write_text(json.dumps(document))


@pytest.mark.parametrize("cloud", APART)
def test_every_node_stands_in_its_zone_and_stays_there(cloud: str, start: Start) -> None:
    do_on(FULLEST, cloud, "takes a minute")
    zones = list(APART[cloud]["zones"])
    first = {**OWN, **APART[cloud], "counts": {"data": 3, "app": 2}}
    live = start(f"{cloud}-basic")
    live.deployment.configure(first)
    live.deployment.up()
    plan, settings = plan_of(live.deployment.stack, first)
    assert list(find_world_problems(plan, settings, live.world)) == []
    assert {node.key: node.zone for node in plan.nodes if node.n > 1} == {
        "data-2": zones[1],
        "data-3": zones[2],
        "app-2": zones[1],
    }
    before = places(live)
    # Other zones, a node more: only that one is placed by them.
    second = {**first, "zones": zones[:0:-1], "counts": {"data": 3, "app": 3}}
    live.deployment.configure(second)
    assert replaced(live.deployment.preview()) == []
    with command_line(live) as webitel:
        done = webitel("up", live.deployment.stack, "--yes")
        assert done.exit_code == 0, done.output
    after = places(live)
    assert {key: after[key] for key in before} == before
    assert after["app-3"][0].endswith(zones[2])
    written = yaml.safe_load(live.deployment.file.read_text())["config"]
    # Of those that stand where it would be their turn, too, nothing has to be said.
    assert written["webitel:node_zones"] == dict.fromkeys(("app-1", "data-1", "edge-1"), zones[0])
    # A state that says it by its resources only, and a stack file that does not.
    if CLOUDS[cloud].has_endpoints:
        return  # there were no several hosts before there were zones
    live.deployment.configure(second)
    forget_places(live.deployment.state_file)
    assert [step for step in live.deployment.preview() if not step.type.startswith("pulumi:")] == []
