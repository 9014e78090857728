"""Files are replaced at once: whoever reads one, and a power cut, finds all of the former or all of the new one."""

import os
import re
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node import system

NODE = Path(system.__file__).parent


def test_mode_and_owner_are_there_before_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "webitel.pem"
    path.write_text("old")
    path.chmod(0o640)
    steps: list[str] = []
    for name in ("fchmod", "fchown", "fsync"):
        monkeypatch.setattr(os, name, lambda *_, name=name: steps.append(name))
    rename = Path.replace

    def watch(own: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(own, target)

    monkeypatch.setattr(Path, "replace", watch)
    system.replace_text(path, "new")
    assert path.read_text() == "new"
    assert steps == ["fchown", "fchmod", "fsync", "rename", "fsync"], "and the folder is on the disk too"


def test_owner_and_mode_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_text("old")
    path.chmod(0o640)
    before = path.stat()
    system.replace_text(path, "n\u00e9w \udcff")
    now = path.stat()
    assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert path.read_bytes() == b"n\xc3\xa9w \xff", "a byte that is no text stays what it was"


def test_a_full_disk_leaves_the_former_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        system.write_private(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_at_once_both_succeed(tmp_path: Path) -> None:
    path, failed = tmp_path / "state.json", list[BaseException]()

    def write(text: str) -> None:
        try:
            for _ in range(50):
                system.write_private(path, text)
                assert path.read_text() in ("a" * 9000, "b" * 9000)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(letter * 9000,)) for letter in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and list(tmp_path.iterdir()) == [path]


def test_what_a_killed_one_left_goes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "probe.json"
    left, fresh = (tmp_path / f".probe.json.{name}.webitel-new" for name in ("0123abcd", "4567abcd"))
    for one in (left, fresh):
        one.write_text("a secret")
    os.utime(left, (time.time() - 7200,) * 2)
    system.write_private(path, "new")
    assert sorted(tmp_path.iterdir()) == [fresh, path], "another one may still be at the other"


def test_nobody_elses_file_is_written_through(tmp_path: Path) -> None:
    """The staged file of a folder that a user owns."""
    target, link = tmp_path / "shadow", tmp_path / ".keys.webitel-new"
    target.write_text("theirs")
    link.symlink_to(target)
    system.stage(link, "ours", 0o600)
    assert target.read_text() == "theirs" and link.read_text() == "ours" and not link.is_symlink()


def test_there_is_one_way_to_replace_a_file() -> None:
    """What is staged together with others, what is a link or a folder, and what stands in memory have theirs."""
    others = {
        "system.py",
        "install.py",
        "apply/files.py",
        "apply/host.py",
        "apply/identity.py",
        "health/figures.py",
        "storage/disks.py",
    }
    renames = re.compile(r"fresh\w*\.(replace|rename)\(")
    found = {str(path.relative_to(NODE)) for path in NODE.rglob("*.py") if renames.search(path.read_text())}
    assert found == others
