"""What of this machine no unit test of the node program touches."""

import os
from pathlib import Path

import pytest

from cloud_init.node import install, owed, turns
from cloud_init.node.health import updates


@pytest.fixture(autouse=True)
def daily_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock of Debian's own timers: another program here that updates packages would have the tests wait for it."""
    lock: Path = tmp_path_factory.mktemp("apt") / "daily_lock"
    monkeypatch.setattr(install, "DAILY_LOCK", lock)
    return lock


@pytest.fixture(autouse=True)
def notes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock and the note that every process of the node program shares."""
    folder: Path = tmp_path_factory.mktemp("notes")
    # No test ends the machine, whose disks would have much to write.
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(turns, "WRITING", folder / "writing.lock")
    monkeypatch.setattr(owed, "OWED", folder / "owed.json")
    monkeypatch.setattr(updates, "FOUND", folder / "updates.json")
    return folder
