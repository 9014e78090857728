"""`up`, `scale` and `replace` on a cloud ask what it would refuse, before anything is made or ended."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cli.cloud import before
from cli.cloud.questions import Answers, ask_with
from components.clouds.registry import CLOUDS
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.sample import deal, do_on
from tests.simulator.account import tell
from tests.simulator.simulators import PACKAGES, load_places

pytestmark = pytest.mark.clouds

SOLD = sorted(name for name in PACKAGES if CLOUDS[name].priced)
ASKED = deal("asked first", {"up": 3}, SOLD)["up"]
LONG = 60.0
"""Seconds, for a machine with much else to do."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "SECONDS", LONG)


def prepare(start: Start, stack: str, like: Live | None = None) -> Live:
    """A stack with nothing left to set."""
    live = start(stack, like)
    live.deployment.configure(OWN)
    return live


def withdraw(live: Live, key: str) -> str:
    """Lets the place of a stack have no machine type of a node any more; returns the type."""
    cloud = live.deployment.stack.partition("-")[0]
    with command_line(live):
        from stacks.load import load_deployment

        name = load_deployment(live.deployment.stack).plan.node(key).machine_type.name
    tell(live.world, PACKAGES[cloud], withdrawn={name: [load_places(cloud)[0]]})
    return name


def count(live: Live) -> int:
    """How much was ever made or changed in the cloud."""
    return live.world.file.read_text().count("\n")


@pytest.mark.parametrize("cloud", SOLD)
def test_up_stops_before_the_first_thing_with_every_problem(cloud: str, start: Start) -> None:
    do_on(ASKED, cloud, "takes six seconds")
    live = prepare(start, f"{cloud}-basic")
    refused = withdraw(live, "app-1")
    made = count(live)
    with command_line(live) as webitel:
        ran = webitel("up", live.deployment.stack, "--yes")
    assert ran.exit_code == 1 and count(live) == made, (ran.output, ran.exception)
    told = str(ran.exception)
    assert "Nothing was created." in told and f"webitel:machine_types.app = {refused}: not offered in" in told
    assert "webitel:machine_types: {app: " in told and "--no-ask" in told


def test_who_knows_better_is_not_asked_and_nothing_new_asks_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    live = prepare(start, "hetzner-single")
    withdraw(live, "all-1")
    with command_line(live) as webitel:
        assert webitel("up", "hetzner-single", "--yes").exit_code == 1
        ran = webitel("up", "hetzner-single", "--yes", "--no-ask")
        # The simulated cloud itself sells it: what is asked for is all that is withdrawn.
        assert ran.exit_code == 0, (ran.output, ran.exception)
        monkeypatch.setattr(before, "ask_with", lambda *_, **__: pytest.fail("asked for nothing"))
        assert webitel("up", "hetzner-single", "--yes").exit_code == 0


def test_a_question_without_an_answer_is_said_and_stops_nothing(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    live = prepare(start, "hetzner-single")
    (live.deployment.folder.parent / "world/faults.json").write_text(
        json.dumps([{"kind": "slow", "operation": "invoke", "type": "getServerTypes", "seconds": 300, "times": 0}])
    )
    monkeypatch.setattr(before, "SECONDS", 15.0)
    asked, seconds = ask_with, list[float]()

    def measure(*arguments: Any, **more: Any) -> Answers:
        began = time.monotonic()
        answers = asked(*arguments, **more)
        seconds.append(time.monotonic() - began)
        return answers

    monkeypatch.setattr(before, "ask_with", measure)
    with command_line(live) as webitel:
        ran = webitel("up", "hetzner-single", "--yes")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    print(f"asked a cloud that leaves a question without an answer: {seconds[0]:.1f} s")
    assert seconds[0] < LONG
    assert "machine types: unknown: no answer within" in ran.output, ran.output


def test_scale_leaves_the_stack_file_as_it_was(start: Start, standing: Standing) -> None:
    live = prepare(start, "hetzner-basic", standing("hetzner-basic", OWN))
    refused = withdraw(live, "app-1")
    made, written = count(live), live.deployment.file.read_bytes()
    with command_line(live) as webitel:
        ran = webitel("scale", "app", "2", "hetzner-basic", "--yes")
        assert f"webitel:machine_types.app = {refused}: not offered" in str(ran.exception)
        assert count(live) == made and live.deployment.file.read_bytes() == written
        # Those that run already need no leave.
        ran = webitel("scale", "edge", "1", "hetzner-basic", "--yes")
        assert ran.exit_code == 0, (ran.output, ran.exception)


def test_replace_asks_before_the_old_machine_goes(start: Start, standing: Standing) -> None:
    live = prepare(start, "hetzner-basic", standing("hetzner-basic", OWN))
    refused = withdraw(live, "app-1")
    made = count(live)
    with command_line(live) as webitel:
        ran = webitel("replace", "app-1", "--stack", "hetzner-basic", "--yes")
    assert f"webitel:machine_types.app = {refused}: not offered" in str(ran.exception), (ran.output, ran.exception)
    assert count(live) == made


def test_refused_credentials_are_told_with_the_way_to_others(start: Start) -> None:
    live = prepare(start, "aws-single")
    tell(live.world, "aws", refused="InvalidClientTokenId: The security token included in the request is invalid")
    made = count(live)
    with command_line(live) as webitel:
        ran = webitel("up", "aws-single", "--yes")
    told = str(ran.exception)
    assert ran.exit_code == 1 and count(live) == made
    assert "InvalidClientTokenId" in told and "AWS_ACCESS_KEY_ID=..." in told and "aws configure" in told
