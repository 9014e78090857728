"""A deployment with a cluster of three, broken on purpose under load: nothing acknowledged is lost, nobody is called."""

import json
import os
from contextlib import nullcontext

import pytest

from cli.drills.table import SHORT, list_drills
from components.model.planner import make_plan
from components.model.settings import Settings
from tests.drills.conftest import DRILL_SECONDS, SETTINGS, check
from tests.local.telephony import Telephony

pytestmark = pytest.mark.drills
PLAN = make_plan(Settings.model_validate({"cloud": "local", **SETTINGS}), "drills")
ALL = list_drills(PLAN, {"postgresql": "data-1", "standby": "data-2"}, lambda name, on: None)
CALLERS = {node.key for service in ("rtpengine", "freeswitch") for node in PLAN.nodes_with(service)}
END_CALLS = {name for name, drill in ALL.items() if drill.fault.silent and CALLERS & set(drill.targets)}
"""No call outlives the power of what carries it."""
WITHOUT_CONSUL = "no-consul"
LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))


@pytest.mark.parametrize("name", [name for name in ALL if name in SHORT or (LONG and name != WITHOUT_CONSUL)])
def test_nothing_acknowledged_is_lost_and_nobody_is_called(
    cluster: Telephony, name: str, capsys: pytest.CaptureFixture[str],
) -> None:
    with nullcontext() if name in END_CALLS else cluster.outside.held_call(cluster.server):
        done = cluster.start("drill", name, cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    check(name, json.loads(done.output)[0], capsys, calls=name not in END_CALLS)
    assert done.status == 0, done.said


@pytest.mark.skipif(not LONG, reason="two minutes more: WEBITEL_TEST_LONG=1")
def test_without_consul_the_leader_goes_on(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> None:
    """All servers forget what they held until they have read their log again: nobody may believe that they hold nothing."""
    def history() -> str:
        return cluster.at("data-1").on_node("patronictl -c /etc/patroni/config.yml history -f json")

    def starts() -> set[str]:
        return {node.on_node("systemctl show -p InvocationID --value grafana-server") for node in cluster.with_service("grafana")}

    before = history(), starts()
    with cluster.outside.held_call(cluster.server):
        done = cluster.start("drill", WITHOUT_CONSUL, cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    check(WITHOUT_CONSUL, json.loads(done.output)[0], capsys)
    assert (history(), starts()) == before
