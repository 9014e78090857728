"""Consul's key and certificate on a node: what an agent that has run goes on with, and what a rotation does in which order."""

import json
import threading
from pathlib import Path

import pytest

from cloud_init.node import turns
from cloud_init.node.ask.consul import ConsulError
from cloud_init.node.clusters import trust
from cloud_init.node.clusters.trust import Note, Trust
from tests.unit.node.entries import manifest


def pem(name: str) -> str:
    return f"-----BEGIN KEY-----\n{name}\n-----END KEY-----\n-----BEGIN CERTIFICATE-----\n{name}\n-----END CERTIFICATE-----\n"


OLD = {trust.KEY: "old-key=", trust.CERTIFICATE: pem("old")}
NEW = {trust.KEY: "new-key=", trust.CERTIFICATE: pem("new")}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node whose agent has run with the old ones; its Consul reloads."""
    for name, path in {
        "KEY_FILE": "webitel.json",
        "CERTIFICATE_FILE": "webitel.pem",
        "SERF": "serf",
        "IN_USE": "trust.json",
    }.items():
        monkeypatch.setattr(trust, name, tmp_path / path)
    (tmp_path / "serf").mkdir()
    (tmp_path / "webitel.json").write_text('{\n  "encrypt": "old-key=",\n  "server": true\n}\n')
    (tmp_path / "webitel.pem").write_text(pem("old"))
    monkeypatch.setattr(trust, "call", lambda *_, **__: None)
    return tmp_path


def used() -> Trust:
    found = trust.load()
    assert found
    return found


def note(key: str, trusts: tuple[str, ...], shows: str, ring: bool = False) -> Note:
    return {
        "key": trust.digest(key),
        "ring": ring,
        "trusts": [trust.digest(pem(one)) for one in trusts],
        "shows": trust.digest(pem(shows)),
    }


def test_an_agent_that_has_run_goes_on_with_what_it_has(node: Path) -> None:
    assert trust.fill(NEW) == OLD
    assert trust.fill(NEW) == OLD


def test_a_new_one_begins_with_what_it_is_given(node: Path) -> None:
    (node / "serf").rmdir()
    assert trust.fill(NEW) == NEW


def test_the_new_certificate_is_trusted_then_shown_then_the_only_one(node: Path) -> None:
    trust.fill(NEW)
    behind = note("new-key=", ("old",), "old")
    ready = note("new-key=", ("old", "new"), "old")
    trust.step(NEW, [behind])
    assert (node / "webitel.pem").read_text().startswith(pem("old")) and "\nnew\n" in (node / "webitel.pem").read_text()
    assert "KEY-----\nnew" not in (node / "webitel.pem").read_text()
    trust.step(NEW, [ready, behind])
    assert used()["shows"] == pem("old")
    trust.step(NEW, [ready, ready])
    assert (node / "webitel.pem").read_text().startswith(pem("new")) and "\nold\n" in (node / "webitel.pem").read_text()
    trust.step(NEW, [ready, note("new-key=", ("old", "new"), "new")])
    assert len(used()["trusts"]) == 2
    trust.step(NEW, [note("new-key=", ("old", "new"), "new")] * 2)
    assert (node / "webitel.pem").read_text() == pem("new")


def test_a_step_that_consul_did_not_take_up_is_done_again(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust.fill(NEW)

    def refuse(*_: object, **__: object) -> None:
        raise ConsulError("busy")

    with monkeypatch.context() as broken:
        broken.setattr(trust, "call", refuse)
        with pytest.raises(ConsulError):
            trust.step(NEW, [])
    assert len(used()["trusts"]) == 1
    trust.step(NEW, [])
    assert len(used()["trusts"]) == 2


def test_a_step_that_was_cut_off_before_consul_was_told_is_done_again(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust.fill(NEW)

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(trust, "call", die)
        with pytest.raises(SystemExit):
            trust.step(NEW, [])
    told: list[str] = []
    monkeypatch.setattr(trust, "call", lambda method, path, body=None, **_: told.append(path))
    trust.step(NEW, [])
    assert told == ["/v1/agent/reload"] and len(used()["trusts"]) == 2


def test_nothing_turns_while_up_compares(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust.fill(NEW)
    monkeypatch.setattr(trust, "read_given", lambda: NEW)
    monkeypatch.setattr(trust, "read_notes", lambda: [])
    monkeypatch.setattr(trust, "find_key", lambda key: {"holder": ""})
    looking = threading.Thread(target=trust.look, args=(manifest(),))
    with turns.held(turns.WRITING):
        looking.start()
        looking.join(0.3)
        assert (node / "webitel.pem").read_text() == pem("old") and looking.is_alive()
    looking.join(10)
    assert len(used()["trusts"]) == 2


def test_the_file_has_the_new_key_once_the_agent_has_no_other(node: Path) -> None:
    trust.fill(NEW)
    (node / "serf" / "local.keyring").write_text(json.dumps(["new-key=", "old-key="]))
    trust.step(NEW, [])
    assert '"old-key="' in (node / "webitel.json").read_text()
    (node / "serf" / "local.keyring").write_text(json.dumps(["new-key="]))
    trust.step(NEW, [])
    assert (node / "webitel.json").read_text() == '{\n  "encrypt": "new-key=",\n  "server": true\n}\n'
    assert trust.fill(NEW)[trust.KEY] == "new-key="


@pytest.mark.parametrize("other", [{}, note("old-key=", ("old",), "old")])
def test_no_ring_changes_before_every_node_was_given_the_key(monkeypatch: pytest.MonkeyPatch, other: Note) -> None:
    asked: list[str] = []
    rings = [{"Keys": {"old-key=": 2}, "NumNodes": 2}]

    def call(method: str, *_: object, **__: object) -> object:
        asked.append(method)
        return rings

    monkeypatch.setattr(trust, "call", call)
    trust.turn_ring("new-key=", [note("new-key=", ("old",), "old"), other])
    assert asked == []
    trust.turn_ring("new-key=", [note("new-key=", ("old",), "old")] * 2)
    assert asked == ["GET", "POST"]


def test_what_the_node_changes_by_itself_is_no_drift(node: Path) -> None:
    trust.fill(NEW)
    before = [trust.blank((node / name).read_bytes()) for name in ("webitel.json", "webitel.pem")]
    (node / "serf" / "local.keyring").write_text(json.dumps(["new-key="]))
    everybody = [note("new-key=", ("old", "new"), "new", ring=True)]
    for _ in range(3):
        trust.step(NEW, everybody)
        assert [trust.blank((node / name).read_bytes()) for name in ("webitel.json", "webitel.pem")] == before
    assert used()["trusts"] and pem("old") not in (node / "webitel.pem").read_text()
    (node / "webitel.pem").write_text(pem("planted"))
    assert trust.blank((node / "webitel.pem").read_bytes()) != before[1]


def test_a_rotation_says_who_holds_it_up() -> None:
    """And not everybody whom the same node holds up."""
    given, blind = note("new-key=", ("old", "new"), "old"), note("new-key=", ("old",), "old")
    shown, done = note("new-key=", ("old", "new"), "new"), note("new-key=", ("new",), "new", ring=True)

    def waited_for(*down: str, **notes: Note | dict[str, str]) -> list[str]:
        return trust.find_waited_for(NEW, notes, down)

    assert waited_for("app", db=given, app={}) == ["app"]
    assert waited_for("app", db=given, app=blind, web=blind) == ["app"], "who is there goes on by itself"
    assert waited_for(db=given, app=blind) == ["app"]
    assert waited_for("app", db=shown, app=given) == ["app"]
    assert waited_for(db=shown, app=shown) == ["db", "app"]
    assert waited_for("app", db=shown, app=shown) == ["app"]
    assert waited_for("app", db=shown, app=done) == ["app"], "no ring is changed while one is away"
    assert waited_for(db=done, app=done) == []
