"""What is done once on a host that was given, and that its owner gets everything back."""

import json
import os
import pathlib
import pwd
import subprocess
from typing import Any

import pytest

from cloud_init.node.apply import host, host_leave
from cloud_init.node.storage import disks
from cloud_init.node.system import ApplyError

ran: list[list[str]] = []


def quiet(step: str, text: str) -> None:
    """Say nothing."""


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A host in a folder; `ran` are the commands."""
    ran.clear()

    def run(command: list[str], timeout: float = 0) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        if command == ["cut off"]:
            raise KeyboardInterrupt
        return subprocess.CompletedProcess(command, 1 if command == ["false"] else 0, "", "")

    monkeypatch.setattr(host, "MARK", tmp_path / "lib/host.json")
    monkeypatch.setattr(host, "FOUND", tmp_path / "lib/found")
    monkeypatch.setattr(host, "run", run)
    monkeypatch.setattr(host, "systemctl", lambda *arguments: run(["systemctl", *arguments]))
    monkeypatch.setattr(host, "let_in", lambda user, key: ran.append(["let in", user, key]))
    return tmp_path


def give(place: pathlib.Path, **changes: object) -> pathlib.Path:
    """What the provider sends."""
    data = {
        "hostname": "rack-all-1",
        "write_files": [{"path": str(place / "etc/file"), "content": "ours\n"}],
        "runcmd": [["true"]],
    }
    given = {"stack": "rack", "node": "rack-all-1", "claim": "1", "user": "admin", "key": "ssh-ed25519 AAAA", "user_data": data}
    incoming = place / "incoming"
    incoming.mkdir(exist_ok=True)
    (incoming / "given.json").write_text(json.dumps(given | changes))
    return incoming


def test_it_is_done_once(place: pathlib.Path) -> None:
    host.take(give(place), quiet)
    assert (place / "etc/file").read_text() == "ours\n"
    assert ["true"] in ran and ["let in", "admin", "ssh-ed25519 AAAA"] in ran
    mark = host.read_mark()
    assert mark and mark["done"]
    (place / "etc/file").write_text("changed\n")
    ran.clear()
    host.take(give(place, claim="2"), quiet)
    assert ["true"] not in ran and (place / "etc/file").read_text() == "changed\n"
    again = host.read_mark()
    assert again and again["claim"] == "2"


def test_what_was_cut_off_is_done_again(place: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        host.take(give(place, user_data={"runcmd": [["true"], ["cut off"], ["last"]]}), quiet)
    mark = host.read_mark()
    assert mark and not mark["done"] and ["last"] not in ran
    host.take(give(place, user_data={"runcmd": [["true"], ["last"]]}), quiet)
    assert ran.count(["true"]) == 2 and ["last"] in ran


def test_what_fails_is_told_and_the_rest_done(place: pathlib.Path) -> None:
    told: list[tuple[str, str]] = []
    host.take(give(place, user_data={"runcmd": [["false"], ["last"]]}), lambda step, text: told.append((step, text)))
    assert (host.WARNING, "false: 1") in told and ["last"] in ran


def test_the_host_of_another_is_left_alone(place: pathlib.Path) -> None:
    host.take(give(place), quiet)
    ran.clear()
    with pytest.raises(ApplyError, match="this host is rack-all-1 of rack"):
        host.take(give(place, node="rack-app-1"), quiet)
    assert ran == []


def test_what_it_cannot_do_is_told(place: pathlib.Path) -> None:
    with pytest.raises(ApplyError, match="user data says swap"):
        host.take(give(place, user_data={"swap": {}}), quiet)
    assert host.read_mark() is None


def test_the_owner_gets_files_back(place: pathlib.Path) -> None:
    (place / "etc").mkdir()
    theirs, ours = place / "etc/file", place / "etc/new"
    theirs.write_text("theirs\n")
    theirs.chmod(0o640)
    host.take(give(place), quiet)
    host.keep_found([str(theirs), str(ours)], ())
    ours.write_text("ours\n")
    # A later run changes both: they are ours by now, even where the one before was cut off.
    host.keep_found([str(theirs), str(ours)], ())
    for path in (theirs, ours):
        host.give_back(str(path))
    assert theirs.read_text() == "theirs\n" and theirs.stat().st_mode & 0o777 == 0o640
    assert not ours.exists()


def test_whom_the_owner_let_in_stays(place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(host, "run", lambda command: None)
    account = type("account", (), {"pw_dir": str(place), "pw_uid": 1, "pw_gid": 1})
    monkeypatch.setattr(pwd, "getpwnam", lambda user: account)
    keys = place / ".ssh/authorized_keys"
    keys.parent.mkdir()
    keys.write_text("ssh-rsa AAAAowner owner\n")
    host.let_in("admin", "ssh-ed25519 AAAA")
    host.let_in("admin", "ssh-ed25519 AAAA")
    assert keys.read_text().splitlines() == ["ssh-rsa AAAAowner owner", "ssh-ed25519 AAAA webitel"]
    host.shut_out("admin", "ssh-ed25519 AAAA")
    assert keys.read_text() == "ssh-rsa AAAAowner owner\n"


def test_the_owners_file_of_keys_stays_the_owners(place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another encoding, another mode and another place for it are no mistakes of the owner's."""
    monkeypatch.undo()
    monkeypatch.setattr(host, "run", lambda command: None)
    account = type("account", (), {"pw_dir": str(place), "pw_uid": os.getuid(), "pw_gid": os.getgid()})
    monkeypatch.setattr(pwd, "getpwnam", lambda user: account)
    keys, real = place / ".ssh/authorized_keys", place / "shared/keys"
    for folder in (keys.parent, real.parent):
        folder.mkdir()
    before = "ssh-rsa AAAAowner M\xfcller\n".encode("latin-1")
    real.write_bytes(before)
    real.chmod(0o640)
    keys.symlink_to(real)
    host.let_in("admin", "ssh-ed25519 AAAA")
    assert real.read_bytes() == before + b"ssh-ed25519 AAAA webitel\n"
    host.shut_out("admin", "ssh-ed25519 AAAA")
    assert keys.is_symlink() and real.read_bytes() == before and real.stat().st_mode & 0o777 == 0o640
    keys.unlink()
    host.let_in("admin", "ssh-ed25519 AAAA")
    assert keys.stat().st_mode & 0o777 == 0o600
    host.shut_out("admin", "ssh-ed25519 AAAA")
    assert not keys.exists(), "there was none"


def test_lines_of_the_owners_table_of_file_systems_stay(place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = place / "fstab"
    before = "# M\xfcller\nUUID=1 / ext4 defaults 0 1\n".encode("latin-1")
    table.write_bytes(before)
    table.chmod(0o600)
    monkeypatch.setattr(disks, "FSTAB", table)
    monkeypatch.setattr(host_leave, "run", lambda command: subprocess.CompletedProcess(command, 1, "", ""))
    disks.list_line("/var/lib/webitel/database", "UUID=2 /var/lib/webitel/database ext4 defaults 0 2")
    assert b"UUID=2" in table.read_bytes()
    manifest: Any = {"disks": [{"purpose": "database", "mount": "/var/lib/webitel/database"}]}
    assert host_leave.unmount(manifest) == []
    assert table.read_bytes() == before and table.stat().st_mode & 0o777 == 0o600
