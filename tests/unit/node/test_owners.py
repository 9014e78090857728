"""A directory that gets another owner: everything in it, also what comes meanwhile, once."""

import os
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node.manifest import Manifest, empty_manifest
from cloud_init.node.storage import owners

OWNER = "webitel:webitel"
NUMBER = 12345


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings of two hours, and a number for the new owner."""
    top = tmp_path / "storage"
    for hour in ("10", "11"):
        (top / hour).mkdir(parents=True)
        (top / hour / "call.wav").write_text("audio")
        (top / hour / "call.wav").chmod(0o640)
    monkeypatch.setattr(owners, "PROGRESS", tmp_path / "count")
    monkeypatch.setattr(owners, "number_of", lambda owner: NUMBER)
    return top


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What was given to whom, instead of doing it: tests are not always root."""
    found: dict[str, int] = {}

    def chown(path: str, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        place = Path(path).readlink() if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink() / path
        found[str(place)] = uid

    monkeypatch.setattr("cloud_init.node.storage.owners.os.chown", chown)
    return found


def manifest(path: Path, key: str = "all-1", others: tuple[str, ...] = ()) -> Manifest:
    """A node with the directory; `others` may run the service too."""
    made: Any = empty_manifest()
    made["key"] = key
    disk = "share" if others else "recordings"
    made["directories"] = [{"path": str(path), "owner": OWNER, "mode": "0750", "disk": disk, "changed_owner": True}]
    made["services"] = [{"name": "storage", "candidates": [{"key": one, "address": ""} for one in others]}] if others else []
    checked: Manifest = made
    return checked


def age(top: Path, seconds: float) -> None:
    """Make every directory older."""
    for folder in (top, *top.rglob("*")):
        then = folder.stat().st_mtime - seconds
        os.utime(folder, (then, then))


def test_everything_is_given_and_the_group_gets_the_owners_rights(tree: Path, given: dict[str, int]) -> None:
    owners.own(tree, OWNER)
    assert set(given) == {str(path) for path in (tree, *tree.rglob("*"))}
    assert set(given.values()) == {NUMBER}
    assert (tree / "11" / "call.wav").stat().st_mode & 0o777 == 0o660


def test_what_came_meanwhile_is_given_before_the_first_start(tree: Path, given: dict[str, int]) -> None:
    age(tree, 3600)
    owners.own(tree, OWNER)
    given.clear()
    late = tree / "11" / "late.wav"
    late.write_text("audio")
    owners.finish(tree, manifest(tree))
    assert str(late) in given
    assert str(tree / "10" / "call.wav") not in given


def test_later_starts_walk_no_more(tree: Path, given: dict[str, int]) -> None:
    owners.own(tree, OWNER)
    owners.finish(tree, manifest(tree))
    given.clear()
    (tree / "11" / "late.wav").write_text("audio")
    owners.finish(tree, manifest(tree))
    assert not given


def test_a_walk_that_was_cut_off_begins_again(tree: Path, given: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(owners, "walk", die)
        with pytest.raises(KeyboardInterrupt):
            owners.own(tree, OWNER)
    owners.finish(tree, manifest(tree))
    assert set(given) == {str(path) for path in (tree, *tree.rglob("*"))}


def test_on_a_share_a_node_of_before_may_still_add_files_of_root(tree: Path, given: dict[str, int]) -> None:
    owners.own(tree, OWNER)
    both = ("storage-1", "storage-2")
    owners.finish(tree, manifest(tree, "storage-1", both))
    given.clear()
    late = tree / "11" / "late.wav"
    late.write_text("audio")
    owners.finish(tree, manifest(tree, "storage-1", both))
    assert str(late) in given
    owners.finish(tree, manifest(tree, "storage-2", both))
    given.clear()
    owners.finish(tree, manifest(tree, "storage-1", both))
    assert not given


def test_the_manifest_of_before_gives_nothing_back(tree: Path, given: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "number_of", {OWNER: NUMBER, "root:root": 0}.__getitem__)
    owners.own(tree, OWNER)
    former = manifest(tree)
    former["directories"] = [{"path": str(tree), "owner": "root:root", "mode": "0750", "disk": "recordings"}]
    owners.finish(tree, former)
    assert set(given.values()) == {NUMBER}


def test_a_link_is_not_followed(tree: Path, tmp_path: Path, given: dict[str, int]) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwords").write_text("")
    (tree / "link").symlink_to(outside)
    owners.own(tree, OWNER)
    assert str(tree / "link") in given and not any(path.startswith(str(outside)) for path in given)
