"""Data disks: what a power cut in the middle may not take along."""

import os
from pathlib import Path

import pytest

from cloud_init.node.storage import disks

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


def test_a_power_cut_while_it_is_written_leaves_the_root_disk_in_it(fstab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(descriptor: int) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", cut)
    with pytest.raises(OSError, match="power cut"):
        disks.list_mount("/data", "2")
    assert fstab.read_text() == ROOT_LINE
