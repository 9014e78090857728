"""What the node program writes of Consul's access lists; with a real Consul: `tests/sandbox/test_consul_access.py`."""

import json
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from cloud_init.node.ask import tokens
from cloud_init.node.clusters import access, access_lists
from tests.unit.node.entries import manifest, service

ROOT = Path(__file__).resolve().parents[3]
GIVEN = {tokens.PROGRAM: "program-token", tokens.AGENT_KEY: "key"}
AGENT = manifest(node="edge-1", services=[service("consul")])
SERVER = manifest(node="data-1", services=[service("consul"), service("consul-server")])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's files, with what the provider gave it."""
    monkeypatch.setattr(tokens, "IN_USE", tmp_path / "in-use.json")
    monkeypatch.setattr(tokens, "PROBE_SECRETS", tmp_path / "probe.json")
    for name in ("CONSUL_FILE", "CONSUL_DATA", "PATRONI_FILE"):
        monkeypatch.setattr(access, name, tmp_path / name.lower())
    monkeypatch.setattr(access, "CONSUL_OWNER", pwd.getpwuid(tmp_path.stat().st_uid).pw_name)
    monkeypatch.setattr(os, "fchown", lambda *arguments: None)
    (tmp_path / "probe.json").write_text(json.dumps(GIVEN))
    return tmp_path


def read() -> dict[str, object]:
    found: dict[str, object] = json.loads(access.CONSUL_FILE.read_text())["acl"]
    return found


def test_a_new_agent_is_closed_and_carries_no_token_that_consul_may_not_know(folder: Path) -> None:
    access.prepare(AGENT)
    assert read() == {"default_policy": "deny", "tokens": {}}
    assert access.CONSUL_FILE.stat().st_mode & 0o7777 == 0o640


def test_an_agent_that_ran_without_access_lists_goes_on_open(folder: Path) -> None:
    (access.CONSUL_DATA / "serf").mkdir(parents=True)
    access.prepare(AGENT)
    assert read()["default_policy"] == "allow"


def test_what_is_there_is_kept(folder: Path) -> None:
    access.CONSUL_FILE.write_text("as it was")
    access.prepare(AGENT)
    assert access.CONSUL_FILE.read_text() == "as it was"


def test_a_node_that_was_given_nothing_gets_no_access_lists(folder: Path) -> None:
    (folder / "probe.json").write_text("{}")
    access.prepare(AGENT)
    assert not access.CONSUL_FILE.exists()
    assert access.report(AGENT) is None


@pytest.mark.parametrize(("version", "word"), [("1.8.7", "master"), ("1.10.12", "master"), ("1.20.6", "initial_management")])
def test_a_server_makes_the_first_token_by_the_word_of_its_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, word: str
) -> None:
    shown = subprocess.CompletedProcess(["consul"], 0, f"Consul v{version}\nProtocol 2\n", "")
    monkeypatch.setattr(access, "run", lambda command, seconds: shown)
    access.name_management.cache_clear()
    (folder / "probe.json").write_text(json.dumps(GIVEN | {tokens.MANAGEMENT: "first-token"}))
    access.prepare(SERVER)
    access.name_management.cache_clear()
    assert read()["tokens"] == {word: "first-token"}


def test_patronis_file_gets_the_token_in_its_place_and_nothing_else_changes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def systemctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        asked.append(arguments)
        return subprocess.CompletedProcess(arguments, 0, "active\n", "")

    monkeypatch.setattr(access, "systemctl", systemctl)
    template = (ROOT / "cloud_init/files/postgresql/patroni.yml").read_text()
    empty = template.replace('{{ secret("consul_database_token") }}', "")
    access.PATRONI_FILE.write_text(empty)
    access.hand_to_patroni("a-token")
    assert access.PATRONI_FILE.read_text() == template.replace('{{ secret("consul_database_token") }}', "a-token") != empty
    assert asked[-1] == ("reload", "--no-block", "patroni")
    tokens.save_in_use({tokens.DATABASE: "a-token"})
    assert access.blank(access.PATRONI_FILE.read_bytes()) == empty.encode(), "drift is what others changed"


def test_files_get_the_token_in_use_and_not_the_one_that_consul_may_not_know(folder: Path) -> None:
    secrets = {"other": "value", tokens.DATABASE: "new"}
    assert access.fill(secrets) == {"other": "value", tokens.DATABASE: ""}
    tokens.save_in_use({tokens.DATABASE: "former"})
    assert access.fill(secrets) == {"other": "value", tokens.DATABASE: "former"}
    assert access.fill({"other": "value"}) == {"other": "value"}


def test_an_agents_token_is_a_uuid_of_its_own_node() -> None:
    one, other = tokens.derive("key", "edge-1"), tokens.derive("key", "edge-2")
    assert one != other
    assert one == tokens.derive("key", "edge-1") != tokens.derive("another key", "edge-1")
    assert [len(part) for part in one.split("-")] == [8, 4, 4, 4, 12]


def test_who_waits_for_consul_is_not_held_up_by_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(access, "TURN", folder / "turn")
    monkeypatch.setattr(access, "arm", refuse)
    assert access.look(AGENT) == access.SETTLED_SECONDS


def test_a_rotation_of_tokens_says_whose_former_ones_are_still_valid(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "probe.json").write_text(json.dumps(GIVEN | {tokens.MANAGEMENT: "first-token"}))
    monkeypatch.setattr(access, "read_policy", lambda: access.CLOSED)
    monkeypatch.setattr(access_lists, "list_nodes", lambda token=None: {"data-1", "app-1"})
    monkeypatch.setattr(access_lists, "list_down", lambda: {"app-1"})
    own = tokens.list_given("data-1")
    rows = {"data-1": {"Value": json.dumps({name: access_lists.digest(token) for name, token in own.items()})}}
    monkeypatch.setattr(access_lists, "list_keys", lambda prefix: rows)
    row = access.report(SERVER)
    assert row and row["why"].endswith("it obeys the former ones until then; waiting for app-1 (down)")
    rows["app-1"] = rows["data-1"] | {
        "Value": json.dumps(
            {
                tokens.PROGRAM: access_lists.digest("program-token"),
                tokens.AGENT: access_lists.digest(tokens.derive("key", "app-1")),
            }
        )
    }
    assert access.report(SERVER) is None
