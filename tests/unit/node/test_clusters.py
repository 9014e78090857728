"""Members of clusters: who may begin one, who may go, and what a steady load looks like on the wire."""

import socket
import struct
import threading
from typing import Any

import pytest

from cloud_init.node.ask import amqp
from cloud_init.node.ask.view import View
from cloud_init.node.clusters import broker_cluster, database_cluster
from cloud_init.node.health import probes
from cloud_init.node.system import ApplyError, Unhealthy
from tests.unit.node.entries import manifest, probe, wrong

MEMBERS = [{"key": f"data-{n}", "name": f"s-data-{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]


def view_of(n: int) -> View:
    return View(
        manifest(
            key=f"data-{n}", node=f"s-data-{n}", address=f"10.0.0.{n}", clusters={"rabbitmq": MEMBERS, "postgresql": MEMBERS}
        )
    )


def may_start(n: int) -> str:
    """Why a node's broker waits, "" where it does not."""
    return wrong(broker_cluster.may_start, probe(), view_of(n))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> dict[str, Any]:
    """No broker has data or answers; `answering`, `blank` and `forgotten` are what the code sees and does."""
    state: dict[str, Any] = {"answering": set(), "blank": {}, "forgotten": [], "folder": tmp_path}
    monkeypatch.setattr(broker_cluster, "DATA", tmp_path)
    monkeypatch.setattr(broker_cluster, "is_open", lambda address, port: address in state["answering"])
    monkeypatch.setattr(broker_cluster, "forget", lambda member, node: state["forgotten"].append((member, node)))
    monkeypatch.setattr(broker_cluster._blank, "hold", lambda key, value: True)
    monkeypatch.setattr(broker_cluster, "list_keys", lambda prefix: state["blank"])
    return state


def test_only_the_first_broker_begins_a_cluster_and_only_when_nobody_has_data(world: dict[str, Any]) -> None:
    assert "data-2 and data-3" in may_start(1)
    world["blank"] = {"data-2": {}}
    assert "data-3" in may_start(1)
    world["blank"] = {"data-1": {}, "data-2": {}, "data-3": {}}
    assert may_start(1) == ""
    assert "must join data-1 or data-3" in may_start(2)


def test_a_new_machine_joins_whoever_answers_and_its_old_membership_is_forgotten(world: dict[str, Any]) -> None:
    world["answering"] = {"10.0.0.3"}
    assert may_start(1) == ""
    assert world["forgotten"] == [("s-data-3", "s-data-1")]


def test_a_broker_with_data_starts_whoever_answers(world: dict[str, Any]) -> None:
    (world["folder"] / "rabbit@s-data-2").mkdir()
    assert may_start(2) == ""


@pytest.mark.parametrize(
    ("online", "missing"),
    [
        (["rabbit@s-data-1", "rabbit@s-data-2"], ""),
        (["rabbit@s-data-3"], "orders"),
        (["rabbit@s-data-1", "rabbit@s-data-3"], "orders"),
    ],
)
def test_a_broker_is_spared_only_with_a_majority_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
    online: list[str],
    missing: str,
) -> None:
    row = {"name": "orders", "type": "quorum", "members": [f"rabbit@s-data-{n}" for n in (1, 2, 3)], "online": online}
    monkeypatch.setattr(broker_cluster, "broker", lambda view, path: [row])
    said = wrong(broker_cluster.check_spared, view_of(3))
    assert missing in said and bool(said) == bool(missing)


@pytest.mark.parametrize(
    ("running", "said"),
    [(False, "broker s-data-3 is down, so the queues need this one"), (True, "RabbitMQ management: timed out")],
)
def test_a_broker_that_is_away_is_named_where_it_keeps_another_from_going(
    monkeypatch: pytest.MonkeyPatch,
    running: bool,
    said: str,
) -> None:
    nodes = [{"name": f"rabbit@s-data-{n}", "running": running or n != 3} for n in (1, 2, 3)]

    def broker(view: View, path: str) -> object:
        if "nodes" in path:
            return nodes
        raise Unhealthy("RabbitMQ management: timed out")

    monkeypatch.setattr(broker_cluster, "broker", broker)
    assert wrong(broker_cluster.check_spared, view_of(1)) == said


@pytest.mark.parametrize(("running", "said"), [(True, "1 quorum queues have no copy on this node yet"), (False, "")])
def test_a_broker_is_not_called_sick_for_the_silence_of_another(
    monkeypatch: pytest.MonkeyPatch,
    running: bool,
    said: str,
) -> None:
    """RabbitMQ lists queues within seconds only while all members are there."""
    nodes = [{"name": f"rabbit@s-data-{n}", "running": running or n != 3} for n in (1, 2, 3)]

    def broker(view: View, path: str) -> object:
        if not running:
            raise Unhealthy("timed out")
        return [{"name": "orders", "type": "quorum", "members": ["rabbit@s-data-2"]}]

    monkeypatch.setattr(probes, "broker", lambda view, path: nodes)
    monkeypatch.setattr(broker_cluster, "broker", broker)
    assert wrong(probes.rabbitmq, probe(), view_of(1)) == said


class Patroni:
    """Three members; orders change them as Patroni would."""

    def __init__(self, pending: str = "") -> None:
        self.leader, self.pending, self.orders = "data-1", set(pending.split()), list[str]()

    def members(self, _: Any) -> list[dict[str, Any]]:
        standby = "data-2" if self.leader == "data-1" else "data-1"
        return [
            {
                "name": member["key"],
                "state": "running",
                "api_url": f"http://{member['key']}/patroni",
                "role": "leader" if member["key"] == self.leader else "sync_standby" if member["key"] == standby else "replica",
                **({"pending_restart": True} if member["key"] in self.pending else {}),
            }
            for member in MEMBERS
        ]

    def post(self, url: str, what: dict[str, Any], seconds: float) -> str:
        name, order = url.removeprefix("http://").split("/")
        self.orders.append(f"{order} {name}")
        if order == "switchover":
            self.leader = what["candidate"]
        self.pending.discard(name)
        return ""


@pytest.fixture
def patroni(monkeypatch: pytest.MonkeyPatch) -> Patroni:
    fake = Patroni("data-1 data-2 data-3")
    monkeypatch.setattr(database_cluster, "list_members", fake.members)
    monkeypatch.setattr(database_cluster, "post", fake.post)
    monkeypatch.setattr(database_cluster, "load_manifest", lambda: view_of(1).manifest)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name in ("hold", "renew", "end"):
        monkeypatch.setattr(database_cluster._lock, name, lambda *_: True)
    return fake


def test_followers_restart_first_and_the_leader_hands_over_once(patroni: Patroni) -> None:
    assert database_cluster.restart_pending(lambda step, text: None) == 0
    # The old leader restarts by being a follower.
    assert patroni.orders == ["restart data-2", "restart data-3", "switchover data-1"]


def test_only_the_leader_hands_over_before_its_own_restart(patroni: Patroni, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in (2, 1):
        database_cluster.step_down(view_of(n).manifest, lambda step, text: None)
    assert patroni.orders == ["switchover data-1"]
    monkeypatch.setattr(database_cluster, "list_members", lambda _: [{"name": "data-1", "role": "leader"}])
    database_cluster.step_down(view_of(1).manifest, lambda step, text: None)
    assert patroni.orders == ["switchover data-1"]


def test_a_patroni_that_does_not_answer_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError("connection refused")

    monkeypatch.setattr(database_cluster, "list_members", refuse)
    told: list[str] = []
    database_cluster.step_down(view_of(1).manifest, lambda step, text: told.append(text))
    assert "connection refused" in told[0]


def test_nothing_restarts_without_need(patroni: Patroni) -> None:
    patroni.pending.clear()
    assert database_cluster.restart_pending(lambda step, text: None) == 0
    assert patroni.orders == []


@pytest.mark.parametrize(
    ("me", "roles", "at", "gone", "copied"),
    [
        (3, {"data-1": "leader", "data-2": "sync_standby", "data-3": "replica"}, "1/2A", "t", True),
        (3, {"data-1": "leader", "data-2": "sync_standby", "data-3": "replica"}, "1/2A", "f", False),
        (3, {"data-1": "leader", "data-2": "replica", "data-3": "replica"}, "1/2A", "t", False),
        (2, {"data-1": "leader", "data-2": "replica", "data-3": "replica"}, "1/2A", "t", True),
        (2, {"data-1": "leader", "data-2": "replica"}, "1/2A", "t", False),
        (3, {"data-2": "sync_standby", "data-3": "replica"}, "1/2A", "t", False),
        (3, {"data-1": "leader", "data-2": "sync_standby", "data-3": "replica"}, "", "t", False),
        (1, {"data-1": "leader", "data-2": "sync_standby", "data-3": "replica"}, "1/2A", "t", False),
    ],
)
def test_a_member_that_cannot_follow_is_copied_anew_while_two_others_have_data(
    monkeypatch: pytest.MonkeyPatch,
    patroni: Patroni,
    me: int,
    roles: dict[str, str],
    at: str,
    gone: str,
    copied: bool,
) -> None:
    monkeypatch.setattr(
        database_cluster,
        "list_members",
        lambda _: [{"name": name, "role": role, "state": "running"} for name, role in roles.items()],
    )
    monkeypatch.setattr(database_cluster, "query", lambda view, statement, own=False: at if "receive" in statement else gone)
    follower = database_cluster.Follower()
    assert follower.recopy(view_of(me)) == "" and patroni.orders == []
    assert ("1/2A" in follower.recopy(view_of(me))) == copied
    assert patroni.orders == ([f"reinitialize 10.0.0.{me}:8008"] if copied else [])


def test_a_member_that_moves_on_meanwhile_is_left_alone(monkeypatch: pytest.MonkeyPatch, patroni: Patroni) -> None:
    places = iter(["1/2A", "1/2B", ""])
    monkeypatch.setattr(database_cluster, "find_stuck", lambda _: next(places))
    follower = database_cluster.Follower()
    assert [follower.recopy(view_of(3)) for _ in range(3)] == ["", "", ""]
    assert patroni.orders == []


def test_the_last_database_does_not_leave(patroni: Patroni) -> None:
    alone = manifest(key="data-1", clusters={"postgresql": MEMBERS[:1]})
    with pytest.raises(ApplyError, match="no other node"):
        database_cluster.leave(alone, lambda step, text: None)


def test_a_message_counts_when_the_broker_has_confirmed_it() -> None:
    ours, theirs = socket.socketpair()
    connection = amqp.Connection.__new__(amqp.Connection)
    connection.socket = ours
    got = list[bytes]()

    def broker() -> None:
        for _ in range(3):
            kind, _, size = struct.unpack(">BHI", amqp.receive(theirs, 7))
            got.append(bytes([kind]) + amqp.receive(theirs, size + 1)[:-1])
        ack = struct.pack(">HHQB", *amqp.ACK, 1, 0)
        theirs.sendall(struct.pack(">BHI", 1, 1, len(ack)) + ack + amqp.END)

    thread = threading.Thread(target=broker)
    thread.start()
    connection.publish("webitel-drill", b"near 1")
    thread.join(5)
    assert [part[0] for part in got] == [amqp.METHOD, amqp.CONTENT, amqp.BODY] and got[2][1:] == b"near 1"
    ours.close()
    theirs.close()
