"""Tests on real nodes leave Incus as they found it, and alone what others brought up meanwhile."""

from pathlib import Path

import pytest

from cli.commands import test as command


@pytest.mark.parametrize(
    ("had_incus", "in_use", "stopped"),
    [(False, False, True), (False, True, False), (True, False, False)],
)
def test_incus_is_stopped_where_it_was_not_running_and_nobody_uses_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, had_incus: bool, in_use: bool, stopped: bool
) -> None:
    told: list[object] = []
    monkeypatch.setattr("tools.incus.images.cache_directory", lambda: tmp_path)
    monkeypatch.setattr("tools.incus.daemon.is_answering", lambda: had_incus)
    monkeypatch.setattr("tools.incus.clean.is_in_use", lambda: in_use)
    monkeypatch.setattr("tools.incus.stop_incus", told.append)
    monkeypatch.setattr(command, "SWEEP", ("true",))
    with command.nodes_alone(tmp_path, {}):
        assert told == []
    assert bool(told) is stopped
