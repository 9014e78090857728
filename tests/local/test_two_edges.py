"""Two nodes for SIP on this machine: calls are held while the one that has them hands over, is changed, is lost, is cut off, and
its programs die. Each call is changed and hung up by its caller at the end, through whichever node has the address then."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import UP_SECONDS
from tests.local.pair import CALLS, EDGES, Pair, check_after, other

pytestmark = pytest.mark.nodes

LOSS_SECONDS, HAND_OVER_SECONDS = 25.0, 10.0
"""Bounds for a busy machine; the figures are printed."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    deployment = Pair(tmp_path_factory.mktemp("pair"), f"t{os.getpid()}-pair", {"tier": "basic", "counts": {"edge": 2}})
    deployment.settings["carriers"] = [f"{deployment.gateway}/32"]
    try:
        deployment.make_checkout()
        deployment.up()
        deployment.let_in()
        yield deployment
    finally:
        deployment.end()


def test_a_hand_over_drops_no_call_both_ways(pair: Pair, figure: Figure) -> None:
    for _ in range(2):
        key = pair.active()
        lost: list[float] = []
        with pair.held_calls(lost):
            said = pair.webitel("handover", "edge", pair.name, "--from", key).output
            assert f"{key} stands by." in said and pair.active() == other(key)
            time.sleep(3)
        figure(f"longest silence of {CALLS} calls handed over from {key}", max(lost))
        assert max(lost) < HAND_OVER_SECONDS
        check_after(pair, other(key))
        assert "has nothing to hand over" in pair.webitel("handover", "edge", pair.name, "--from", key).output


@pytest.mark.parametrize("fault", ["stop", "partition", "kill", "hand-over"])
def test_an_edge_that_is_broken_on_purpose_drops_no_call(fault: str, pair: Pair, figure: Figure) -> None:
    key = pair.active()
    lost: list[float] = []
    with pair.held_calls(lost):
        running = pair.start("drill", f"{fault}-edge", pair.name, "--yes", "--json")
        while running.process.poll() is None:
            # Two at any time would be found here.
            pair.active()
            time.sleep(1)
        done = running.wait(60)
        assert done.status == 0, done.said
    (outcome,) = json.loads(done.output)
    assert (outcome["target"], outcome["calls"], outcome["dropped"], outcome["help"]) == (key, CALLS, 0, ""), outcome
    assert outcome["lost"] == {"row": [], "message": []}
    gaps = ", ".join(f"{kind} gap {seconds:.1f} s" for kind, seconds in outcome["gaps"].items())
    figure(f"{fault}-edge: healthy after {outcome['healthy']:.0f} s, {gaps}; longest silence of {CALLS} calls", max(lost))
    assert max(lost) < (LOSS_SECONDS if fault in ("stop", "partition") else HAND_OVER_SECONDS)
    check_after(pair, key if fault == "kill" else other(key))


def test_an_edge_gets_a_new_machine_while_calls_go_on(pair: Pair, figure: Figure) -> None:
    key = pair.active()
    lost: list[float] = []
    with pair.held_calls(lost):
        pair.webitel("replace", key, "--stack", pair.name, "--yes")
        assert pair.active() == other(key)
    figure(f"longest silence of {CALLS} calls whose node {key} gets a new machine", max(lost))
    assert max(lost) < HAND_OVER_SECONDS
    check_after(pair, other(key))


CHANGED = {
    "cloud_init/files/opensips/opensips.cfg": ("log_level = 3\nxlog_level", "log_level = 2\nxlog_level"),
    "cloud_init/files/rtpengine/rtpengine.conf": ("log-level = 5", "log-level = 6"),
}


def read_levels(pair: Pair) -> set[str]:
    """What the two programs' files on both nodes say of it."""
    asked = "sed -n 's/^log[_-]level = //p' /etc/opensips/opensips.cfg /etc/rtpengine/rtpengine.conf"
    return {" ".join(pair.at(key).on_node(asked).split()) for key in EDGES}


def check_rolled(pair: Pair, said: str, key: str, lost: list[float]) -> None:
    """The node that stood by came first, and has the calls."""
    assert f"{other(key)} first: {key} has the calls, and OpenSIPS changes" in said
    assert f"{key} hands over to {other(key)}" in said and "--disruptive" not in said
    assert max(lost) < HAND_OVER_SECONDS
    check_after(pair, other(key))


def test_a_change_of_both_programs_that_is_killed_on_the_way_drops_no_call(pair: Pair, figure: Figure) -> None:
    key, lost = pair.active(), list[float]()
    assert read_levels(pair) == {"3 5"}
    with ExitStack() as changed:
        for path, (old, new) in CHANGED.items():
            changed.enter_context(pair.edit(path, old, new))
        with pair.held_calls(lost):
            running = pair.start("up", pair.name)
            running.wait_for("hands over to", UP_SECONDS)
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            done = pair.up()
        assert read_levels(pair) == {"2 6"}
    figure(f"up with OpenSIPS and rtpengine changed, killed as {key} handed over, run again", done.seconds)
    figure(f"longest silence of {CALLS} calls meanwhile", max(lost))
    check_rolled(pair, running.said() + done.said, key, lost)


def test_a_patch_version_and_a_change_drop_no_call_whichever_node_has_them(pair: Pair, figure: Figure) -> None:
    key, lost = pair.active(), list[float]()
    with pair.held_calls(lost):
        done = pair.upgrade("--only", "opensips")
    assert read_levels(pair) == {"3 5"}
    for edge in map(pair.at, EDGES):
        found = edge.versions("opensips", "opensips-postgres-module")
        assert len(found) == 2 and all(version.endswith("+1") and held for version, held in found.values()), found
    figure("upgrade of OpenSIPS, its file and rtpengine's changed", done.seconds)
    figure(f"longest silence of {CALLS} calls meanwhile, {key} changed last", max(lost))
    check_rolled(pair, done.said, key, lost)


def test_a_change_of_nothing_changes_nothing(pair: Pair) -> None:
    key = pair.active()
    assert "Nothing to change." in pair.up().output
    assert pair.active() == key
    assert json.dumps(pair.plan()["sip_address"]) == json.dumps(pair.server)
