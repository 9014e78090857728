"""The brokers' cookie on a node: what a broker that has run goes on with, and when a rotation turns it."""

import json
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from cloud_init.node.clusters import cookie
from cloud_init.node.manifest import Manifest

OLD, NEW = "old-cookie", "new-cookie"
MANIFEST = cast(
    Manifest,
    {
        "node": "t-data-1",
        "clusters": {"rabbitmq": [{"key": f"data-{n}", "name": f"t-data-{n}", "address": ""} for n in (1, 2, 3)]},
    },
)


class Node:
    """One with a broker that has run with the old cookie; `notes` is what Consul holds, `asked` what its broker was told."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.notes: dict[str, str] = {}
        self.asked: list[list[str]] = []
        self.runs, self.takes = True, True
        self.data = folder / "mnesia"
        (self.data / "rabbit@t-data-1").mkdir(parents=True)
        self.file, self.secrets = folder / ".erlang.cookie", folder / "secrets.json"
        self.file.write_text(OLD)
        self.file.chmod(0o400)
        self.give(OLD)
        patch.setattr(cookie, "FILE", self.file)
        patch.setattr(cookie, "BEFORE", folder / "cookie.json")
        patch.setattr(cookie, "FRESH", folder / ".erlang.cookie.fresh")
        patch.setattr(cookie, "DATA", self.data)
        patch.setattr(cookie, "PROBE_SECRETS", self.secrets)
        patch.setattr(cookie, "is_running", lambda unit: self.runs)
        patch.setattr(cookie, "run", self.run)
        patch.setattr(cookie, "list_keys", lambda prefix: {name: {"Value": text} for name, text in self.notes.items()})
        patch.setattr(cookie, "find_key", lambda key: {"holder": self.notes.get(key.removeprefix(cookie.NOTES), "")})
        patch.setattr(cookie, "call", self.put)

    def give(self, secret: str) -> None:
        self.secrets.write_text(json.dumps({cookie.SECRET: secret}))

    def run(self, command: list[str], *_: object) -> subprocess.CompletedProcess[str]:
        """What the broker does with the expression."""
        self.asked.append(command)
        if self.takes:
            cookie.FRESH.rename(self.file)
        return subprocess.CompletedProcess(command, 0 if self.takes else 1, "", "")

    def put(self, method: str, path: str, body: str) -> Any:
        self.notes[path.rpartition("/")[2]] = body

    def note(self, *names: str) -> None:
        """The others say that they were given the new one."""
        for name in names:
            self.notes[name] = json.dumps({"given": cookie.digest(NEW), "used": cookie.digest(OLD)})


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_a_broker_that_has_run_goes_on_with_what_it_has(node: Node) -> None:
    assert cookie.fill({cookie.SECRET: NEW, "other": "x"}) == {cookie.SECRET: OLD, "other": "x"}
    assert cookie.fill({"other": "x"}) == {"other": "x"}


def test_a_new_one_begins_with_what_it_is_given(node: Node) -> None:
    (node.data / "rabbit@t-data-1").rmdir()
    assert cookie.fill({cookie.SECRET: NEW}) == {cookie.SECRET: NEW}


def test_nothing_turns_before_every_broker_was_given_the_new_one(node: Node) -> None:
    node.give(NEW)
    node.note("t-data-2")
    cookie.look(MANIFEST)
    assert not node.asked and node.file.read_text() == OLD
    row = cookie.report(MANIFEST)
    assert row and row["why"] == "the brokers' cookie is being rotated; waiting for t-data-3"
    node.note("t-data-3")
    cookie.look(MANIFEST)
    assert len(node.asked) == 1 and node.file.read_text() == NEW and node.file.stat().st_mode & 0o777 == 0o400
    assert json.loads(node.notes["t-data-1"]) == {"given": cookie.digest(NEW), "used": cookie.digest(NEW)}
    assert cookie.report(MANIFEST) is None
    cookie.look(MANIFEST)
    assert len(node.asked) == 1


def test_a_cookie_is_on_no_command_line(node: Node) -> None:
    node.give(NEW)
    node.note("t-data-2", "t-data-3")
    cookie.look(MANIFEST)
    assert NEW not in " ".join(node.asked[0]) and OLD not in " ".join(node.asked[0])


def test_a_broker_that_does_not_take_it_is_asked_again(node: Node) -> None:
    node.give(NEW)
    node.note("t-data-2", "t-data-3")
    node.takes = False
    cookie.look(MANIFEST)
    assert node.file.read_text() == OLD and json.loads(node.notes["t-data-1"])["used"] == cookie.digest(OLD)
    node.takes = True
    cookie.look(MANIFEST)
    assert node.file.read_text() == NEW


def test_a_broker_that_is_down_begins_with_the_new_one(node: Node) -> None:
    node.give(NEW)
    node.note("t-data-2", "t-data-3")
    node.runs = False
    cookie.look(MANIFEST)
    assert not node.asked and node.file.read_text() == NEW


def test_a_node_without_a_broker_and_one_of_an_earlier_version_do_nothing(node: Node) -> None:
    node.secrets.write_text("{}")
    cookie.look(MANIFEST)
    assert not node.notes and cookie.report(MANIFEST) is None


def test_a_rotation_is_no_drift(node: Node) -> None:
    node.give(NEW)
    cookie.fill({cookie.SECRET: NEW})
    before = cookie.blank(node.file.read_bytes())
    node.note("t-data-2", "t-data-3")
    cookie.look(MANIFEST)
    assert cookie.blank(node.file.read_bytes()) == before
    assert cookie.blank(b"mine") == b"mine"


def test_a_first_start_is_no_drift_and_another_ones_cookie_is(node: Node) -> None:
    (node.data / "rabbit@t-data-1").rmdir()
    before = cookie.blank(node.file.read_bytes())
    (node.data / "rabbit@t-data-1").mkdir()
    assert cookie.blank(node.file.read_bytes()) == before
    node.file.chmod(0o600)
    node.file.write_text("theirs")
    assert cookie.blank(node.file.read_bytes()) != before
