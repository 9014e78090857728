"""Which data disks are formatted: none that may hold data."""

import shutil
import subprocess
from pathlib import Path

import pytest

from cloud_init.node.storage import disks
from cloud_init.node.system import ApplyError, run
from tests.unit.node import entries

WRITERS = ("mkfs.ext4", "mount", "systemctl")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have written; blkid and wipefs are the real ones."""
    told: list[list[str]] = []

    def record(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        if command[0] not in WRITERS:
            return run(command, seconds)
        told.append(command)
        return subprocess.CompletedProcess(command, 1, "", "not in a test")

    monkeypatch.setattr(disks, "run", record)
    return told


def test_a_disk_that_cannot_be_read_is_not_formatted(written: list[list[str]], tmp_path: Path) -> None:
    """Nobody reads a directory as a disk, and blkid says of it what it says of a broken one, and of an empty one."""
    with pytest.raises(ApplyError, match=r"disk database: .* cannot be read: Is a directory; it is not formatted"):
        disks.mount_device(tmp_path, "database", "/nowhere", entries.state())
    assert written == []


@pytest.mark.parametrize("size", [0, 4096, 16 << 20])
def test_an_empty_disk_is(written: list[list[str]], tmp_path: Path, size: int) -> None:
    device = tmp_path / "disk"
    device.write_bytes(bytes(size))
    with pytest.raises(ApplyError, match="not in a test"):
        disks.mount_device(device, "database", "/nowhere", entries.state())
    assert [command[0] for command in written] == ["mkfs.ext4"]


def test_what_another_system_left_is_let_alone(written: list[list[str]], tmp_path: Path) -> None:
    device = tmp_path / "disk"
    device.write_bytes(bytes(16 << 20))
    assert shutil.which("mkswap")
    subprocess.run(["mkswap", str(device)], check=True, capture_output=True)
    before = device.read_bytes()
    with pytest.raises(ApplyError, match="contains 'swap', not ext4: it was left alone"):
        disks.mount_device(device, "database", "/nowhere", entries.state())
    assert written == [] and device.read_bytes() == before
