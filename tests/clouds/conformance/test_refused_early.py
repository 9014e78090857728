"""What calls in progress do not bear is refused before anything is changed: not a node, not a firewall."""

import json

import pytest

from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Standing, Start
from tests.clouds.conformance.engine import Deployment
from tests.simulator.simulators import Simulators

pytestmark = pytest.mark.clouds

STACK = "hetzner-basic"
CONFIGURATION = "webitel:index:NodeConfiguration"


def test_up_refuses_before_it_changes_anything(start: Start, standing: Standing) -> None:
    live = start(STACK, standing(STACK, OWN))
    live.deployment.configure(OWN)
    make_older(live.deployment)
    before = list_given(live.simulators)
    with command_line(live) as webitel:
        for words in ("", " --repair"):
            refused = webitel("up", STACK, "--yes", *words.split())
            assert refused.exit_code == 1
            assert list_given(live.simulators) == before
            assert str(refused.exception).splitlines() == [
                "Calls in progress would suffer. Nothing was changed.",
                f"  {STACK}-edge-1: OpenSIPS restarts: calls being set up fail; calls in progress continue",
                f"When few calls are in progress, run: ./webitel up {STACK}{words} --disruptive",
            ]
        assert webitel("up", STACK, "--yes", "--disruptive").exit_code == 0
        assert {key for key, count in list_given(live.simulators).items() if count != before[key]} == {
            f"{CONFIGURATION}|{STACK}-{key}" for key in ("data-1", "edge-1")
        }
        assert webitel("up", STACK, "--yes").exit_code == 0


def make_older(deployment: Deployment) -> None:
    """Lets the state tell of another node program on a node in front and of another OpenSIPS behind it."""
    state = json.loads(deployment.state_file.read_text())
    for one in state["checkpoint"]["latest"]["resources"]:
        if one["type"] == CONFIGURATION:
            key = one["inputs"]["key"]
            if key == "data-1":
                one["inputs"]["bundles"]["node"] = "older"
            elif key == "edge-1":
                one["inputs"]["files"]["/etc/opensips/opensips.cfg"] += "# older\n"
    deployment.state_file.write_text(json.dumps(state))


def list_given(simulators: Simulators) -> dict[str, int]:
    """How often each thing was made or changed."""
    keys = [json.loads(line)["key"] for line in simulators.world.file.read_text().splitlines()]
    return {key: keys.count(key) for key in keys}
