"""`extended` with clusters of `db` and `bus`: joined and left under load, and what only it has broken on purpose."""

import os
from collections.abc import Iterator

import pytest

from tests.drills.conftest import NO_GAP, break_it, make_load
from tests.local.power import wait_all_healthy
from tests.local.telephony import Telephony
from tests.long_form import only_long

pytestmark = [
    pytest.mark.drills,
    only_long("twelve nodes"),
]
CLUSTERS = {"db": "postgresql", "bus": "rabbitmq"}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telephony]:
    deployment = Telephony(
        tmp_path_factory.mktemp("extended"),
        f"t{os.getpid()}-ext",
        {"tier": "extended", "counts": {"web": 2, "media": 2}, "local_network": "nat"},
    )
    try:
        deployment.bring_up()
        yield deployment
    finally:
        deployment.end()


def scale(extended: Telephony, role: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A role's count changed under load, and as many members of its cluster afterwards."""
    with make_load(extended, capsys)(f"{role} to {count}"):
        extended.webitel("scale", role, str(count), extended.name, "--yes")
    extended.settings["counts"] |= {role: count}
    assert len(extended.with_service(CLUSTERS[role])) == count


@pytest.mark.parametrize("role", CLUSTERS)
def test_one_to_three(extended: Telephony, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    scale(extended, role, 3, capsys)


@pytest.mark.parametrize("name", ["stop-leader", "partition-leader", "stop-queue", "stop-web"])
def test_a_call_outlives_the_loss(extended: Telephony, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    break_it(extended, name, capsys)


def test_the_loss_of_the_consul_leader_leaves_no_gap(extended: Telephony, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it does not lead the database as well, so that nothing else is lost with it."""
    servers = {node.key for node in extended.with_service("consul-server")}
    if (leader := extended.primary()).key in servers:
        leader.on_node("patronictl -c /etc/patroni/config.yml switchover --force webitel", seconds=60)
        wait_all_healthy(extended, 120)
    assert extended.primary().key not in servers
    outcome = break_it(extended, "stop-consul", capsys)
    assert outcome["target"] in servers
    assert outcome["gaps"]["row"] <= NO_GAP


@pytest.mark.parametrize("name", ["stop-media", "stop-sip"])
def test_the_loss_of_what_carries_calls_costs_nothing_else(
    extended: Telephony,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    break_it(extended, name, capsys, call=False)


@pytest.mark.parametrize("role", CLUSTERS)
def test_three_to_one(extended: Telephony, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    scale(extended, role, 1, capsys)
