"""A deployment with a cluster of three, broken on purpose under load: nothing acknowledged is lost, nobody is called."""

import os

import pytest

from cli.drills.table import SHORT, list_drills
from components.model.planner import make_plan
from components.model.settings import Settings
from tests.drills.conftest import SETTINGS, break_it
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
    break_it(cluster, name, capsys, call=name not in END_CALLS)


@pytest.mark.skipif(not LONG, reason="two minutes more: WEBITEL_TEST_LONG=1")
def test_without_consul_the_leader_goes_on(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> None:
    """All servers forget what they held until they have read their log again: nobody may believe that they hold nothing."""
    def history() -> str:
        return cluster.at("data-1").on_node("patronictl -c /etc/patroni/config.yml history -f json")

    def starts() -> set[str]:
        return {node.on_node("systemctl show -p InvocationID --value grafana-server") for node in cluster.with_service("grafana")}

    before = history(), starts()
    break_it(cluster, WITHOUT_CONSUL, capsys)
    assert (history(), starts()) == before
