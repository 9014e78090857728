"""Time zone and host name of a machine: set at every application, told by drift."""

import json
import pathlib
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from cloud_init.node import state
from cloud_init.node.apply import drift, identity
from cloud_init.node.manifest import Manifest, empty_manifest
from cloud_init.node.system import ApplyError

ALIASES = {"UTC": "Etc/UTC", "Asia/Calcutta": "Asia/Kolkata"}
NAMES = ("Etc/UTC", "Asia/Kolkata", "Europe/Berlin", "America/Argentina/Buenos_Aires")


class Machine:
    """A machine that exists as a folder; `asked` are the programs that were run."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.asked, self.name = root, list[list[str]](), "acme-app-1"
        self.refuses = False
        for zone in NAMES:
            (root / "zones" / zone).parent.mkdir(parents=True, exist_ok=True)
            (root / "zones" / zone).write_text(zone)
        for alias, zone in ALIASES.items():
            (root / "zones" / alias).symlink_to(root / "zones" / zone)
        (root / "etc").mkdir()
        for name, place in (("ZONES", "zones"), ("LOCAL_TIME", "etc/localtime"), ("TIME_ZONE", "etc/timezone")):
            monkeypatch.setattr(identity, name, root / place)
        monkeypatch.setattr(identity, "HOST_NAME", root / "etc/hostname")
        monkeypatch.setattr(socket, "gethostname", lambda: self.name)
        monkeypatch.setattr(subprocess, "run", self.run)

    def run(self, command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        """Note what is run; `hostname` does what it says."""
        self.asked.append(command)
        if command[0] == "hostname" and not self.refuses:
            self.name = command[1]
        return subprocess.CompletedProcess(command, int(self.refuses), "", "you must be root")

    def link(self, target: str) -> None:
        """Make /etc/localtime a link."""
        (self.root / "etc/localtime").unlink(missing_ok=True)
        (self.root / "etc/localtime").symlink_to(target)

    @property
    def zone(self) -> str:
        """What a program that starts now would take."""
        return (self.root / "etc/localtime").read_text()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine of the made-up kind."""
    return Machine(tmp_path, monkeypatch)


def make_manifest(zone: str, name: str = "acme-app-1") -> Manifest:
    """What the node is to be."""
    return {**empty_manifest(), "node": name, "time_zone": zone}


def correct(zone: str, name: str = "acme-app-1") -> list[str]:
    """Bring the machine to a zone and a name."""
    return identity.correct(make_manifest(zone, name), lambda step, text: None)


@pytest.mark.parametrize(
    ("before", "zone", "changes"),
    [
        ("{zones}/Etc/UTC", "Asia/Kolkata", True),
        ("{zones}/UTC", "Etc/UTC", False),
        ("{zones}/Asia/Calcutta", "Asia/Kolkata", False),
        ("../zones/Europe/Berlin", "Europe/Berlin", False),
        ("../zones/Europe/Berlin", "America/Argentina/Buenos_Aires", True),
        ("/gone", "UTC", False),
        ("/etc/hosts", "UTC", True),
        ("", "UTC", False),
        ("", "Europe/Berlin", True),
        ("copy of Europe/Berlin", "Europe/Berlin", False),
        ("copy of Europe/Berlin", "Asia/Kolkata", True),
        ("unknown copy", "UTC", True),
    ],
)
def test_a_zone_is_set_where_it_differs(machine: Machine, before: str, zone: str, changes: bool) -> None:
    etc = machine.root / "etc"
    if before.endswith("copy") or before.startswith("copy"):
        shutil.copy(machine.root / "zones/Europe/Berlin", etc / "localtime")
    elif before:
        machine.link(before.format(zones=machine.root / "zones"))
    if before.startswith("copy of "):
        (etc / "timezone").write_text("Europe/Berlin\n")
    assert correct(zone) == (["time zone"] if changes else [])
    assert machine.asked == ([["systemctl", "--no-pager", "--no-ask-password", "try-restart", "cron"]] if changes else [])
    if changes:
        assert machine.zone == ALIASES.get(zone, zone) and (etc / "timezone").read_text() == f"{zone}\n"
    assert correct(zone) == [], "again: nothing to do"


def test_an_unknown_zone_names_the_setting(machine: Machine) -> None:
    with pytest.raises(ApplyError, match=r"^webitel:time_zone = Mars/Base: "):
        correct("Mars/Base")
    assert not (machine.root / "etc/timezone").exists()


def test_a_manifest_of_before_says_no_zone(machine: Machine) -> None:
    assert identity.correct({**empty_manifest(), "node": "acme-app-1"}, lambda step, text: None) == []


@pytest.mark.parametrize("name", ["localhost", "acme-app-2", "Acme-App-1", "old.acme.io"])
def test_a_host_name_is_put_right(machine: Machine, name: str) -> None:
    machine.name = name
    assert correct("UTC") == ["host name"]
    assert machine.name == "acme-app-1" and (machine.root / "etc/hostname").read_text() == "acme-app-1\n"


@pytest.mark.parametrize(("written", "changes"), [("localhost\n", True), ("", True), ("acme-app-1.c.project.internal\n", False)])
def test_the_name_of_the_next_start_is_put_right_too(machine: Machine, written: str, changes: bool) -> None:
    """A broker that starts under another name is another one, without data."""
    path = machine.root / "etc/hostname"
    path.write_text(written)
    assert correct("UTC") == (["host name"] if changes else [])
    assert path.read_text() == ("acme-app-1\n" if changes else written)


@pytest.mark.parametrize("name", ["acme-app-1", "acme-app-1.europe-west3-a.c.project.internal"])
def test_a_clouds_domain_behind_the_name_is_no_other_name(machine: Machine, name: str) -> None:
    machine.name = name
    assert correct("UTC") == [] and machine.name == name


def test_a_name_that_cannot_be_set_is_an_error(machine: Machine) -> None:
    machine.name, machine.refuses = "localhost", True
    with pytest.raises(ApplyError, match="cannot be given its host name acme-app-1 back: you must be root"):
        correct("UTC")


def test_drift_tells_both(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "LOCK", machine.root / "lock")
    monkeypatch.setattr(state, "STATE", machine.root / "state.json")
    monkeypatch.setattr(drift, "load_manifest", lambda: make_manifest("UTC"))
    monkeypatch.setattr(drift, "unit_states", lambda manifest: {})
    machine.link(str(machine.root / "zones/UTC"))
    stock: dict[str, object] = {"files": {}, "units": {}, "packages": {}}
    pathlib.Path(state.STATE).write_text(json.dumps({"files": [], "pending": [], "disks": {}, "stock": stock}))
    assert drift.find() == [], "a record of before"
    stock["identity"] = identity.describe()
    pathlib.Path(state.STATE).write_text(json.dumps({"files": [], "pending": [], "disks": {}, "stock": stock}))
    assert drift.find() == []
    machine.link(str(machine.root / "zones/Asia/Kolkata"))
    machine.name = "localhost"
    assert drift.find() == [
        {"kind": "machine", "name": "time zone", "what": "Asia/Kolkata instead of UTC"},
        {"kind": "machine", "name": "host name", "what": "localhost instead of acme-app-1"},
    ]
