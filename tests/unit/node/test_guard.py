"""A changed firewall or sshd that locks everybody out goes back by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.apply import guard
from cloud_init.node.system import ApplyError
from tests.unit.node.fake_node import FakeNode
from tests.unit.node.test_composed import change_template, given

TEMPLATES = {"nftables/nftables.conf": "/etc/nftables.conf", "ssh/60-webitel.conf": "/etc/ssh/sshd_config.d/60-webitel.conf"}
UNITS = {"nftables/nftables.conf": "nftables", "ssh/60-webitel.conf": "ssh"}


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNode:
    """A node that has its configuration, with every unit active."""
    node = FakeNode(tmp_path, monkeypatch)
    node.apply(given())
    node.units |= dict.fromkeys(node.units, True)
    monkeypatch.setattr(guard, "SECONDS", 0)
    monkeypatch.setattr(guard, "SLACK_SECONDS", 0.1)
    monkeypatch.setattr(guard, "PAUSE_SECONDS", 0.01)
    return node


def nobody() -> None:
    """Whoever is to log in cannot."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_without_a_new_log_in_the_files_of_before_are_back_and_loaded(
    template: str, running: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = running.root / TEMPLATES[template].lstrip("/")
    before, mode = path.read_text(), path.stat().st_mode
    seen: list[str] = []
    running.log_in = lambda: seen.append(path.read_text())
    with monkeypatch.context() as bad:
        change_template(bad, template)
        with pytest.raises(ApplyError, match=f"nobody could log in by SSH anew within .*{path} came back as before"):
            running.apply(given())
    assert seen == [f"{before}# another day\n"], "the new one was in place when the log-in was asked for"
    assert (path.read_text(), path.stat().st_mode) == (before, mode)
    reload = f"reload-or-restart {UNITS[template]}"
    assert [one for one in running.asked if reload in one] == [reload, reload]
    # The right setting, and then a good change.
    running.log_in = guard.confirm
    running.apply(given())
    assert path.read_text() == before
    change_template(monkeypatch, template)
    assert f"reload {UNITS[template]}" in running.apply(given())["actions"]
    assert path.read_text() == f"{before}# another day\n"


def test_the_clock_runs_before_anything_changes_and_ends_with_a_log_in(
    running: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs: list[list[str]] = []
    answer = running.answer
    path = running.root / "etc/nftables.conf"
    before = path.read_text()

    def watched(command: list[str]) -> tuple[int, str]:
        programs.append(command)
        if command[0] == "systemd-run":
            assert path.read_text() == before
            assert guard.ARMED.exists()
        return answer(command)

    monkeypatch.setattr(running, "answer", watched)
    change_template(monkeypatch, "nftables/nftables.conf")
    running.apply(given())
    timers = [command for command in programs if command[0] == "systemd-run"]
    assert [command[-2:] for command in timers] == [["--unit", "webitel-guard.service"]]
    assert not guard.ARMED.exists()
    assert programs.index(timers[0]) < max(n for n, one in enumerate(programs) if one[-2:] == ["stop", guard.TIMER])
    with pytest.raises(ApplyError, match="nothing waits for a log-in"):
        guard.confirm()


def test_where_the_clock_does_not_start_nothing_changes(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    path = running.root / "etc/nftables.conf"
    before, answer = path.read_text(), running.answer
    monkeypatch.setattr(running, "answer", lambda command: (1, "") if command[0] == "systemd-run" else answer(command))
    change_template(monkeypatch, "nftables/nftables.conf")
    with pytest.raises(ApplyError, match=r"webitel-guard.timer could not be started"):
        running.apply(given())
    assert path.read_text() == before and not guard.ARMED.exists()


@pytest.mark.parametrize("cut", ["before the reload", "while it waits"])
def test_a_run_that_was_cut_off_is_taken_back_by_the_next_start_or_run(
    cut: str, running: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host was killed, or the machine."""
    path = running.root / "etc/nftables.conf"
    before = path.read_text()

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    running.log_in = end
    with monkeypatch.context() as dying:
        change_template(dying, "nftables/nftables.conf")
        if cut == "before the reload":
            dying.setattr("cloud_init.node.apply.keys.reduce", end)
        with pytest.raises(KeyboardInterrupt):
            running.apply(given())
    assert path.read_text() != before and guard.ARMED.exists()
    # What the unit does.
    guard.revert()
    assert path.read_text() == before
    assert not guard.ARMED.exists() and json.loads(guard.REVERTED.read_text())["units"] == {"nftables": True}
    # A second call finds nothing.
    path.write_text("since then\n")
    guard.revert()
    assert path.read_text() == "since then\n"


def test_a_file_that_was_not_there_goes_and_a_unit_that_rested_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = FakeNode(tmp_path, monkeypatch)
    monkeypatch.setattr(guard, "SECONDS", 0)
    monkeypatch.setattr(guard, "SLACK_SECONDS", 0)
    node.log_in = nobody
    with pytest.raises(ApplyError, match="nobody could log in"):
        node.apply(given())
    assert not (tmp_path / "etc/nftables.conf").exists()
    assert "stop nftables" in node.asked and not node.units["nftables"]


def test_a_reload_that_fails_is_taken_back_at_once(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    path = running.root / "etc/nftables.conf"
    before, answer = path.read_text(), running.answer
    fails = [(1, "")]

    def refusing(command: list[str]) -> tuple[int, str]:
        return fails.pop() if command[-2:] == ["reload-or-restart", "nftables"] and fails else answer(command)

    monkeypatch.setattr(running, "answer", refusing)
    change_template(monkeypatch, "nftables/nftables.conf")
    with pytest.raises(ApplyError, match="nftables could not be reloaded"):
        running.apply(given())
    assert path.read_text() == before and not guard.ARMED.exists()


def test_a_refused_file_starts_no_clock(running: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: Callable[[str], bool] = lambda path: path.endswith("nftables.conf")  # noqa: E731
    running.refuses = refused
    change_template(monkeypatch, "nftables/nftables.conf")
    with pytest.raises(ApplyError, match="rejected by its own program"):
        running.apply(given())
    assert not guard.ARMED.exists() and "daemon-reload" not in running.asked


def test_the_files_that_may_lock_us_out_are_those_that_ssh_and_the_firewall_read() -> None:
    """Whoever gives either another file has it guarded too."""
    attributes = given().attributes
    assert {path for path, entry in attributes.items() if set(entry["actions"]) & set(guard.ACTIONS)} == set(TEMPLATES.values())
