"""Security updates that wait, as `drift` tells them beside what was changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import drift
from components.model.report import MachineRow, NodeReport, make_silent_report
from tests.unit.cli.fakes import make_engine


def test_waiting_updates_are_told_by_node_and_are_no_drift(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = MachineRow(name="security updates", healthy=True, warning=True, packages={"nginx": "1.2", "haproxy": "2.7"})
    reports = {
        "edge-1": NodeReport(node="s-edge-1", key="edge-1", healthy=True, machine=(row,)),
        "app-1": NodeReport(node="s-app-1", key="app-1", healthy=True),
        "data-1": make_silent_report("data-1", "s-data-1", "no answer"),
    }
    engine = make_engine(tmp_path, "")
    monkeypatch.setattr(type(engine), "resources", lambda _: [])
    monkeypatch.setattr("cli.nodes.access.read_access", lambda _: None)
    monkeypatch.setattr("cli.nodes.reports.ask_status", lambda _: reports)
    assert drift.ask_reports(engine) == {}, "before `up` has met a node there is nobody to ask"
    monkeypatch.setattr("cli.nodes.access.list_met", lambda _: [{}])
    waiting = drift.find_waiting(drift.ask_reports(engine))
    assert waiting == {"edge-1": {"nginx": "1.2", "haproxy": "2.7"}}
    drift.show_waiting(waiting, "s")
    said = capsys.readouterr().out
    assert "edge-1: 2 security updates waiting: nginx, haproxy" in said and "Next: ./webitel upgrade s --security" in said
    drift.show_waiting({}, "s")
    assert capsys.readouterr().out == ""
