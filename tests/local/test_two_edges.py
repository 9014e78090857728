"""Two nodes for SIP on this machine: calls are held while the one that has them hands over, is changed, is lost, is cut off, and
its programs die. Each call is changed and hung up by its caller at the end, through whichever node has the address then."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import ROOT, UP_SECONDS, Deployment
from tests.local.outside import read_result
from tests.local.power import wait_all_healthy
from tests.local.telephony import ADMIN_SQL

pytestmark = pytest.mark.nodes

CALLS = 20
PACKETS_A_SECOND = 50
PAUSE_SECONDS = 0.4
"""Between two calls' beginnings: OpenSIPS takes more for a scanner."""
LOSS_SECONDS, HAND_OVER_SECONDS = 25.0, 10.0
"""Bounds for a busy machine; the figures are printed."""
EDGES = ("edge-1", "edge-2")


class Pair(Deployment):
    """The deployment, called from this host, which is a trunk."""

    @cached_property
    def server(self) -> str:
        """The address that both have in turn."""
        return str(self.plan()["sip_address"])

    def active(self) -> str:
        """The key of the node that has the address, and has it alone."""
        have = [key for key in EDGES if self.has_address(key)]
        assert len(have) <= 1, have
        return have[0] if have else ""

    def has_address(self, key: str) -> bool:
        """Whether a node that runs has it."""
        done = subprocess.run(
            ["incus", "exec", f"{self.name}-{key}", "--", "ip", "-o", "-4", "address"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return f" {self.server}/32 " in done.stdout

    def start_call(self, *arguments: str) -> "subprocess.Popen[str]":
        """A call from this host."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.tools.call", f"{self.server}:5060", "--local", self.gateway, *arguments],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        )

    @contextmanager
    def held_calls(self, lost: list[float]) -> Iterator[None]:
        """Calls that stand all the time; none may end before its caller ends it. `lost` gets each one's silence."""
        calls = []
        try:
            for _ in range(CALLS):
                calls.append(self.start_call("--hold", "--number", "echo", "--changes", "3600"))
                time.sleep(PAUSE_SECONDS)
            for call in calls:
                assert call.stdout and call.stdout.readline() == "stands\n", call.communicate(timeout=30)
            time.sleep(1)
            yield
            time.sleep(2)
            for call in calls:
                result = read_result(call)
                # What is lost is measured; all else went as it should.
                assert result["problem"].endswith("packets lost" if result["lost"] else ""), result
                assert (result["status"], result["changed"], result["hung_up"]) == (200, 200, "caller"), result
                lost.append(result["lost"] / PACKETS_A_SECOND)
        finally:
            for call in calls:
                if call.poll() is None:
                    call.kill()
                    call.wait()

    def call(self, number: str = "echo") -> dict[str, Any]:
        """A new call as a whole."""
        return read_result(self.start_call("--number", number))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    deployment = Pair(tmp_path_factory.mktemp("pair"), f"t{os.getpid()}-pair", {"tier": "basic", "counts": {"edge": 2}})
    deployment.settings["carriers"] = [f"{deployment.gateway}/32"]
    try:
        deployment.make_checkout()
        deployment.up()
        edge = deployment.at(deployment.active())
        deployment.at("data-1").on_node(f"""cd / && {ADMIN_SQL} -c "insert into sip_address_allow (dc, name, host, ip) values (
            (select min(dc) from directory.wbt_domain), 'outside', '{deployment.server}:5060', '{deployment.gateway}')" """)
        edge.on_node("/usr/lib/webitel/setup/opensips.sh address_reload")
        yield deployment
    finally:
        deployment.end()


def other(key: str) -> str:
    return EDGES[1 - EDGES.index(key)]


def check_after(pair: Pair, key: str) -> None:
    """New calls go, by both ways of ending, and nobody fights."""
    for number, ends in (("echo", "caller"), ("hangup", "freeswitch")):
        result = pair.call(number)
        assert (result["problem"], result["status"], result["hung_up"]) == ("", 200, ends), result
    wait_all_healthy(pair, 240)
    assert pair.active() == key


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
    "cloud_init/files/rtpengine/rtpengine.conf": ("log-level = 4", "log-level = 5"),
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
    assert read_levels(pair) == {"3 4"}
    with ExitStack() as changed:
        for path, (old, new) in CHANGED.items():
            changed.enter_context(pair.edit(path, old, new))
        with pair.held_calls(lost):
            running = pair.start("up", pair.name)
            running.wait_for("hands over to", UP_SECONDS)
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
            done = pair.up()
        assert read_levels(pair) == {"2 5"}
    figure(f"up with OpenSIPS and rtpengine changed, killed as {key} handed over, run again", done.seconds)
    figure(f"longest silence of {CALLS} calls meanwhile", max(lost))
    check_rolled(pair, running.said() + done.said, key, lost)


def test_a_patch_version_and_a_change_drop_no_call_whichever_node_has_them(pair: Pair, figure: Figure) -> None:
    key, lost = pair.active(), list[float]()
    with pair.held_calls(lost):
        done = pair.upgrade("--only", "opensips")
    assert read_levels(pair) == {"3 4"}
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
