"""A first installation does not wait for the disk after each file; a machine that is cut off in it is mended at its next boot."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from cloud_init.node import install


class Machine:
    """A node before its first configuration. `calls` are what it was asked to do, `missing` what dpkg does not know."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.calls = list[str]()
        self.missing = ["nginx"]
        self.fails = False
        self.forces: tuple[str, ...] = install.KEEP
        self.conffiles = ""
        for name in ("UNSYNCED", "BOOT", "GIVEN", "DATABASE", "BESIDE", "SETTINGS", "CONFIGURED", "POLICY"):
            monkeypatch.setattr(install, name, root / name.lower())
        (install.DATABASE / "info").mkdir(parents=True)
        install.SETTINGS.mkdir()
        monkeypatch.setattr(install, "DIVERTED", [root / "pg_config", root / "pg_config.libpq-dev"])
        self.boot("one")
        monkeypatch.setattr(install, "run_apt", self.run_apt)
        monkeypatch.setattr(install, "list_missing", lambda packages, versions: list(self.missing))
        monkeypatch.setattr(install, "disable", lambda units: None)
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(os, "sync", lambda: self.calls.append("sync"))

    def boot(self, name: str) -> None:
        """Start the machine anew."""
        install.BOOT.write_text(name)

    def unpack(self, package: str, seconds: int) -> None:
        """A package whose files were unpacked that many seconds after the installation began, or before."""
        path = install.DATABASE / f"info/{package}.list"
        path.touch()
        began = install.UNSYNCED.stat().st_mtime
        os.utime(path, (began + seconds, began + seconds))

    def run(self, command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        if command[0] in ("mount", "umount"):
            self.calls.append(command[0])
        elif command[0] not in ("dpkg-query", "cp"):
            self.calls.append(" ".join(command))
        return subprocess.CompletedProcess(command, 0, self.conffiles, "")

    def run_apt(self, arguments: list[str], step: str, total: int, forces: tuple[str, ...] = install.KEEP) -> None:
        assert install.POLICY.exists(), "a service could start"
        self.calls.append(" ".join(word for word in arguments if not word.startswith("--no-install")))
        if "install" in arguments:
            self.forces = forces
        if self.fails and "install" in arguments:
            raise install.InstallError("cut")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


QUICK = " ".join(install.QUICK)
LAID = ["mount", "mount", "umount"]
FINISH = "dpkg --force-confdef --force-confold --configure -a"
FINISH_NEW = f"dpkg {' '.join(install.RENEW)} --configure -a"
RELOAD = "systemctl daemon-reload"
READ = "-o APT::Update::Error-Mode=any update"


def test_the_first_installation_is_on_the_disk_when_it_ends(machine: Machine) -> None:
    install.install(["nginx"], [])
    assert machine.calls == ["sync", *LAID, READ, f"{QUICK} install nginx", RELOAD, "apt-mark hold nginx", "sync"]
    assert machine.forces == install.KEEP
    assert not install.UNSYNCED.exists()


def test_a_configured_node_waits_for_the_disk(machine: Machine) -> None:
    install.CONFIGURED.touch()
    install.install(["nginx"], [])
    assert machine.calls == [READ, "install nginx", "apt-mark hold nginx"]


def test_a_failure_in_the_same_boot_unpacks_nothing_twice(machine: Machine) -> None:
    machine.fails = True
    with pytest.raises(install.InstallError):
        install.install(["nginx"], [])
    machine.unpack("libssl3:amd64", 1)
    machine.fails = False
    machine.calls.clear()
    install.install(["nginx"], [])
    assert not [call for call in machine.calls if "--reinstall" in call]


@pytest.mark.parametrize("missing", [["nginx"], []])
def test_what_a_cut_boot_unpacked_is_unpacked_anew(machine: Machine, missing: list[str]) -> None:
    """Also when dpkg believes that everything is there."""
    machine.fails = True
    with pytest.raises(install.InstallError):
        install.install(["nginx"], [])
    machine.unpack("libc6:amd64", -1000)
    machine.unpack("libssl3:amd64", 1)
    machine.unpack("curl", 2)
    machine.fails, machine.missing = False, missing
    machine.boot("two")
    machine.calls.clear()
    install.install(["nginx"], [])
    assert machine.calls[:4] == [FINISH_NEW, "update", "install --reinstall curl libssl3:amd64", "sync"]
    assert machine.forces == install.RENEW
    assert machine.calls[-1] == "sync"
    assert not install.UNSYNCED.exists()
    assert not install.POLICY.exists()


def test_configuration_files_that_were_emptied_are_unpacked_anew_too(machine: Machine) -> None:
    """dpkg keeps what it takes for edited, and puts a file back only where it is gone and dpkg is told so."""
    texts = {
        "emptied": ("", "f75b8179"),
        "new": ("", "newconffile"),
        "edited": ("mine", "f75b8179"),
        "empty": ("", install.EMPTY_MD5),
    }
    for name, (text, _) in texts.items():
        (machine.root / name).write_text(text)
    lines = [f" {machine.root / name} {digest}" for name, (_, digest) in texts.items()]
    machine.conffiles = "\n".join(["", *lines, f" {machine.root}/gone f75b8179 obsolete", ""])
    install.GIVEN.touch()
    install.begin_unsynced()
    machine.unpack("nginx", 1)
    machine.boot("two")
    install.install(["nginx"], [])
    assert {name for name in texts if (machine.root / name).exists()} == {"edited", "empty"}


def test_what_a_cut_boot_left_is_replaced_until_all_is_installed(machine: Machine) -> None:
    """Also when the key program, which comes first, is there already; when the second try fails too; and in a third boot."""
    for boot in ("one", "two", "three"):
        machine.boot(boot)
        machine.fails = False
        install.install(["gnupg"], [], more=True)
        machine.fails = True
        with pytest.raises(install.InstallError):
            install.install(["nginx"], [])
        assert machine.forces == (install.KEEP if boot == "one" else install.RENEW)
    machine.fails = False
    install.install(["nginx"], [])
    assert machine.forces == install.RENEW
    assert not install.UNSYNCED.exists()


def test_files_that_were_emptied_are_made_anew_by_their_packages(machine: Machine) -> None:
    """Those that a script writes: it would take an empty one for edited."""
    install.begin_unsynced()
    (install.SETTINGS / "chrony").mkdir()
    emptied, whole = install.SETTINGS / "chrony/chrony.keys", install.SETTINGS / "hostname"
    emptied.touch()
    whole.write_text("all-1")
    machine.boot("two")
    install.install(["nginx"], [])
    assert not emptied.exists() and whole.exists()


@pytest.mark.parametrize("known", [False, True])
def test_what_a_forgotten_diversion_moved_is_out_of_its_way(machine: Machine, known: bool) -> None:
    """Else it fails, and with it the installation, at every boot."""
    install.begin_unsynced()
    for path in install.DIVERTED:
        path.write_text("a program")
    if known:
        machine.unpack("postgresql-common", 1)
    machine.boot("two")
    install.install(["nginx"], [])
    assert [path.exists() for path in install.DIVERTED] == [known, known]


def test_a_given_host_keeps_its_database_on_the_disk_and_its_files(machine: Machine) -> None:
    install.GIVEN.touch()
    install.begin_unsynced()
    (install.SETTINGS / "mine").touch()
    machine.boot("two")
    install.install(["nginx"], [])
    assert machine.forces == install.KEEP
    assert "mount" not in machine.calls and (install.SETTINGS / "mine").exists()


def test_what_dpkg_was_cut_off_from_is_finished_before_the_next_try(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a configured node too: apt says that dpkg was interrupted, and a person would have to run this."""
    install.CONFIGURED.touch()
    tries = iter([True, False])

    def run_apt(arguments: list[str], step: str, total: int, forces: tuple[str, ...] = ()) -> None:
        machine.calls.append(arguments[0])
        if "install" in arguments and next(tries):
            raise install.InstallError("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'")

    monkeypatch.setattr(install, "run_apt", run_apt)
    install.install(["nginx"], [])
    assert FINISH in machine.calls and machine.calls.index("install") < machine.calls.index(FINISH)


@pytest.mark.parametrize("missing", [["nginx"], []])
def test_services_may_start_again_after_a_run_that_was_killed(machine: Machine, missing: list[str]) -> None:
    """Else no security update restarts what it renews."""
    machine.missing = missing
    install.POLICY.write_text(install.FORBIDDEN)
    install.install(["nginx"], [])
    assert not install.POLICY.exists()
    machine.missing = []
    install.POLICY.write_text("#!/bin/sh\n# somebody else's\nexit 0\n")
    install.install(["nginx"], [])
    assert install.POLICY.exists()
