"""A restore's steps on a node: who may begin, what `status` says of one that has not ended, what is never deleted."""

import fcntl
import io
import json
import subprocess
import time
from pathlib import Path

import pytest

from cloud_init.node.backups import jobs, marks, recordings, recovery, restore, status, steps
from cloud_init.node.backups.repository import BackupError
from cloud_init.node.clusters import database_data
from cloud_init.node.manifest import Manifest
from tests.unit.node.entries import manifest, unit

AT = "2026-11-29 13:45:00.000000+00"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the database of a node is whose units are all running."""
    folder = tmp_path / "postgresql" / "15"
    folder.mkdir(parents=True)
    monkeypatch.setattr(database_data, "data_folder", lambda: folder)
    monkeypatch.setattr(restore, "LOCK", tmp_path / "apply.lock")
    monkeypatch.setattr(recovery, "LOCK", tmp_path / "apply.lock")
    monkeypatch.setattr(marks, "BUSY", tmp_path / "busy")
    monkeypatch.setattr(jobs, "MEMORY", tmp_path / "memory.json")
    monkeypatch.setattr(restore, "BUSY_SECONDS", 0.0)
    monkeypatch.setattr(restore, "systemctl", lambda *_, **__: subprocess.CompletedProcess([], 0, "", ""))
    monkeypatch.setattr(restore, "is_running", lambda _: True)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    return folder


def node() -> Manifest:
    backup = {"stack": "s", "host": "h", "port": 443, "at": "02:30", "full_days": 7}
    return manifest(units=[unit("patroni")], backup=backup)


def step(name: str, capsys: pytest.CaptureFixture[str], at: str = AT) -> str:
    """Run one; return its error, "" where it was done."""
    done = steps.run(name, at, node(), lambda *_: None)
    said = capsys.readouterr().out.splitlines()
    return str(json.loads(said[-1])["error"]) if done else ""


def test_a_node_where_another_run_is_at_work_is_not_held(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert step("hold", capsys) == ""
    with (data.parents[1] / "apply.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "up, reboot or another restore is at work" in step("hold", capsys)
        assert "up, reboot or another restore is at work" in step("prepare", capsys)
    marks.write_mark(data, AT, marks.PROVED)
    with marks.BUSY.open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        assert "a backup or another restore is at work" in step("hold", capsys)


def test_what_is_not_restored_takes_nobodys_place(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "PG_VERSION").write_text("15")
    assert step("place", capsys) == f"nothing is restored to {AT} here"
    marks.write_mark(data, AT, marks.COPIED)
    assert step("place", capsys) == f"nothing is restored to {AT} here"
    marks.write_mark(data, AT, marks.PROVED)
    assert step("place", capsys) == f"nothing is restored to {AT} here", "somebody deleted it"
    assert "nothing was stopped" in step("ready", capsys)
    restored = marks.beside(data, "restored")
    restored.mkdir()
    (restored / "PG_VERSION").write_text("15")
    assert "nothing is restored to" in step("place", capsys, "2026-11-29 13:46:00+00")
    assert step("ready", capsys) == ""
    assert (data / "PG_VERSION").exists()


def test_a_member_that_leads_by_now_keeps_what_it_has(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "PG_VERSION").write_text("15")
    monkeypatch.setattr(jobs, "leads", lambda _: True)
    assert "leads the database by now" in step("follow", capsys)
    assert (data / "PG_VERSION").exists()
    monkeypatch.setattr(jobs, "leads", lambda _: False)
    assert step("follow", capsys) == "" and not data.exists()
    data.mkdir()
    (data / "copied again").touch()
    assert step("follow", capsys) == "" and (data / "copied again").exists(), "once"


def test_what_looks_for_due_backups_stands_still_and_begins_again_by_itself(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = {jobs.TIMER, jobs.UNIT, "webitel-watch"}

    def systemctl(verb: str, *names: str, **_: object) -> subprocess.CompletedProcess[str]:
        if verb == "stop":
            running.difference_update(names)
        elif verb == "start":
            running.update(names)
        return subprocess.CompletedProcess([], 0, "", "")

    monkeypatch.setattr(restore, "systemctl", systemctl)
    marks.write_mark(data, AT, marks.LEADS)
    assert step("stop", capsys) == "" and not running
    assert step("start", capsys) == "" and {jobs.TIMER, jobs.UNIT, "webitel-watch"} <= running
    assert status.report(node()) == [], "it is over"


@pytest.mark.parametrize(
    ("stage", "warns", "told"),
    [
        (marks.PROVED, False, "nothing is changed yet: ./webitel restore --at"),
        (marks.STOPPED, True, f"one to {AT} is not finished since"),
        (marks.LEADS, True, f"./webitel restore --at '{AT}' goes on"),
    ],
)
def test_status_names_a_restore_that_has_not_ended(data: Path, stage: str, warns: bool, told: str) -> None:
    assert status.report(node()) == []
    marks.write_mark(data, AT, stage)
    (row,) = status.report(node())
    assert row["name"] == "restore" and bool(row.get("warning")) == warns and told in row["why"]


def test_one_that_was_made_ready_and_forgotten_is_a_warning(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks.write_mark(data, AT, marks.PROVED)
    later = time.time() + 86400
    monkeypatch.setattr(time, "time", lambda: later)
    (row,) = status.report(node())
    assert row.get("warning") and str(marks.beside(data, "restored")) in row["why"]


def test_what_an_earlier_version_remembered_is_asked_again(data: Path) -> None:
    jobs.MEMORY.write_text(json.dumps({"looked": 1.0, "problem": "", "since": 0.0, "stanza": "s", "backups": [{"label": "l"}]}))
    assert status.report(node()) == []


def test_recordings_of_a_share_come_back_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(recordings, "is_running", lambda _: False)
    files = {"host": "h", "port": 443, "folder": str(data), "unit": "storage", "days": 0}
    recordings.bring_back(manifest(backup_files=files, share={}), lambda _, text: said.append(text))
    assert said == ["another node that has the share runs storage, and brings them back"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (recovery.UnreadError("piece 00000001 of the log: archive-get: zst error"), "can be restored: --at '"),
        (BackupError("restore: zst error"), "zst error"),
    ],
)
def test_what_is_before_a_damaged_piece_of_the_log_can_be_restored(data: Path, error: BackupError, said: str) -> None:
    told = str(recovery.explain_restore(data, error))
    assert told.startswith("what the bucket has is damaged, and nothing was changed here: ") and said in told
    assert ("--at" in told) == isinstance(error, recovery.UnreadError)
