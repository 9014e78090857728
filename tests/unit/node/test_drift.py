"""What counts as drift."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node import turns
from cloud_init.node.apply import drift, sshd
from cloud_init.node.apply.drift import compare_accounts, compare_file, compare_package, compare_unit, describe_file


def test_a_file_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "one.conf"
    file.write_text("password = secret-of-somebody\n")
    file.chmod(0o600)
    was = describe_file(file)
    assert "secret" not in str(was)
    assert compare_file(was, describe_file(file)) == ""
    file.chmod(0o644)
    assert compare_file(was, describe_file(file)) == "mode or owner changed"
    file.write_text("password = other\n")
    assert compare_file(was, describe_file(file)) == "content changed"
    file.unlink()
    assert compare_file(was, describe_file(file)) == "is gone"
    file.symlink_to("/etc/hostname")
    assert compare_file(was, describe_file(file)) == "is gone"


@pytest.mark.parametrize(
    ("now", "what"),
    [
        ({"UnitFileState": "enabled", "ActiveState": "active"}, ""),
        ({"UnitFileState": "enabled", "ActiveState": "activating"}, ""),
        ({"UnitFileState": "disabled", "ActiveState": "active"}, "disabled"),
        ({"UnitFileState": "masked", "ActiveState": "inactive"}, "masked and stopped"),
        ({"UnitFileState": "enabled", "ActiveState": "inactive"}, "stopped"),
        ({"UnitFileState": "enabled", "ActiveState": "failed"}, "failed"),
        ({"LoadState": "not-found", "UnitFileState": "", "ActiveState": "inactive"}, "is gone"),
    ],
)
def test_units(now: dict[str, str], what: str) -> None:
    assert compare_unit("enabled", now) == what


def test_a_unit_that_moves_may_be_stopped() -> None:
    now = {"LoadState": "loaded", "UnitFileState": "disabled", "ActiveState": "inactive"}
    assert compare_unit("disabled", now) == "stopped"
    assert compare_unit("disabled", now, may_rest=True) == ""
    assert compare_unit("disabled", {**now, "UnitFileState": "masked"}, may_rest=True) == "masked"


def test_packages() -> None:
    assert compare_package(("1.22", True), ("1.22", True)) == ""
    assert compare_package(("1.22", True), None) == "removed"
    assert compare_package(("1.22", True), ("1.22", False)) == "no longer held"
    assert compare_package(("1.22", True), ("1.23", False)) == "version 1.23 instead of 1.22 and no longer held"
    assert compare_package(("1.22", False), ("1.23", False)) == "", "a security update"


def test_accounts_that_can_log_in() -> None:
    assert compare_accounts(["root", "debian"], {"debian": 1, "root": 2}) == {}
    assert compare_accounts(["root", "debian"], ["root", "guest"]) == {
        "guest": "can log in, and was made by somebody else",
        "debian": "cannot log in any more",
    }
    assert compare_accounts(None, ["root", "guest"]) == {}, "an earlier version recorded none"


OURS = "# Ours.\nPermitRootLogin no\nMaxStartups 50:30:100\nAuthorizedKeysFile .ssh/authorized_keys  /etc/ssh/keys.d/%u\n"
SAYS = "port 22\npermitrootlogin no\nmaxstartups 50:30:100\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/keys.d/%u\n"


@pytest.mark.parametrize(
    ("ours", "says", "found"),
    [
        (OURS, SAYS, {}),
        (OURS.replace("Login no", "Login prohibit-password"), SAYS.replace("login no", "login without-password"), {}),
        (OURS, SAYS.replace("login no", "login yes"), {"permitrootlogin": "is yes, not no: remove what says so in"}),
        (OURS, SAYS.replace("maxstartups 50:30:100\n", ""), {"maxstartups": "is not set, not 50:30:100"}),
    ],
    ids=["ours", "another word", "overruled", "unknown"],
)
def test_a_file_that_sshd_reads_before_ours_is_told_by_what_it_says(
    ours: str, says: str, found: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "60-webitel.conf"
    monkeypatch.setattr(sshd, "OURS", path)
    monkeypatch.setattr(sshd, "run", lambda command: subprocess.CompletedProcess(command, 0, says, ""))
    assert sshd.find_overruled() == {}, "no file of ours yet"
    path.write_text(ours)
    told = sshd.find_overruled()
    assert told.keys() == found.keys() and all(told[name].startswith(found[name]) for name in found)
    monkeypatch.setattr(sshd, "run", lambda command: subprocess.CompletedProcess(command, 255, "", "bad option\n"))
    assert sshd.find_overruled() == {"settings": "cannot be read: bad option"}


def test_a_watcher_that_looks_at_the_same_moment_is_no_run(tmp_path: Path) -> None:
    lock_file = tmp_path / "apply.lock"
    with lock_file.open("w") as mine:
        with turns.held(lock_file):
            assert not drift.share(mine), "a run that goes on"
        looking = threading.Event()

        def look() -> None:
            with turns.held(lock_file):
                looking.set()
                time.sleep(0.2)

        watcher = threading.Thread(target=look)
        watcher.start()
        looking.wait(5)
        assert drift.share(mine)
        watcher.join()
