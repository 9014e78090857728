"""A backup that nothing has ever looked for is told of: without a row there would be no figure, and no alert."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from cloud_init.node.backups import jobs, marks, recordings, repository, status
from cloud_init.node.backups.repository import BackupError
from cloud_init.node.clusters import database_data
from cloud_init.node.manifest import Manifest
from tests.unit.node.entries import manifest

LONG_AGO = 4000


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Manifest:
    """A node that was told of its bucket long ago, leads the database and runs Storage, and has looked for nothing."""
    for module in (repository, recordings):
        path = tmp_path / module.__name__
        path.touch()
        os.utime(path, (time.time() - LONG_AGO, time.time() - LONG_AGO))
        monkeypatch.setattr(module, "CONFIG", path)
    for module in (jobs, recordings):
        monkeypatch.setattr(module, "MEMORY", tmp_path / "nothing.json")
    for module in (marks, recordings):
        monkeypatch.setattr(module, "BUSY", tmp_path / f"{module.__name__}.lock")
    monkeypatch.setattr(database_data, "data_folder", lambda: tmp_path / "data")
    monkeypatch.setattr(jobs, "leads", lambda _: True)
    monkeypatch.setattr(status, "is_running", lambda _: True)
    bucket = {"host": "h", "port": 443}
    return manifest(
        backup={"stack": "s", "at": "02:30", "full_days": 7, **bucket},
        backup_files={"folder": "/nowhere", "unit": "storage", "days": 0, **bucket},
    )


def test_it_is_named(known: Manifest) -> None:
    (database,), (files,) = status.report(known), status.report_files(known)
    assert database["name"] == "backup" and database.get("warning") and "webitel-backup.timer" in database["why"]
    assert files["name"] == "recordings' backup" and files.get("warning") and "webitel-backup-files.timer" in files["why"]


def test_a_first_copy_that_takes_hours_is_none_that_never_began(known: Manifest) -> None:
    for busy, report in ((marks.BUSY, status.report), (recordings.BUSY, status.report_files)):
        with busy.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert report(known) == []
        assert report(known)


def test_a_node_that_was_just_told_of_its_bucket_has_time_to_look(known: Manifest) -> None:
    for path in (repository.CONFIG, recordings.CONFIG):
        os.utime(path)
    assert status.report(known) == status.report_files(known) == []


def test_a_node_that_has_nothing_to_back_up_says_nothing(known: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "leads", lambda _: False)
    monkeypatch.setattr(status, "is_running", lambda _: False)
    assert status.report(known) == status.report_files(known) == []
    assert status.report(manifest()) == status.report_files(manifest()) == []


def test_who_leads_is_the_databases_own_probes_matter(known: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_: Manifest) -> bool:
        raise BackupError("Patroni does not answer")

    monkeypatch.setattr(jobs, "leads", silent)
    assert status.report(known) == []
