"""Stand-ins that changed: which packages are stale, and what their new versions do."""

from subprocess import CompletedProcess

import pytest

from cloud_init.node import stand_ins

WANTED: stand_ins.Wanted = {
    "webitel-sandbox": {"version": "2", "actions": ["restart engine", "drain freeswitch"]},
    "webitel-engine": {"version": "1", "actions": ["restart engine"]},
    "grafana": {"version": "1", "actions": ["restart grafana-server"]},
}


@pytest.mark.parametrize(("shown", "stale", "actions"), [
    ("installed webitel-sandbox 1\ninstalled webitel-engine 1\n", ["webitel-sandbox"], ["restart engine", "drain freeswitch"]),
    ("installed webitel-engine 0\ninstalled webitel-sandbox 3\n", ["webitel-sandbox", "webitel-engine"],
     ["restart engine", "drain freeswitch"]),
    ("installed grafana 1\n", [], []),
    ("", [], []),
])
def test_only_what_is_there_in_another_version_is_stale(
    monkeypatch: pytest.MonkeyPatch, shown: str, stale: list[str], actions: list[str],
) -> None:
    monkeypatch.setattr(stand_ins, "run", lambda command, timeout: CompletedProcess(command, 1, shown, ""))
    assert stand_ins.find_stale(WANTED) == stale
    assert stand_ins.actions_of(stale, WANTED) == actions


def test_without_a_sandbox_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(stand_ins, "run")
    assert stand_ins.find_stale({}) == []
