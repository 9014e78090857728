"""The address of SIP: whose lock decides, what a take-over does and in which order, and what it leaves alone."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node.ask import redis
from cloud_init.node.ask.consul import TTL_SECONDS
from cloud_init.node.ask.redis import Answer
from cloud_init.node.clusters import keeper, locks, sip_address
from cloud_init.node.health import kept_calls, probes
from cloud_init.node.system import ApplyError, Unhealthy
from components.model.catalogue.telephony import REDIS
from components.model.settings import Settings
from components.model.share import resolve_catalogue
from tests.unit.node.entries import manifest, service

PAIR = Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}})
ONE_NODE = {one.kind for one in REDIS.probes}
CANDIDATES = [{"key": f"edge-{n}", "address": f"10.0.0.{n}"} for n in (1, 2)]
FOLLOWING = ("rtpengine", "opensips")
MANIFEST = manifest(
    key="edge-2",
    address="10.0.0.2",
    sip_address="10.0.0.9",
    services=[
        service("sip-address", units=[], candidates=CANDIDATES),
        service("redis"),
        *(service(name, candidates=CANDIDATES, lock="sip-address") for name in FOLLOWING),
    ],
)


class Node:
    """Its Redis and its interface, and all that was done to them."""

    def __init__(self) -> None:
        self.role, self.link, self.down, self.has, self.done = "slave", "up", 0, False, list[str]()
        self.kept = 0

    def ask_all(self, address: str, port: int, commands: list[tuple[str, ...]]) -> list[Answer]:
        return [self.answer(*command) for command in commands]

    def ask(self, address: str, port: int, *command: str) -> Answer:
        return self.answer(*command)

    def answer(self, *command: str) -> Answer:
        if command[0] == "INFO":
            extra = f"master_link_down_since_seconds:{self.down}\r\n" if self.link == "down" else ""
            return f"# Replication\r\nrole:{self.role}\r\nmaster_link_status:{self.link}\r\nmaster_host:10.0.0.1\r\n{extra}"
        if command[0] == "DBSIZE":
            return self.kept
        self.done.append(" ".join(command))
        if command[0] == "REPLICAOF":
            self.role = "master" if command[1] == "NO" else "slave"
        return "OK"

    def find_link(self, address: str) -> str:
        return "eth0" if address == MANIFEST["address"] or self.has else ""


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Node:
    made = Node()
    monkeypatch.setattr(redis, "ask", made.ask)
    monkeypatch.setattr(redis, "ask_all", made.ask_all)
    monkeypatch.setattr(sip_address, "find_link", made.find_link)
    monkeypatch.setattr(sip_address, "is_here", made.find_link)
    monkeypatch.setattr(sip_address, "PROMOTED", tmp_path / "promoted")
    monkeypatch.setattr(sip_address, "LEFT", tmp_path / "left")
    monkeypatch.setattr(sip_address, "TAKEN", tmp_path / "taken")
    monkeypatch.setattr(sip_address, "READ", ("true",))
    return made


def test_one_lock_is_that_of_all_that_moves_with_the_address() -> None:
    made = keeper.Keeper.__new__(keeper.Keeper)
    made.manifest, made.services = MANIFEST, {}
    for one in locks.list_moving(MANIFEST):
        made.services.setdefault(locks.find_lock(one), []).append(one)
    assert made.units("sip-address") == list(FOLLOWING)
    assert [one["key"] for one in made.others("sip-address")] == ["edge-1"]


def test_a_lost_node_is_noticed_sooner_and_never_before_it_has_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locks, "HELD", tmp_path)
    wanted = locks.Lease("sip-address", "edge-2", 1, noticed=True).session.wanted
    assert wanted["Checks"] == ["serfHealth"]
    soonest = 4.5 + locks.LOCK_DELAY_SECONDS
    assert wanted["LockDelay"] == "3s" and soonest > locks.NOTICED_LEASE_SECONDS + 2 * keeper.TICK_SECONDS
    assert soonest < TTL_SECONDS
    assert locks.Lease("logger", "edge-2", 1).session.wanted["Checks"] == []


def test_a_copy_takes_calls_and_one_that_is_old_forgets_them(node: Node) -> None:
    sip_address.promote(MANIFEST)
    assert node.done == ["REPLICAOF NO ONE"] and sip_address.PROMOTED.exists()
    sip_address.promote(MANIFEST)
    assert node.done == ["REPLICAOF NO ONE"], "once"
    for down, forgets in ((-1, False), (20, False), (sip_address.OLD_SECONDS + 1, True)):
        node.role, node.link, node.down, node.done = "slave", "down", down, []
        sip_address.promote(MANIFEST)
        assert ("FLUSHDB" in node.done) is forgets
        assert node.done[0] == "REPLICAOF NO ONE", "a copy takes no writes"


@pytest.mark.parametrize(
    ("kept", "ago", "forgets"),
    [
        (0, None, False),
        (3, None, True),
        (3, 20, False),
        (3, sip_address.OLD_SECONDS + 1, True),
    ],
)
def test_what_a_node_had_before_it_lost_the_lock_is_as_old_as_that(
    kept: int, ago: int | None, forgets: bool, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis says -1 of one that has copied from nobody since it was told to, also where it has what it had as a master."""
    if ago is not None:
        node.role = "master"
        sip_address.demote(MANIFEST)
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + ago)
    node.link, node.down, node.kept, node.done = "down", -1, kept, []
    sip_address.promote(MANIFEST)
    assert ("FLUSHDB" in node.done) is forgets


@pytest.mark.parametrize(
    ("role", "link", "down", "kept", "lacks"),
    [
        ("slave", "down", -1, 0, True),
        ("slave", "down", -1, 3, False),
        ("slave", "down", 4, 0, False),
        ("slave", "up", 0, 0, False),
        ("master", "", 0, 0, False),
    ],
)
def test_a_redis_that_has_copied_nothing_since_its_start_lacks_calls(
    role: str, link: str, down: int, kept: int, lacks: bool, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one that was told so by the other lacks none."""
    node.role, node.link, node.down, node.kept = role, link, down, kept
    assert sip_address.lacks_calls(MANIFEST) is lacks

    def refuse(*_: object) -> Answer:
        raise ConnectionRefusedError

    monkeypatch.setattr(redis, "ask", refuse)
    assert sip_address.lacks_calls(MANIFEST), "it has not started yet, or is dead: the other one's may have them"


def test_neighbours_are_told_for_as_long_as_the_address_is_here(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at first may have been lost, at a switch that came up later."""
    told, clock = list[float](), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(sip_address, "announce", lambda *_: told.append(clock[0] - 1000.0))
    monkeypatch.setattr(sip_address.Calls, "change", lambda *_: setattr(node, "has", True))
    calls = sip_address.Calls(lambda: True, threading.Event())
    calls.ready = True
    while clock[0] < 1030.0:
        calls.turn(MANIFEST, may=True)
        clock[0] += 0.5
    assert told == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 15.0, 25.0]


def test_the_address_is_taken_once_redis_takes_calls_and_given_up_before_anything_stops(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, changes = [True], list[str]()
    calls = sip_address.Calls(lambda: may[0], threading.Event())

    def change(self: sip_address.Calls, verb: str, address: str, link: str) -> None:
        changes.append(f"{verb} {address} {link} {node.role}")
        node.has = verb == "add"

    monkeypatch.setattr(sip_address.Calls, "change", change)
    monkeypatch.setattr(sip_address, "announce", lambda *_: changes.append("announce"))
    assert not calls.turn(MANIFEST, may=True) and not changes, "units wait for it"
    look(calls, monkeypatch)
    assert calls.turn(MANIFEST, may=True) and changes == ["add 10.0.0.9 eth0 master", "announce"]
    assert calls.turn(MANIFEST, may=True) and len(changes) == 2, "the next time is later"
    node.has = False
    assert calls.turn(MANIFEST, may=True) and changes[2:] == ["add 10.0.0.9 eth0 master", "announce"]
    may[0] = False
    assert calls.turn(MANIFEST, may=False) and changes[-1].startswith("del 10.0.0.9")
    look(calls, monkeypatch)
    assert node.done[-1] == "REPLICAOF 10.0.0.1 6379" and not calls.ready


def test_who_has_a_cloud_move_the_address_is_told_while_the_lock_is_here(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sip_address, "HELD", tmp_path / "held")
    monkeypatch.setattr(sip_address, "announce", lambda *_: None)
    monkeypatch.setattr(sip_address.Calls, "change", lambda _, verb, *__: setattr(node, "has", verb == "add"))
    calls = sip_address.Calls(lambda: True, threading.Event())
    calls.ready = True
    calls.turn(MANIFEST, may=True)
    assert not sip_address.HELD.exists(), "neighbours follow by themselves"
    moved = manifest(**{**MANIFEST, "address_move": {"by": "aws", "public": "198.19.0.9", "handle": "eipalloc-1"}})
    calls.turn(moved, may=True)
    assert sip_address.HELD.exists()
    calls.turn(moved, may=False)
    assert not sip_address.HELD.exists() and not node.has


def test_a_public_address_that_no_cloud_translates_comes_and_goes_with_it(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    links, here = {"10.0.0.2": "ens10", "198.18.0.2": "eth0"}, set[str]()

    def change(verb: str, address: str, link: str) -> None:
        (here.add if verb == "add" else here.discard)(address)
        done.append(f"{verb} {address} {link}")

    done = list[str]()
    monkeypatch.setattr(sip_address, "HELD", tmp_path / "held")
    monkeypatch.setattr(sip_address, "TAKEN", tmp_path / "taken")
    monkeypatch.setattr(sip_address, "is_here", lambda address: address in here)
    monkeypatch.setattr(sip_address, "find_link", lambda address: links.get(address, "its own"))
    monkeypatch.setattr(sip_address, "announce", lambda *_: None)
    calls = sip_address.Calls(lambda: True, threading.Event())
    monkeypatch.setattr(calls, "change", change)
    calls.ready = True
    way = {"by": "hetzner", "public": "198.19.0.9", "handle": "77", "beside": "198.18.0.2"}
    moved = manifest(**{**MANIFEST, "address_move": way})
    calls.turn(moved, may=True)
    calls.turn(moved, may=True)
    assert done == ["add 10.0.0.9 ens10", "add 198.19.0.9 eth0"] and (tmp_path / "taken").read_text() == "10.0.0.9"
    here.discard("198.19.0.9")
    calls.turn(moved, may=True)
    assert done[2:] == ["add 198.19.0.9 eth0"], "what somebody takes off is put back"
    calls.turn(moved, may=False)
    assert done[3:] == ["del 10.0.0.9 its own", "del 198.19.0.9 its own"] and not here


def test_the_address_is_given_up_whatever_network_it_was_put_there_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image's own programs may have put it there too."""
    shown = "2: ens5    inet 10.0.0.9/32 scope global ens5\n2: ens5    inet 10.0.0.9/20 scope global secondary ens5\n"
    asked: list[str] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(command[1:]))
        return subprocess.CompletedProcess(command, 0, shown if "show" in command else "", "")

    monkeypatch.setattr(sip_address, "run", run)
    sip_address.Calls(lambda: False, threading.Event()).change("del", "10.0.0.9", "ens5")
    assert asked[1:] == ["addr del 10.0.0.9/32 dev ens5", "addr del 10.0.0.9/20 dev ens5"]


def test_who_stands_by_has_the_program_of_calls_in_memory(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, ...]] = []

    class Reading:
        def __init__(self, words: tuple[str, ...], **_: object) -> None:
            begun.append(words)

        def poll(self) -> int | None:
            return None if len(begun) == 2 else 0

    may, clock = [True], [1000.0]
    calls = sip_address.Calls(lambda: may[0], threading.Event())
    monkeypatch.setattr(subprocess, "Popen", Reading)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    look(calls, monkeypatch)
    assert not begun, "who has calls runs it"
    may[0] = False
    for passed, times in ((0.0, 1), (1.0, 1), (sip_address.READ_AGAIN_SECONDS, 2), (sip_address.READ_AGAIN_SECONDS, 2)):
        clock[0] += passed
        look(calls, monkeypatch)
        assert begun == [("true",)] * times, "not again before it has ended"


def look(calls: sip_address.Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """One round of the thread."""
    ended = threading.Event()
    monkeypatch.setattr(sip_address, "load_manifest", lambda: MANIFEST)
    monkeypatch.setattr(calls, "rest", ended.set)
    calls.follow(ended)


def test_a_redis_that_hangs_holds_nobody_and_is_told(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class View:
        manifest = MANIFEST

    def hang(*_: object) -> Answer:
        raise TimeoutError

    monkeypatch.setattr(redis, "ask", hang)
    calls = sip_address.Calls(lambda: True, threading.Event())
    look(calls, monkeypatch)
    assert calls.ready and "Redis: TimeoutError" in capsys.readouterr().out
    look(calls, monkeypatch)
    assert capsys.readouterr().out == "", "once"
    node.has = True
    with pytest.raises(TimeoutError):
        sip_address.probe({"kind": "sip_address", "says": ""}, View())  # type: ignore[arg-type]


def test_the_watcher_leaves_the_other_nodes_calls_alone(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(kept_calls, "ask_rtpengine", lambda *words: asked.append(words))
    monkeypatch.setattr(kept_calls, "list_put_off", list)
    watcher = kept_calls.Keeper()
    watcher.stale = {"old": 0.0}
    watcher.look(MANIFEST, 1000.0)
    assert not asked and not node.done and watcher.stale == {}, "what was stale in its own time is not stale in the other's"


def test_a_copy_that_does_not_reach_the_other_is_told_and_not_restarted(node: Node) -> None:
    """It may be the last copy, and a restart empties it."""

    class View:
        manifest = MANIFEST

    said = node.answer

    def answer(*command: str) -> Answer:
        return "used_memory:1\r\nmaxmemory:100\r\n" if command == ("INFO", "memory") else said(*command)

    node.answer = answer  # type: ignore[method-assign]
    question = {"kind": "redis", "says": "", "address": "127.0.0.1", "port": 6379}
    node.link = "down"
    kept_calls.probe_redis(question, View())  # type: ignore[arg-type]
    (asked,) = [one for one in resolve_catalogue(PAIR)["redis"].probes if one.kind not in ONE_NODE]
    assert not asked.restart_cures
    with pytest.raises(Unhealthy, match=r"does not reach the Redis of 10\.0\.0\.1"):
        probes.PROBES[asked.kind]({"kind": asked.kind, "says": ""}, View())  # type: ignore[arg-type]
    for node.role, node.link in (("slave", "up"), ("master", "")):
        probes.PROBES[asked.kind]({"kind": asked.kind, "says": ""}, View())  # type: ignore[arg-type]


def make_keeper(monkeypatch: pytest.MonkeyPatch, may: bool | None) -> tuple[keeper.Keeper, list[str]]:
    """One whose lock is as told, and what it has done to units and the lock; the address stays on its interface."""
    made, done = keeper.Keeper.__new__(keeper.Keeper), list[str]()
    moving = [one for one in MANIFEST["services"] if locks.find_lock(one) == sip_address.SERVICE]
    made.manifest, made.services, made.told = MANIFEST, {sip_address.SERVICE: moving}, {}
    made.calls = sip_address.Calls(lambda: may, threading.Event())
    made.socket, made.threads, made.ended, made.renewed = "", [], threading.Event(), threading.Event()
    made.leases, made.woken = {}, threading.Event()
    monkeypatch.setattr(made, "may", lambda name: may)
    monkeypatch.setattr(keeper, "list_resting", lambda units: [])
    monkeypatch.setattr(keeper, "systemctl", lambda *words: done.append(" ".join(words)))
    return made, done


def stick(*_: object) -> None:
    raise ApplyError("10.0.0.9 on eth0: RTNETLINK answers: Operation not permitted")


def test_an_address_that_cannot_be_given_up_keeps_no_program_running(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node.has = True
    monkeypatch.setattr(sip_address.Calls, "change", stick)
    made, done = make_keeper(monkeypatch, may=False)
    made.act()
    assert done == [f"stop --no-block {' '.join(FOLLOWING)}"]
    assert "Operation not permitted" in capsys.readouterr().out
    done.clear()
    made.act()
    assert not done and "Operation not permitted" in capsys.readouterr().out, "it is tried again, and systemd left alone"


def test_a_lock_that_has_just_come_or_gone_needs_no_look(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers wait for it."""
    made, done = make_keeper(monkeypatch, may=True)
    monkeypatch.setattr(made, "has_turned", lambda may: True)
    made.told[sip_address.SERVICE] = False, 0.0

    def list_resting(units: list[str]) -> list[str]:
        done.append("look")
        return []

    monkeypatch.setattr(keeper, "list_resting", list_resting)
    made.act()
    assert done == [f"start --no-block {' '.join(FOLLOWING)}"]
    made.told[sip_address.SERVICE] = True, -100.0
    made.act()
    assert done[1:] == ["look"]


@pytest.mark.parametrize(
    ("states", "stopped"), [("dead\n\nstop-post\n", True), ("dead\n\nstop-sigterm\n", False), ("dead\n", False)]
)
def test_a_unit_without_a_process_has_stopped(states: str, stopped: bool, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = make_keeper(monkeypatch, may=False)
    monkeypatch.setattr(keeper, "systemctl", lambda *words: subprocess.CompletedProcess(words, 0, states, ""))
    assert made.is_stopped(sip_address.SERVICE) is stopped
    node.has = True
    assert not made.is_stopped(sip_address.SERVICE)


def test_what_nobody_hears_stops_before_the_address_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """UAC may take its time, in which audio goes on."""
    made, done = make_keeper(monkeypatch, may=True)
    following = [service(name, candidates=CANDIDATES, lock="sip-address") for name in (*FOLLOWING, "webitel-uac")]
    made.services[sip_address.SERVICE] = following
    monkeypatch.setattr(keeper, "systemctl", lambda *words, timeout: done.append(" ".join(words)))
    made.services["logger"] = [service("logger", candidates=CANDIDATES)]
    made.stop_first(sip_address.SERVICE)
    made.stop_first("logger")
    assert done == ["stop webitel-uac"]


def test_nothing_is_done_by_a_lock_of_which_nothing_is_known_yet(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its own renewal the program would take the address from a node that has calls, only to put it back."""
    node.has, node.role = True, "master"
    monkeypatch.setattr(sip_address.Calls, "change", stick)
    made, done = make_keeper(monkeypatch, may=None)
    made.act()
    look(made.calls, monkeypatch)
    assert not done and not node.done and node.role == "master" and not made.calls.ready


def test_a_program_that_ends_gives_its_locks_back_although_the_address_stays(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    node.has = True
    monkeypatch.setattr(sip_address.Calls, "change", stick)
    made, done = make_keeper(monkeypatch, may=False)
    made.services["logger"] = [service("logger")]

    class Held:
        until = 0.0

        class session:
            id = "a session"

        def give_back(self) -> None:
            done.append("given back")

    made.leases = {"sip-address": Held(), "logger": Held()}  # type: ignore[dict-item]
    monkeypatch.setattr(made, "is_stopped", lambda name: name == "logger")
    made.ended.set()
    assert made.run() == 0 and done == ["given back"], "the others'; that of the address only once nobody hears this node"
    assert "Operation not permitted" in capsys.readouterr().out


def test_a_node_alone_has_nobody_to_copy_from(node: Node) -> None:
    alone = manifest(
        key="edge-1", address="10.0.0.1", sip_address="10.0.0.9", services=[service("sip-address", candidates=CANDIDATES[:1])]
    )
    node.role = "master"
    sip_address.demote(alone)
    assert node.done == [] and node.role == "master"


@pytest.mark.parametrize("anew", [False, True])
def test_another_address_leaves_none_behind(anew: bool, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the program has begun anew meanwhile."""
    here, done = set[str](), list[tuple[str, str]]()

    def change(_: sip_address.Calls, verb: str, address: str, link: str) -> None:
        (here.add if verb == "add" else here.discard)(address)
        done.append((verb, address))

    monkeypatch.setattr(sip_address.Calls, "change", change)
    monkeypatch.setattr(sip_address, "is_here", lambda address: address in here)
    monkeypatch.setattr(sip_address, "announce", lambda *_: None)
    calls = sip_address.Calls(lambda: True, threading.Event())
    calls.ready = True
    assert calls.turn(MANIFEST, True) and here == {"10.0.0.9"}
    other = manifest(**{**MANIFEST, "sip_address": "10.0.0.8"})
    if anew:
        calls = sip_address.Calls(lambda: True, threading.Event())
        calls.ready = True
    assert calls.turn(other, True) and here == {"10.0.0.8"}
    assert done == [("add", "10.0.0.9"), ("del", "10.0.0.9"), ("add", "10.0.0.8")]
