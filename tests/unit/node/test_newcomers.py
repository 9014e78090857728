"""A new machine while Consul's key and certificate are rotated: who says that it waits, and who is given up for it."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.ask import tokens
from cloud_init.node.ask.consul import ConsulError
from cloud_init.node.clusters import newcomers, trust
from cloud_init.node.health import status
from cloud_init.node.manifest import Manifest
from tests.unit.node.entries import manifest, service
from tests.unit.node.test_trust import NEW, OLD, pem

SERVER = manifest(node="s-data-1", services=[service("consul"), service("consul-server")])
BOTH: trust.Trust = {
    "key": "old-key=",
    "shows": pem("old"),
    "trusts": [*trust.make_new(OLD)["trusts"], *trust.make_new(NEW)["trusts"]],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What Consul is asked to change; it sees `s-app-1` no more, and `s-app-2`."""
    made: list[tuple[str, str]] = []

    def call(method: str, path: str, body: str | None = None, **_: Any) -> object:
        if method == "PUT":
            made.append((path, body or ""))
        return [{"Name": "s-app-1", "Status": 4}, {"Name": "s-app-2", "Status": 1}, {"Name": "s-app-3", "Status": 3}]

    monkeypatch.setattr(newcomers, "call", call)
    monkeypatch.setattr(trust, "read_given", lambda: NEW)
    monkeypatch.setattr(trust, "load", lambda: BOTH)
    monkeypatch.setattr(tokens, "list_in_use", lambda: {tokens.MANAGEMENT: "m"})
    return made


def test_the_former_machine_is_forgotten_once_its_successor_counts_as_ready(asked: list[tuple[str, str]]) -> None:
    assert "s-app-1" in newcomers.admit(SERVER, "s-app-1")
    (noted, note), (forgotten, _) = asked
    assert (noted, forgotten) == ("/v1/kv/webitel/trust/s-app-1", "/v1/agent/force-leave/s-app-1")
    new = trust.digest(pem("new"))
    assert json.loads(note) == {"key": trust.digest("new-key="), "ring": True, "shows": new, "trusts": [new]}


@pytest.mark.parametrize("node", ["s-app-2", "s-app-3", "s-app-4"])
def test_nobody_is_given_up_who_is_there_or_unknown(asked: list[tuple[str, str]], node: str) -> None:
    assert newcomers.admit(SERVER, node) == "" and asked == []


@pytest.mark.parametrize(
    ("machine", "used", "management"),
    [
        (SERVER, trust.make_new(NEW), "m"),
        (manifest(node="s-app-4", services=[service("consul")]), BOTH, "m"),
        (SERVER, BOTH, ""),
        (SERVER, None, "m"),
    ],
    ids=["no rotation", "no server", "no token yet", "an earlier version"],
)
def test_nothing_happens_elsewhere(
    asked: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, machine: Manifest, used: trust.Trust | None, management: str
) -> None:
    monkeypatch.setattr(trust, "load", lambda: used)
    monkeypatch.setattr(tokens, "list_in_use", lambda: {tokens.MANAGEMENT: management} if management else {})
    assert newcomers.admit(machine, "s-app-1") == "" and asked == []


ALONE = "alive: s-app-1 10.0.0.5:8301\nclock: 2\n"


def refuse(*_: object, **__: object) -> object:
    """An agent that knows no server."""
    raise ConsulError("HTTP 500 No known Consul servers")


@pytest.mark.parametrize(
    ("used", "ring", "met", "call", "expected"),
    [
        (trust.make_new(NEW), ["new-key="], ALONE, lambda *_, **__: "", True),
        (trust.make_new(NEW), ["new-key="], ALONE, refuse, True),
        (trust.make_new(NEW), ["new-key="], ALONE, lambda *_, **__: "127.0.0.1:8300", False),
        (trust.make_new(NEW), ["new-key="], f"{ALONE}alive: s-data-1 10.0.0.2:8301\nnot-alive: s-data-1\n", refuse, False),
        (trust.make_new(NEW), ["new-key="], f"{ALONE}not-alive: s-data-1\n", refuse, False),
        (trust.make_new(NEW), ["new-key=", "old-key="], ALONE, refuse, False),
        (BOTH, ["old-key="], ALONE, refuse, False),
        (None, [], ALONE, refuse, False),
    ],
    ids=[
        "a server",
        "an agent",
        "inside",
        "without a leader",
        "compacted",
        "its ring turns",
        "in a rotation",
        "an earlier version",
    ],
)
def test_only_a_new_machine_that_nobody_lets_in_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    used: trust.Trust | None,
    ring: list[str],
    met: str,
    call: Any,
    expected: bool,
) -> None:
    monkeypatch.setattr(trust, "SERF", tmp_path)
    (tmp_path / newcomers.SNAPSHOT).write_text(met)
    monkeypatch.setattr(newcomers, "call", call)
    monkeypatch.setattr(trust, "read_given", lambda: NEW)
    monkeypatch.setattr(trust, "load", lambda: used)
    monkeypatch.setattr(trust, "read_ring", lambda: ring)
    monkeypatch.setattr(status, "STATE", tmp_path / "state.json")
    node = manifest(node="s-app-1", key="app-1")
    assert newcomers.is_shut_out(node) is expected
    monkeypatch.setattr(status, "load_manifest", lambda: node)
    assert status.ask(brief=True).get("shut_out", False) is expected
    row = newcomers.report(node)
    assert bool(row) is expected and (row is None or (row["name"], row["healthy"]) == ("trust", True))
