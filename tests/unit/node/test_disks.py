"""Data disks: what a power cut in the middle may not take along."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from cloud_init.node.manifest import DirectoryEntry
from cloud_init.node.storage import disks
from cloud_init.node.system import ApplyError, is_mount_point

ROOT_LINE = "UUID=1 / ext4 defaults 0 1\n"


@pytest.fixture
def fstab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of mounts, with the root disk in it."""
    path = tmp_path / "fstab"
    path.write_text(ROOT_LINE)
    monkeypatch.setattr(disks, "FSTAB", path)
    return path


def test_a_mount_is_listed_once_with_the_disk_that_is_there(fstab: Path) -> None:
    disks.list_mount("/data", "2")
    disks.list_mount("/data", "3")
    first, second = fstab.read_text().splitlines()
    assert first == ROOT_LINE.strip()
    assert second.startswith("UUID=3 /data ext4 ") and "nofail" in second
    assert fstab.stat().st_mode & 0o777 == 0o644


def test_letters_of_another_encoding_stay_what_they_are(fstab: Path) -> None:
    fstab.write_bytes(b"# Datentr\xe4ger\n" + ROOT_LINE.encode())
    disks.list_mount("/data", "2")
    assert fstab.read_bytes().startswith(b"# Datentr\xe4ger\n" + ROOT_LINE.encode())


def test_a_power_cut_while_it_is_written_leaves_the_root_disk_in_it(fstab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(descriptor: int) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(OSError, match="power cut"):
        disks.list_mount("/data", "2")
    assert fstab.read_text() == ROOT_LINE


def test_a_directory_that_is_mounted_over_another_is_seen(tmp_path: Path) -> None:
    """It has the device of the folder around it, by which `os.path.ismount` takes it for none."""
    table = tmp_path / "mountinfo"
    table.write_text(f"36 35 0:32 /srv/database {tmp_path} rw - btrfs /dev/loop0 rw\n")
    assert is_mount_point(str(tmp_path), table)
    assert not is_mount_point(str(tmp_path / "other"), table)


def test_a_directory_that_is_not_ours_is_left_alone(fstab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    done = subprocess.CompletedProcess[str]([], 0, "", "")

    def run(command: list[str], *rest: object) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return done

    monkeypatch.setattr(disks, "run", run)
    monkeypatch.setattr(disks, "systemctl", lambda *arguments: done)
    theirs, mount = tmp_path / "theirs", str(tmp_path / "mount")
    theirs.mkdir()
    (theirs / "file").touch()
    with pytest.raises(ApplyError, match="is not empty, and nothing in it says that it is ours"):
        disks.mount_directory(theirs, "database", mount)
    with pytest.raises(ApplyError, match="is no directory"):
        disks.mount_directory(theirs / "file", "database", mount)
    assert ran == [] and fstab.read_text() == ROOT_LINE
    (theirs / disks.SENTINEL).touch()
    disks.mount_directory(theirs, "database", mount)
    assert ran == [["mount", mount]]
    assert fstab.read_text().splitlines()[1] == f"{theirs} {mount} none bind,nofail 0 0"


def test_a_directory_is_never_there_with_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed between making it and giving it away would leave one that its service cannot write to."""
    entry: DirectoryEntry = {"path": f"{tmp_path}/deep/data", "owner": "postgres:postgres", "mode": "0700", "disk": "database"}
    given: list[str] = []

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(shutil, "chown", die)
        with pytest.raises(SystemExit):
            disks.make_directories([entry])
    assert not Path(entry["path"]).exists()
    monkeypatch.setattr(shutil, "chown", lambda path, owner, group: given.append(f"{owner}:{group}"))
    disks.make_directories([entry])
    assert given == ["postgres:postgres"] and Path(entry["path"]).stat().st_mode & 0o7777 == 0o700
    disks.make_directories([entry])
    assert given == ["postgres:postgres"] and list((tmp_path / "deep").iterdir()) == [Path(entry["path"])]


def test_a_disk_that_was_cut_off_while_it_was_marked_is_still_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks.sentinel(str(tmp_path)).touch()
    assert disks.mark("database", str(tmp_path), "aws-basic"), "as new: nothing else of that step was done"
    assert disks.sentinel(str(tmp_path)).read_text() == "aws-basic database\n"
    assert not disks.mark("database", str(tmp_path), "aws-basic")
    with pytest.raises(ApplyError, match="belongs to"):
        disks.mark("recordings", str(tmp_path), "aws-basic")
    disks.sentinel(str(tmp_path)).unlink()

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        disks.mark("database", str(tmp_path), "aws-basic")
    assert not disks.sentinel(str(tmp_path)).exists()
