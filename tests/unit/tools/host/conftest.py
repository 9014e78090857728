from pathlib import Path

import pytest

from tests.unit.tools.host.world import World
from tools.host import apt


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("WORLD", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(apt, "_LOCK", tmp_path / "apt.lock")
    monkeypatch.setattr(apt, "_SOURCES", tmp_path / "sources")
    return made
