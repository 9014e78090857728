"""Draining a FreeSWITCH: it waits for calls, gives up in time, and lets calls in again then."""

import pytest

from cloud_init.node import drain, sip
from cloud_init.node.manifest import ApplyError

MANIFEST = {
    "address": "127.0.0.1", "drain_timeout": 0.2,
    "services": [{"probes": [{"kind": "freeswitch", "address": "127.0.0.1", "port": 1}]}],
}


def answer_with(monkeypatch: pytest.MonkeyPatch, *counts: int) -> list[str]:
    """Let the event socket tell these numbers of calls, the last one for ever; returns what it was asked."""
    asked, left = list[str](), list(counts)

    def ask(arguments: object, view: object, command: str) -> str:
        asked.append(command)
        return f"\n{left.pop(0) if len(left) > 1 else left[0]} total.\n" if command.startswith("show") else "+OK"

    monkeypatch.setattr(sip, "ask_freeswitch", ask)
    monkeypatch.setattr(drain, "PAUSE", 0.01)
    return asked


def test_it_waits_until_no_call_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer_with(monkeypatch, 2, 1, 0)
    drain.drain(MANIFEST, lambda step, text: None)
    assert asked == ["fsctl pause inbound", *["show calls count"] * 3]


def test_it_gives_up_in_time_and_lets_calls_in_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer_with(monkeypatch, 3)
    with pytest.raises(ApplyError, match=r"3 calls still run after 0\.2 s"):
        drain.drain(MANIFEST, lambda step, text: None)
    assert asked[-1] == "fsctl resume inbound"


def test_an_answer_it_does_not_understand_is_no_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip, "ask_freeswitch", lambda *_: "-ERR no such command")
    monkeypatch.setattr(drain, "PAUSE", 0.01)
    with pytest.raises(ApplyError):
        drain.drain(MANIFEST, lambda step, text: None)
