"""Limits of the host's kernel are raised, never lowered."""

from pathlib import Path

import pytest

from tools.incus.limits import LIMITS, raise_limits


def test_low_limits_are_raised_and_high_ones_kept(tmp_path: Path) -> None:
    for name in LIMITS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    high = tmp_path / "kernel/keys/maxkeys"
    high.write_text("999999\n")
    assert raise_limits(tmp_path) == []
    assert int((tmp_path / "fs/inotify/max_user_instances").read_text()) >= 1024
    assert high.read_text() == "999999\n"


def test_what_cannot_be_raised_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kernel/keys").mkdir(parents=True)
    (tmp_path / "kernel/keys/maxkeys").write_text("1\n")

    def refuse(self: Path, text: str) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert raise_limits(tmp_path) == ["kernel.keys.maxkeys"]
