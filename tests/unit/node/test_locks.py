"""What moves: who may run it, and how `status` tells a unit that is ready from one that is missing."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node.ask import consul, view
from cloud_init.node.ask.consul import TTL_SECONDS, ConsulError
from cloud_init.node.clusters import keeper, locks, sip_address
from cloud_init.node.health import status
from cloud_init.node.report import ServiceRow
from cloud_init.node.system import ApplyError
from tests.unit.node.entries import manifest, service, unit

MANIFEST = manifest(
    node="s-app-2",
    key="app-2",
    address="10.0.0.2",
    units=[unit("webitel-logger", "logger", moves=True)],
    services=[
        service(
            "logger",
            units=["webitel-logger"],
            restarts_when_deaf=True,
            candidates=[{"key": f"app-{n}", "address": f"10.0.0.{n}"} for n in (1, 2)],
        )
    ],
)


@pytest.fixture
def lease(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> locks.Lease:
    """The second candidate's, past its head start; Consul does not answer until a test says otherwise."""
    monkeypatch.setattr(locks, "HELD", tmp_path)
    made = locks.Lease("logger", "app-2", 1)
    made.begins = 0.0
    monkeypatch.setattr(made, "ask", refuse)
    return made


def refuse(*_: object) -> bool:
    raise ConsulError("no leader")


def look(lease: locks.Lease, others: bool = False) -> bool:
    lease.look(False, lambda: True, lambda: others)
    return time.monotonic() < lease.until


def test_it_runs_no_longer_than_it_knows_the_lock_for_its_own(lease: locks.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    longest = locks.LEASE_SECONDS + locks.STOP_SECONDS + 1
    assert longest < TTL_SECONDS, "it has stopped before Consul gives the lock to another one"
    assert not look(lease, others=True), "what it does not run nobody can let it go on with"
    monkeypatch.setattr(lease, "ask", lambda *_: True)
    assert look(lease)
    until = lease.until
    monkeypatch.setattr(lease, "ask", refuse)
    assert look(lease) and lease.until == until, "it may end the time it has"
    assert look(lease, others=True) and lease.until > until
    monkeypatch.setattr(lease, "ask", lambda *_: False)
    assert not look(lease, others=True)


def test_who_let_another_one_go_on_does_not_begin_meanwhile(lease: locks.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not lease.stands_by(), "it has not looked yet"
    look(lease)
    assert lease.stands_by()
    monkeypatch.setattr(lease, "ask", lambda *_: True)
    assert not look(lease)
    lease.promised = time.monotonic() - 0.1
    assert look(lease) and not lease.stands_by()


def test_a_program_started_anew_goes_on_with_what_it_held(lease: locks.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.session.id = "a session"
    monkeypatch.setattr(lease, "ask", lambda *_: True)
    look(lease)
    again = locks.Lease("logger", "app-2", 1)
    assert (again.session.id, again.until) == ("a session", lease.until)
    monkeypatch.setattr(lease, "ask", lambda *_: False)
    look(lease)
    assert locks.Lease("logger", "app-2", 1).session.id == ""


def test_a_node_without_what_it_would_run_with_leaves_a_free_lock_to_the_others_for_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(locks, "HELD", tmp_path)
    held, lacks, asked = {"session": "another's", "holder": "edge-1", "index": "7"}, [True], list[str]()
    monkeypatch.setattr(locks, "find_key", lambda *_: held)

    def ask() -> bool:
        asked.append("asked")
        return lacks[0]

    made = locks.Lease("sip-address", "edge-2", 0, lacks=ask)
    monkeypatch.setattr(made.session, "hold", lambda *_: True)
    now = made.begins + 1000.0

    def takes(later: float) -> bool:
        return made.ask(now + later, False, lambda: True)

    assert not takes(0) and not asked
    held |= {"session": "", "holder": ""}
    assert not takes(2) and not takes(2 + locks.LEFT_ALONE_SECONDS - 1)
    assert takes(2 + locks.LEFT_ALONE_SECONDS), "nobody else did"
    held |= {"session": "another's"}
    assert not takes(100)
    held |= {"session": ""}
    assert not takes(102), "it begins anew"
    lacks[0] = False
    assert takes(103)
    other = locks.Lease("logger", "edge-2", 0)
    monkeypatch.setattr(other.session, "hold", lambda *_: True)
    assert other.ask(now, False, lambda: True), "no other service waits"


def test_what_a_program_started_anew_does_not_know_yet_it_does_not_act_on(
    lease: locks.Lease, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = keeper.Keeper.__new__(keeper.Keeper)
    made.services, made.ended = {"logger": MANIFEST["services"]}, threading.Event()
    made.woken, made.calls = threading.Event(), sip_address.Calls(lambda: None, threading.Event())
    monkeypatch.setattr(made, "rest", lambda lease: made.ended.set())
    monkeypatch.setattr(made, "gives_up", lambda lease: False)
    monkeypatch.setattr(made, "others_stand_by", lambda name: False)

    def start(left: float) -> locks.Lease:
        """As it was found in /run."""
        (tmp_path / "logger").write_text(json.dumps(["a session", time.monotonic() + left]))
        made.leases = {"logger": locks.Lease("logger", "app-2", 1)}
        return made.leases["logger"]

    start(5.0)
    assert made.may("logger") is True, "a lease that has not ended counts"
    again = start(-1.0)
    assert made.may("logger") is None
    monkeypatch.setattr(again, "ask", lambda *_: False)
    made.follow(again)
    assert made.may("logger") is False
    start(-1.0)
    later = time.monotonic() + locks.LEASE_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert made.may("logger") is False, "a look that hangs is waited for no longer than a lease lasts"


def test_the_watchdog_waits_longer_for_a_program_that_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    told, made = list[str](), keeper.Keeper.__new__(keeper.Keeper)
    made.services, made.threads, made.leases, made.socket = {}, [], {}, ""
    made.woken = threading.Event()
    made.ended, made.renewed = threading.Event(), threading.Event()
    monkeypatch.setattr(made, "notify", told.append)
    monkeypatch.setattr(made, "read_manifest", lambda: None)
    monkeypatch.setattr(keeper, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(made, "act", lambda: made.renewed.set() if len(told) > 2 else None)

    def become(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(os, "execve", become)
    with pytest.raises(InterruptedError):
        made.run()
    usual, longer = (f"WATCHDOG_USEC={seconds * 1e6:.0f}" for seconds in (locks.LEASE_SECONDS, keeper.RENEWAL_SECONDS))
    assert told == ["READY=1", "WATCHDOG=1", usual, "WATCHDOG=1", longer]


def report(monkeypatch: pytest.MonkeyPatch, active: str, holder: str | ConsulError) -> ServiceRow:
    """The Logger's row of the second node."""

    def list_keys(prefix: str) -> dict[str, dict[str, str]]:
        if isinstance(holder, ConsulError):
            raise holder
        return {"logger": {"Value": holder, "Session": "x"}} if holder else {}

    monkeypatch.setattr(view, "list_keys", list_keys)
    monkeypatch.setattr(status, "load_manifest", lambda: MANIFEST)
    monkeypatch.setattr(status, "unit_states", lambda names: {"webitel-logger": {"ActiveState": active, "LoadState": "loaded"}})
    monkeypatch.setattr(status, "last_lines", lambda unit: [])
    return status.ask({"logger"})["services"][0]


@pytest.mark.parametrize(
    ("active", "holder", "why", "standby"),
    [
        ("active", "app-2", "", ""),
        ("inactive", "app-1", "", "app-1"),
        ("failed", "app-1", "", "app-1"),
        ("inactive", "", "no node runs it: its lock in Consul is free", ""),
        ("inactive", "app-2", "webitel-logger is inactive", ""),
        ("active", "app-1", "it runs here, and its lock in Consul is held by app-1", "app-1"),
        ("active", "", "it runs here, and its lock in Consul is free", ""),
        ("inactive", ConsulError("Consul agent: refused"), "Consul agent: refused", ""),
    ],
)
def test_one_runs_and_the_others_are_ready(
    active: str,
    holder: str | ConsulError,
    why: str,
    standby: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = report(monkeypatch, active, holder)
    assert (row["why"], row["healthy"], row.get("standby", "")) == (why, not why, standby)
    assert status.describe(row) == (why or (f"standby, {standby} runs it" if standby else "ok"))


def test_handing_over_ends_when_another_node_has_the_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = iter([{"holder": "app-2", "session": "x"}, {"holder": "app-2", "session": ""}, {"holder": "app-1", "session": "y"}])
    monkeypatch.setattr(locks, "HELD", tmp_path)
    monkeypatch.setattr(locks, "find_key", lambda key: next(answers))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    locks.hand_over(MANIFEST, lambda step, text: None)
    assert next(answers, None) is None and locks.is_yielding()
    locks.take_again()
    assert not locks.is_yielding()
    monkeypatch.setattr(locks, "find_key", lambda key: {"holder": "", "session": ""})
    monkeypatch.setattr(locks, "HAND_OVER_SECONDS", -1.0)
    with pytest.raises(ApplyError, match="no other node takes over logger"):
        locks.hand_over(MANIFEST, lambda step, text: None)
    assert not locks.is_yielding(), "it keeps what nobody else takes"


def test_what_a_leader_that_has_not_read_its_log_denies_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"renew": None, "info": [{"ID": "one"}]}
    monkeypatch.setattr(consul, "call", lambda method, path, *_, **__: said[path.split("/")[3]])
    session = consul.Session("x")
    session.id = "one"
    assert session.keep() and session.id == "one"
    said["info"] = []
    assert not session.keep() and session.id == ""


def test_a_clock_that_jumps_neither_ends_a_hand_over_nor_makes_it_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HELD", tmp_path)
    locks.give_up()
    now = time.time()
    for then in (now - 86400, now + 86400):
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda then=then: then)
            assert locks.is_yielding()
    later = time.monotonic() + locks.YIELD_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert not locks.is_yielding()


def test_a_systemd_that_does_not_answer_ends_no_service_that_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the program systemd would stop what it looks after."""

    def refuse(units: list[str]) -> list[str]:
        raise ApplyError("systemd does not say")

    asked: list[object] = []
    made = keeper.Keeper.__new__(keeper.Keeper)
    made.services = {"logger": [service("logger")]}
    made.leases, made.told = {"logger": locks.Lease.__new__(locks.Lease)}, {}
    made.leases["logger"].until = made.leases["logger"].unsure_until = 0.0
    monkeypatch.setattr(keeper, "list_resting", refuse)
    monkeypatch.setattr(keeper, "systemctl", lambda *words: asked.append(words))
    made.act()
    assert asked == [] and "logger: systemd does not say" in capsys.readouterr().out
    monkeypatch.setattr(keeper, "list_resting", lambda units: [])
    made.act()
    assert asked[-1] == ("stop", "--no-block", "logger"), "at its next look"


def make_keeper(monkeypatch: pytest.MonkeyPatch, lease: locks.Lease) -> keeper.Keeper:
    """One with a lock, that looks once."""
    made = keeper.Keeper.__new__(keeper.Keeper)
    made.services, made.ended, made.woken = {lease.name: MANIFEST["services"]}, threading.Event(), threading.Event()
    made.leases, made.calls = {lease.name: lease}, sip_address.Calls(lambda: None, threading.Event())
    monkeypatch.setattr(made, "gives_up", lambda lease: False)
    monkeypatch.setattr(made, "rest", lambda lease: made.ended.set())
    return made


def test_a_lock_that_comes_or_goes_is_acted_upon_at_once(lease: locks.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_keeper(monkeypatch, lease)
    for held, woken in ((False, False), (True, True), (True, False), (False, True)):
        made.ended.clear()
        made.woken.clear()
        made.calls.woken.clear()
        monkeypatch.setattr(lease, "ask", lambda *_, held=held: held)
        made.follow(lease)
        assert (made.woken.is_set(), made.calls.woken.is_set()) == (woken, woken)


def test_nobody_sleeps_past_the_end_of_a_lease(lease: locks.Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    made, waits = make_keeper(monkeypatch, lease), list[float]()
    monkeypatch.setattr(made.woken, "wait", waits.append)
    for left in (0.1, 5.0, -1.0):
        lease.until = time.monotonic() + left
        assert not made.pause()
    assert 0 < waits[0] <= 0.1 and waits[1:] == [keeper.TICK_SECONDS, keeper.TICK_SECONDS]


def test_who_waits_for_a_change_and_reaches_no_server_is_known_to_be_deaf(
    lease: locks.Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the other one, deaf too, would not be let go on."""
    asked: list[tuple[str, str, float]] = []
    monkeypatch.setattr(locks, "await_key", lambda *words: asked.append(words))
    lease.seen = "7"
    lease.await_change(2.0)
    assert asked == [("webitel/locks/logger", "7", 2.0)] and not lease.stands_by()
    monkeypatch.setattr(locks, "await_key", refuse)
    lease.await_change(2.0)
    assert lease.stands_by()


def test_the_only_candidate_goes_on_while_its_lock_is_nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Consul may take a busy node for lost; where no other one could take over, that would only be silence."""
    monkeypatch.setattr(locks, "HELD", tmp_path)
    found, alone = {"session": "", "holder": "", "index": "7"}, [True]
    monkeypatch.setattr(locks, "find_key", lambda *_: found)
    made = locks.Lease("sip-address", "edge-1", 0, True, alone=lambda: alone[0])
    monkeypatch.setattr(made.session, "hold", lambda *_: False)
    assert not look(made), "it does not begin without its lock"
    made.until = time.monotonic() + 5
    assert look(made) and made.is_refused, "and tries again soon"
    alone[0] = False
    assert not look(made)
    alone[0], made.until = True, time.monotonic() + 5
    found["session"] = "another's"
    assert not look(made), "a second node is there by now"
