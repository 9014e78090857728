"""A deployment with a cluster of three, broken on purpose under load: nothing acknowledged is lost, nobody is called."""

import json

import pytest

from cli.drills.table import SHORT
from tests.drills.conftest import DRILL_SECONDS, check
from tests.local.telephony import Telephony

pytestmark = pytest.mark.drills


@pytest.mark.parametrize("name", SHORT)
def test_nothing_acknowledged_is_lost_and_nobody_is_called(
    cluster: Telephony, name: str, capsys: pytest.CaptureFixture[str],
) -> None:
    with cluster.outside.held_call(cluster.server):
        done = cluster.start("drill", name, cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    check(name, json.loads(done.output)[0], capsys)
    assert done.status == 0, done.said


def test_without_consul_the_leader_goes_on(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> None:
    """All servers forget what they held until they have read their log again: nobody may believe that they hold nothing."""
    def history() -> str:
        return cluster.at("data-1").on_node("patronictl -c /etc/patroni/config.yml history -f json")

    def starts() -> set[str]:
        return {node.on_node("systemctl show -p InvocationID --value grafana-server") for node in cluster.with_service("grafana")}

    before = history(), starts()
    with cluster.outside.held_call(cluster.server):
        done = cluster.start("drill", "no-consul", cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    check("no-consul", json.loads(done.output)[0], capsys)
    assert (history(), starts()) == before
