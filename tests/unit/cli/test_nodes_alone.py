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


def test_two_runs_at_once_write_into_folders_of_their_own(tmp_path: Path) -> None:
    """pytest closes its folder of all runs of a user to other accounts, whose programs another run needs there."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "webitel1").symlink_to(tmp_path / "elsewhere")
    with command.files_apart(tmp_path) as first, command.files_apart(tmp_path) as second:
        assert (first.name, second.name) == ("webitel0", "webitel2"), "never through a link, which may be another one's"
        assert first.stat().st_mode & 0o777 == 0o755
    with command.files_apart(tmp_path) as again:
        assert again == first, "what ended runs wrote does not pile up"
