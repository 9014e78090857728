"""Recordings copied to the bucket and back: Debian's rclone with the rendered file, a real S3-compatible server."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloud_init.node.backups import recordings, status
from cloud_init.node.backups.repository import BackupError
from cloud_init.node.manifest import Manifest, empty_manifest
from tests.plans import compose_configuration, make_plan
from tests.sandbox.bucket import KEY, SECRET, ObjectStorage, run_bucket, settings_with

pytestmark = pytest.mark.sandbox


@dataclass
class Node:
    """A node that runs Storage, with files."""

    folder: Path
    storage: ObjectStorage
    manifest: Manifest
    runs: bool = True
    said: list[str] = field(default_factory=list)

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def record(self, name: str, seconds: float = 600) -> None:
        """A file that was written so long ago."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"words of {name}".encode() * 1000)
        os.utime(path, (time.time() - seconds, time.time() - seconds))

    def sums(self) -> dict[str, str]:
        found = (path for path in self.files.rglob("*") if path.is_file())
        return {str(path.relative_to(self.files)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}

    def copy(self) -> bool:
        return recordings.copy(self.manifest, lambda _, text: self.said.append(text))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("recordings")
    with run_bucket(folder / "storage") as storage, pytest.MonkeyPatch.context() as patch:
        settings = settings_with(storage)
        plan = make_plan(settings, "local-single")
        configuration = compose_configuration(plan, plan.nodes[0], settings)
        entry = configuration.manifest["backup_files"]
        assert (entry["folder"], entry["unit"]) == ("/var/lib/webitel/recordings/storage", "storage")
        manifest: Manifest = empty_manifest() | {"backup_files": {**entry, "folder": str(folder / "files")}}
        text = configuration.files["/etc/webitel/rclone.conf"]
        for name, value in {"backup_key": KEY, "backup_secret": SECRET}.items():
            text = text.replace("{{secret:" + name + "}}", value)
        (folder / "rclone.conf").write_text(text)
        (folder / "cipher").write_text("cipher-of-the-deployment\n")
        node = Node(folder, storage, manifest)
        patch.delenv("AWS_CA_BUNDLE", raising=False)  # of whoever runs the tests; rclone 1.60 cannot have both
        patch.setattr(recordings, "AUTHORITY", storage.authority)
        patch.setattr(recordings, "CONFIG", folder / "rclone.conf")
        patch.setattr(recordings, "CIPHER", folder / "cipher")
        patch.setattr(recordings, "MEMORY", folder / "memory.json")
        patch.setattr(recordings, "BUSY", folder / "busy")
        for module in (recordings, status):
            patch.setattr(module, "is_running", lambda _: node.runs)
        yield node


def test_where_none_were_ever_copied_none_are_missing(world: Node) -> None:
    """A restore is not to fail at its end for that."""
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert world.said[-1].startswith("the bucket has no recordings of this deployment")


def test_files_come_back_as_they_were_after_their_disk_was_lost(world: Node) -> None:
    world.record("recordings/2026/11/a.wav")
    world.record("data/ä file.txt", 90000)
    world.record("cache/nothing")
    assert world.copy(), world.said
    world.record("recordings/2026/11/b.wav")
    assert world.copy(), world.said
    before = {name: digest for name, digest in world.sums().items() if not name.startswith("cache/")}
    for path in world.storage.objects.rglob("*"):
        assert "a.wav" not in path.name and (not path.is_file() or b"words of" not in path.read_bytes())
    shutil.rmtree(world.files)
    world.files.mkdir()
    assert world.copy(), "an empty disk takes nothing away there"
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert world.sums() == before and len(before) == 3
    (row,) = status.report_files(world.manifest)
    assert row["why"].startswith("copied ") and not row.get("warning")


def test_a_file_that_is_being_written_waits(world: Node) -> None:
    world.record("recordings/now.wav", 5)
    assert world.copy()
    (world.files / "recordings" / "now.wav").unlink()
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert not (world.files / "recordings" / "now.wav").exists()


def test_a_bucket_that_is_away_is_named_and_a_late_copy_too(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    world.storage.stop()
    assert not world.copy()
    (row,) = status.report_files(world.manifest)
    assert row.get("warning") and "does not answer" in row["why"] and "copied" in row["why"]
    world.storage.start()
    assert world.copy(), world.said
    later = time.time() + 5 * 3600
    monkeypatch.setattr(time, "time", lambda: later)
    (row,) = status.report_files(world.manifest)
    assert row.get("warning") and row["why"] == "late: copied 5 hours ago"


def test_the_node_that_does_not_run_storage_copies_nothing(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "runs", False)
    assert world.copy() and status.report_files(world.manifest) == []


def test_a_restore_that_is_cut_leaves_nothing_in_place_and_the_next_one_brings_all(
    world: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        world.record(f"recordings/cut/{n}.wav")
    assert world.copy(), world.said
    before = world.sums()
    (world.files / "recordings" / "cut" / "0.wav").write_text("another one of that name")
    for n in range(1, 4):
        (world.files / "recordings" / "cut" / f"{n}.wav").unlink()
    here = world.sums()

    def cut(*words: str, **_: object) -> subprocess.CompletedProcess[str]:
        """The machine restarts when the first file is there and of the second one a half."""
        beside = Path(words[2])
        (beside / "recordings" / "cut").mkdir(parents=True)
        (beside / "recordings" / "cut" / "1.wav").write_bytes(b"half")
        assert world.sums() == here
        raise SystemExit

    run_rclone = recordings.run_rclone
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(recordings, "run_rclone", lambda *words, **how: (cut if words[0] == "copy" else run_rclone)(*words, **how))
        recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert world.sums() == here, "neither the half nor anything else"
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    name = "recordings/cut/0.wav"
    assert world.sums() == before | {name: here[name]}, "what is here is not replaced"
    assert not recordings.find_beside(world.manifest["backup_files"]).exists()


def test_files_that_are_damaged_in_the_bucket_are_named_and_the_others_come_back(world: Node) -> None:
    names = [f"recordings/damaged/{n}.wav" for n in range(4)]
    there = set(world.storage.objects.rglob("*"))
    for name in names:
        world.record(name)
    assert world.copy(), world.said
    before = world.sums()
    for name in names:
        (world.files / name).unlink()
    cut, changed, *_ = (path for path in world.storage.objects.rglob("*") if path.is_file() and path not in there)
    whole = {path: path.read_bytes() for path in (cut, changed)}
    cut.write_bytes(whole[cut][: len(whole[cut]) // 2])
    changed.write_bytes(whole[changed][:5000] + bytes(64) + whole[changed][5064:])
    with pytest.raises(
        BackupError, match=r"2 are damaged in the bucket and were left out: recordings/damaged/\d.wav, recordings"
    ):
        recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert len([name for name in names if (world.files / name).exists()]) == 2 and world.sums().items() <= before.items()
    for path, content in whole.items():
        path.write_bytes(content)
    recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
    assert world.sums() == before


def test_a_restore_for_which_the_disk_has_no_room_is_refused(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    world.record("recordings/large.wav")
    assert world.copy(), world.said
    (world.files / "recordings" / "large.wav").unlink()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 30, 1 << 30, 1 << 20))
    with pytest.raises(BackupError, match=r"1 files are missing, .* raise webitel:disk_sizes"):
        recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))


def test_with_another_key_nothing_is_said_to_be_back(world: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    world.record("recordings/key.wav")
    assert world.copy(), world.said
    other = world.folder / "other"
    other.write_text("another\n")
    monkeypatch.setattr(recordings, "CIPHER", other)
    with pytest.raises(BackupError, match="backup_cipher"):
        recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))


@pytest.mark.parametrize(("given", "told"), [(SECRET, "webitel:backup_key"), (":webitel/", "webitel:backup.url")])
def test_a_refused_log_in_and_a_bucket_that_is_not_there_are_told_apart(
    world: Node, monkeypatch: pytest.MonkeyPatch, given: str, told: str
) -> None:
    config = world.folder / "wrong.conf"
    config.write_text(recordings.CONFIG.read_text().replace(given, ":another/" if given.startswith(":") else "wrong"))
    monkeypatch.setattr(recordings, "CONFIG", config)
    with pytest.raises(BackupError, match=told):
        recordings.bring_back(world.manifest, lambda _, text: world.said.append(text))
