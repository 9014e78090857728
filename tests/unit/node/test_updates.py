"""What waits on a machine: security updates of what is held, and a restart."""

from __future__ import annotations

import fcntl
import json
import threading
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import cast

import pytest

from cloud_init.node import install
from cloud_init.node.apply import drift
from cloud_init.node.health import updates
from cloud_init.node.manifest import Manifest
from cloud_init.node.state import State
from components.model.report import MachineRow

INSTALLED = """\
nginx hold installed 1.22.1-9+deb12u9
nginx-common install installed 1.22.1-9+deb12u9
opensips hold installed 3.4.5
openssh-server install installed 1:9.2p1-2+deb12u5
erlang-base install config-files 1:25.2-1
"""
MADISON = """\
     nginx | 1.22.1-9+deb12u11 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
     nginx | 1.22.1-9+deb12u10 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
     nginx | 1.22.1-9+deb12u9 | http://mirror.example/debian bookworm/main amd64 Packages
     nginx | 1.22.1-9+deb12u12 | http://mirror.example/debian bookworm/main amd64 Packages
nginx-common | 1.22.1-9+deb12u11 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
  opensips | 3.4.9 | https://apt.opensips.org bookworm/3.4-releases amd64 Packages
"""
"""What `apt-cache madison` prints (apt 2.6.1)."""


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of the user's: its kernel runs, one package is held with a security update."""

    def run(command: list[str], *_: object) -> CompletedProcess[str]:
        kernels = "installed linux-image-6.1.0-40-amd64 6.1.153-1\ninstalled linux-image-6.1.0-37-amd64 6.1.140-1\n"
        offered = "".join(line for line in MADISON.splitlines(keepends=True) if line.split()[0] in command)
        said = {"apt-cache": offered, "dpkg-query": kernels if "linux-image-[0-9]*" in command else INSTALLED}
        return CompletedProcess(command, 0, said[command[0]], "")

    monkeypatch.setattr(updates, "run", run)
    monkeypatch.setattr(updates, "REBOOT_REQUIRED", tmp_path / "reboot-required")
    monkeypatch.setattr(updates, "CONTAINER", tmp_path / "container")
    monkeypatch.setattr(updates, "KERNEL", tmp_path / "version")
    monkeypatch.setattr(updates, "FOUND", tmp_path / "run/updates.json")
    monkeypatch.setattr(updates, "LISTS", tmp_path / "lists")
    monkeypatch.setattr(updates, "INSTALLED", tmp_path / "status")
    set_kernel(tmp_path, "6.1.153-1")
    return tmp_path


def set_kernel(machine: Path, version: str) -> None:
    """Have it run that version."""
    text = f"Linux version 6.1.0-40-amd64 (debian-kernel@lists.debian.org) #1 SMP PREEMPT_DYNAMIC Debian {version} (2025-09-20)"
    (machine / "version").write_text(text)


def ask(*parts: str) -> dict[str, MachineRow]:
    """Return the rows as the host reads them."""
    rows = updates.ask(cast(Manifest, {"parts": list(parts)}))
    return {row["name"]: MachineRow.model_validate_json(json.dumps(row)) for row in rows}


def test_waiting_security_updates_are_counted_and_nothing_is_broken(machine: Path) -> None:
    row = ask()["security updates"]
    assert row.healthy and row.warning and row.packages == {"nginx": "1.22.1-9+deb12u11"}
    assert row.why == "1 waiting: nginx 1.22.1-9+deb12u11; ./webitel upgrade --security"
    assert list(ask("nginx-", "erlang-")["security updates"].packages) == ["nginx", "nginx-common"]


def test_nothing_is_said_where_nothing_waits(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "list_kept", lambda _: {"nginx": "1.22.1-9+deb12u11", "opensips": "3.4.5"})
    assert ask() == {}


@pytest.mark.parametrize("changed", ["lists", "status"])
def test_what_waits_is_looked_up_again_only_after_a_change(machine: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    first = ask("nginx")["security updates"]
    monkeypatch.setattr(updates, "run", lambda *_: pytest.fail("nothing has changed"))
    monkeypatch.setattr(updates, "find_newer_kernel", lambda: "")
    assert ask("nginx")["security updates"] == first
    monkeypatch.setattr(updates, "run", lambda command, *_: CompletedProcess(command, 0, "", ""))
    (machine / changed).touch()
    assert ask("nginx") == {}


def test_no_answer_is_not_kept(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as deaf:
        deaf.setattr(updates, "list_offers", lambda _: [])
        assert ask() == {}
    assert ask()["security updates"].packages == {"nginx": "1.22.1-9+deb12u11"}


def test_a_damaged_note_of_what_waits_is_written_anew(machine: Path) -> None:
    first = ask()
    (machine / "run/updates.json").write_text('{"of')
    assert ask() == first


def test_a_reboot_that_a_kernel_wants_is_named(machine: Path) -> None:
    assert "reboot" not in ask()
    set_kernel(machine, "6.1.140-1")
    assert ask()["reboot"].why == "wanted: kernel 6.1.153-1 is installed and 6.1.140-1 runs; ./webitel reboot"
    (machine / "reboot-required").touch()
    (machine / "reboot-required.pkgs").write_text("linux-image-6.1.0-40-amd64\n")
    assert ask()["reboot"].why == "wanted: kernel 6.1.153-1 is installed and 6.1.140-1 runs; ./webitel reboot"
    (machine / "reboot-required.pkgs").write_text("linux-image-6.1.0-40-amd64\ndbus\ndbus\n")
    assert ask()["reboot"].why.startswith("wanted: kernel 6.1.153-1 is installed and 6.1.140-1 runs; dbus asks for it;")
    # A container has its host's kernel, and can still be told to restart.
    (machine / "container").touch()
    assert ask()["reboot"].why == "wanted: dbus, linux-image-6.1.0-40-amd64 asks for it; ./webitel reboot"


def test_packages_that_renew_themselves_are_let_go_and_the_others_held(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], *_: object) -> CompletedProcess[str]:
        said = "nginx install installed 1\nchrony hold installed 4\ncurl install installed 7\n"
        chosen = [line for line in said.splitlines(True) if line.split()[0] in command]
        ran.append(command)
        return CompletedProcess(command, 0, "".join(chosen), "")

    monkeypatch.setattr(drift, "run", run)
    stock = {"packages": {"nginx": ("1", True), "chrony": ("4", True), "curl": ("7", True)}}
    drift.hold_again(cast(State, {"stock": stock}), ["chrony", "curl"])
    assert [command for command in ran if command[0] == "apt-mark"] == [
        ["apt-mark", "hold", "nginx"],
        ["apt-mark", "unhold", "chrony"],
    ]


def test_the_machines_own_updates_and_ours_never_run_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "daily_lock"
    told: list[str] = []
    monkeypatch.setattr(install, "DAILY_LOCK", lock)
    monkeypatch.setattr(install, "report", told.append)
    released = threading.Event()
    monkeypatch.setattr(time, "sleep", lambda _: released.wait(0.01))
    with lock.open("w") as held:  # as `apt.systemd.daily` does
        fcntl.flock(held, fcntl.LOCK_EX)
        entered = threading.Event()

        def work() -> None:
            with install.apt_to_itself(), install.apt_to_itself():
                entered.set()
                released.wait(5)

        thread = threading.Thread(target=work)
        thread.start()
        assert not entered.wait(0.1) and "waiting for the machine's own updates" in told
    assert entered.wait(5)
    with lock.open("w") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    released.set()
    thread.join(5)
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_updates_that_never_end_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "DAILY_LOCK", tmp_path / "daily_lock")
    monkeypatch.setattr(install, "DAILY_SECONDS", 0.0)
    with (tmp_path / "daily_lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(install.InstallError, match=r"apt-daily\.service did not end"), install.apt_to_itself():
            pass
