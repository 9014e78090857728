"""A node that is quiet: what speaks to the outside stays off, whoever looks, and says so."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node import quiet
from cloud_init.node.apply import drift, units
from cloud_init.node.ask.view import View
from cloud_init.node.clusters import keeper
from cloud_init.node.health import figures, probes, status, watch
from components.model.catalogue.services import CATALOGUE, find_speaking
from tests.unit.node.entries import manifest, probe, service, unit

NODE = manifest(
    stack="second",
    units=[unit("storage-db"), unit("call_center", speaks_outside=True), unit("bot", speaks_outside=True, moves=True)],
    services=[service("storage-db"), service("call_center", probe()), service("bot", probe())],
)


class Systemd:
    """Units with their states, and what was asked; it knows the condition of units."""

    def __init__(self, files: Path) -> None:
        self.files = files
        self.states = {entry["name"]: "active" for entry in NODE["units"]}
        self.asked: list[str] = []

    def __call__(self, verb: str, *names: str, **_: object) -> subprocess.CompletedProcess[str]:
        units = [name for name in names if not name.startswith("-")]
        self.asked.append(" ".join([verb, *units]))
        for name in units if verb in ("start", "stop", "restart") else ():
            barred = (self.files / f"{name}.service.d" / quiet.DROP_IN).exists() and quiet.MARK.exists()
            self.states[name] = "active" if verb != "stop" and not barred else "inactive"
        return subprocess.CompletedProcess([], 0, "", "")

    def show(self, names: list[str]) -> dict[str, dict[str, str]]:
        return {name: {"ActiveState": self.states[name], "UnitFileState": "enabled", "LoadState": "loaded"} for name in names}


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    made = Systemd(tmp_path / "units")
    monkeypatch.setattr(quiet, "MARK", tmp_path / "quiet.json")
    monkeypatch.setattr(quiet, "UNIT_FILES", made.files)
    for module in (quiet, units, watch, keeper):
        monkeypatch.setattr(module, "systemctl", made)
    monkeypatch.setattr(status, "unit_states", made.show)
    for module in (units, keeper):
        monkeypatch.setattr(module, "list_resting", lambda names: [name for name in names if made.states[name] != "active"])
    return made


def tell(*_: str) -> None:
    """Say nothing."""


def test_what_speaks_stops_and_nobody_starts_it_again(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet.begin(NODE, "https://bucket/a of first", "end", tell)
    off = {"storage-db": "active", "call_center": "inactive", "bot": "inactive"}
    assert systemd.states == off
    for drop_in in systemd.files.glob("*/*"):
        assert f"ConditionPathExists=!{quiet.MARK}" in drop_in.read_text()
    systemd.asked.clear()
    watch.start_dead(NODE)
    units.converge(NODE, ["restart call_center"], False, tell)
    made: Any = object.__new__(keeper.Keeper)
    made.manifest, made.services = NODE, {"bot": [NODE["services"][2]]}
    made.turn("bot", True, has_changed=False)
    assert not [asked for asked in systemd.asked if asked.startswith(("start", "restart"))], "nobody tries"
    systemd("start", "call_center")
    assert systemd.states == off, "and a person's attempt ends at the condition"
    quiet.begin(NODE, "https://bucket/a of first", "end", tell)
    assert systemd.states == off, "safe to run again"


def test_a_unit_that_a_new_configuration_brings_is_kept_off_too(systemd: Systemd) -> None:
    quiet.keep(NODE)
    assert not systemd.files.exists(), "not while nothing is quiet"
    quiet.begin(NODE, "u", "end", tell)
    quiet.keep(manifest(units=[*NODE["units"], unit("mailer", speaks_outside=True)]))
    assert (systemd.files / "mailer.service.d" / quiet.DROP_IN).exists()


def test_one_that_is_off_is_healthy_one_that_runs_is_not_and_the_node_says_how_it_ends(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "answer", lambda *_: pytest.fail("what is off is not asked"))
    assert quiet.report(NODE) is None
    quiet.begin(NODE, "u", "end", tell)
    off, states, view = quiet.list_units(NODE), systemd.show(list(systemd.states)), View(NODE)
    entry = NODE["services"][1]
    assert status.find_fault(entry, states, view, off) is None
    row = status.report_service(entry, None, states, {}, view, off)
    assert row["healthy"] and row["quiet"] and status.describe(row) == "off, the deployment is quiet"
    assert "webitel_probe_success" not in {name for name, *_ in figures.list_of_service(entry, row)}
    states["call_center"]["ActiveState"] = "active"
    fault = status.find_fault(entry, states, view, off)
    assert fault and "the deployment is quiet" in fault.says
    told = quiet.report(NODE)
    assert told and told["warning"] and "its restore has not ended" in told["why"]
    quiet.advance(quiet.WHOLE)
    told = quiet.report(NODE)
    assert told and "off: call_center, bot. ./webitel restore --go-live second ends it" in told["why"]


def test_it_is_no_drift_that_it_is_off(systemd: Systemd) -> None:
    assert drift.compare_unit("enabled", {"UnitFileState": "enabled", "ActiveState": "inactive"}) == "stopped"
    assert drift.compare_unit("enabled", {"UnitFileState": "enabled", "ActiveState": "inactive"}, may_rest=True) == ""


def test_it_goes_live_when_somebody_says_so_and_again(systemd: Systemd) -> None:
    quiet.begin(NODE, "u", "end", tell)
    for _ in range(2):
        quiet.end(NODE, tell)
        assert systemd.states == {"storage-db": "active", "call_center": "active", "bot": "inactive"}, "its lock decides"
        assert quiet.list_units(NODE) == [] and not list(systemd.files.glob("*/*")) and quiet.report(NODE) is None


def test_a_mark_that_nobody_can_read_is_quiet_all_the_same(systemd: Systemd) -> None:
    quiet.MARK.write_text("{")
    assert quiet.list_units(NODE) == ["bot", "call_center"]
    assert json.dumps(quiet.read()) and quiet.report(NODE)


def test_trunks_the_dialler_bots_mail_and_other_companies_stores_are_off_and_what_people_log_in_to_is_not() -> None:
    speaking = find_speaking(CATALOGUE)
    assert {"opensips", "webitel-uac", "call_center", "messages-srv", "messages-bot", "flow_manager", "storage"} <= speaking
    assert "sip-websocket" in speaking, "it leads nowhere else"
    assert not {"nginx", "engine", "webitel-api", "webitel-app", "postgresql", "rabbitmq", "consul", "grafana"} & speaking
