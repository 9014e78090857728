"""A deployment with a cluster of three, broken on purpose under load: nothing acknowledged is lost, nobody is called."""

from statistics import median

import pytest

from cli.drills.table import list_drills
from components.model.settings import Settings
from tests.drills.conftest import NO_GAP, SETTINGS, break_it
from tests.local.power import HEALTHY_SECONDS, incus, wait_all_healthy, wait_sick
from tests.local.telephony import Telephony
from tests.long_form import LONG, only_long
from tests.plans import make_plan

pytestmark = pytest.mark.drills
PLAN = make_plan(Settings.model_validate({"cloud": "local", **SETTINGS}), "drills")
ALL = list_drills(PLAN, {"postgresql": "data-1", "standby": "data-2"}, lambda name, on: None)
CALLERS = {node.key for service in ("rtpengine", "freeswitch") for node in PLAN.nodes_with(service)}
END_CALLS = {name for name, drill in ALL.items() if drill.fault.silent and CALLERS & set(drill.targets)}
"""No call outlives the power of what carries it."""
WITHOUT_CONSUL = "no-consul"
BOUNDS = {
    f"{fault}-{what}": bound
    for fault in ("stop", "partition")
    for what, bound in (("leader", ("row", 17)), ("standby", ("row", 17)), ("queue", ("message", 8)))
}
"""Of what nothing may be acknowledged for how many seconds, as a median of three."""
ZONES = {f"stop-zone-{zone}" for zone in PLAN.zones}
ZONE_SECONDS = 17
"""In which rows are written again where a whole zone is lost, whether or not the leader was in it."""
BACK = 90
"""Seconds in which a lost node is one of the cluster again, as a median of three."""
ONCE = set(ALL) - {WITHOUT_CONSUL} - set(BOUNDS) if LONG else {"stop-leader"}


@pytest.mark.parametrize("name", [name for name in ALL if name in ONCE])
def test_nothing_acknowledged_is_lost_and_nobody_is_called(
    cluster: Telephony,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = break_it(cluster, name, capsys, call=name not in END_CALLS)
    if name in ZONES:
        assert outcome["gaps"]["row"] <= ZONE_SECONDS


@only_long("three times each")
@pytest.mark.parametrize("name", BOUNDS)
def test_a_lost_node_costs_seconds(cluster: Telephony, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    kind, bound = BOUNDS[name]
    outcomes = [break_it(cluster, name, capsys) for _ in range(3)]
    rows, messages = (median(outcome["gaps"][kind] for outcome in outcomes) for kind in ("row", "message"))
    back, healthy = (median(outcome[what] for outcome in outcomes) for what in ("rejoined", "healthy"))
    with capsys.disabled():
        print(
            f"{name}, medians of three: {rows:.1f} s without rows, {messages:.1f} s without messages, "
            f"its node healthy after {back:.0f} s, all after {healthy:.0f} s"
        )
    assert {"row": rows, "message": messages}[kind] <= bound
    assert back <= BACK


@only_long("two minutes more")
def test_status_names_the_lost_node_and_no_other(cluster: Telephony) -> None:
    lost = next(node for node in cluster.with_service("postgresql") if node.key != cluster.primary().key).key
    incus("stop", "--force", f"{cluster.name}-{lost}")
    try:
        # Cases may have lost the broker with it, which the watcher mends after a while.
        wait_sick(cluster, {lost}, HEALTHY_SECONDS)
    finally:
        incus("start", f"{cluster.name}-{lost}")
    wait_all_healthy(cluster, HEALTHY_SECONDS)


@only_long("two minutes more")
def test_without_consul_the_leader_goes_on(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> None:
    """All servers forget what they held until they have read their log again: nobody may believe that they hold nothing."""

    def history() -> str:
        return cluster.at("data-1").on_node("patronictl -c /etc/patroni/config.yml history -f json")

    def starts() -> set[str]:
        return {node.on_node("systemctl show -p InvocationID --value grafana-server") for node in cluster.with_service("grafana")}

    before = history(), starts()
    outcome = break_it(cluster, WITHOUT_CONSUL, capsys)
    assert max(outcome["gaps"].values()) <= NO_GAP
    assert (history(), starts()) == before
