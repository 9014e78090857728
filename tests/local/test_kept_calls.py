"""Calls that are held while a node's rtpengine is killed, changed and given a patch version: none is dropped."""

import json

import pytest

from tests.local.conftest import Figure
from tests.local.deployment import Deployment, wait_until
from tests.local.held import CALLS, await_audio, held_calls
from tests.long_form import only_long

pytestmark = pytest.mark.local

RTPENGINE = "rtpengine-daemon"


def find_run(node: Deployment) -> str:
    """Which run of rtpengine it is."""
    return node.on_node(f"systemctl show -P InvocationID {RTPENGINE}")


def kill(node: Deployment) -> float:
    """Kill rtpengine; the longest silence of the calls."""
    before = find_run(node)
    node.on_node(f"systemctl kill -s KILL {RTPENGINE}")
    wait_until(lambda: "" if find_run(node) not in ("", before) else "rtpengine is not back", 30)
    return await_audio(node)


def test_calls_outlive_an_rtpengine_that_is_killed(healthy: Deployment, figure: Figure) -> None:
    with held_calls(healthy):
        for _ in range(3):
            figure(f"silence of {CALLS} calls whose rtpengine is killed", kill(healthy))
    assert healthy.find_faults() == {}


def test_a_change_of_rtpengine_drops_no_call_and_needs_no_leave(healthy: Deployment, figure: Figure) -> None:
    before = find_run(healthy)
    with held_calls(healthy):
        with healthy.edit("cloud_init/files/rtpengine/rtpengine.conf", "log-level = 5", "log-level = 6"):
            done = healthy.up()
        assert "log-level = 6" in healthy.on_node("cat /etc/rtpengine/rtpengine.conf")
        changed = find_run(healthy)
        assert changed != before, done.said
        figure(f"silence of {CALLS} calls whose rtpengine is changed", await_audio(healthy))
        healthy.up()
        assert find_run(healthy) != changed
        await_audio(healthy)


@only_long("waits for the watcher; tests/sandbox/test_kept_calls.py has it with the same programs")
def test_calls_go_on_and_begin_where_redis_is_killed_or_hangs(healthy: Deployment, figure: Figure) -> None:
    with held_calls(healthy):
        healthy.on_node("systemctl kill -s KILL redis-server")
        assert await_audio(healthy) < 1
        wait_until(lambda: healthy.find_faults().get("redis", ""), 30)
        healthy.on_node("systemctl kill -s STOP redis-server")
        try:
            wait_until(lambda: "" if "redis" in healthy.find_faults() else "status does not name Redis", 30)
            assert set(healthy.find_faults()) == {"redis"}, "rtpengine takes calls"
            figure("silence of calls while Redis hangs", await_audio(healthy))
        finally:
            healthy.on_node("systemctl kill -s CONT redis-server")
        # The watcher has it all written anew.
        wait_until(lambda: " ".join(list_warnings(healthy)), 180)
        figure("silence of calls whose Redis hung before", kill(healthy))


def list_warnings(node: Deployment) -> list[str]:
    """What the node warns of about calls."""
    report = json.loads(node.on_node("webitel-node status --json || true"))
    return [row["why"] for row in report["machine"] if row["name"] == "calls"]
