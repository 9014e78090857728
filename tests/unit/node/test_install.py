"""What the installation does to units that packages enable, and what it tells of apt's errors."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cloud_init.node import install


def test_services_and_sockets_that_exist_are_disabled_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[list[str]]()

    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        asked.append(command)
        there = [name for name in command[4:] if name in ("nginx.service", "epmd.socket")]
        return subprocess.CompletedProcess(command, 0, "".join(f"{name} enabled enabled\n" for name in there), "")

    monkeypatch.setattr(subprocess, "run", run)
    install.disable(["nginx", "epmd.socket", "nosuch"])
    assert asked[1:] == [["systemctl", "disable", "--now", "-q", "nginx.service", "epmd.socket"]]


def test_without_units_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemctl lists all there are where none is named: sshd and the installation itself would be among them."""

    def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
        raise AssertionError(command)

    monkeypatch.setattr(subprocess, "run", run)
    install.disable([])


UNREAD = """Err:1 http://mirror.example.org/debian bookworm InRelease
  {why}
E: Failed to fetch http://mirror.example.org/debian/dists/bookworm/InRelease  {why}
E: Some index files failed to download. They have been ignored, or old ones used instead."""
"""What apt 2.6.1 said in a network name space without a way out."""

UNKNOWN = "\n".join(f"E: Unable to locate package package-{n}" for n in range(12))

APT = """#!/bin/sh
case "$*" in
*Error-Mode=any*update*) echo "$UNREAD"; exit $LISTS ;;
*update*) echo "$UNREAD"; exit 0 ;;
*install*) echo "$UNKNOWN"; exit $PACKAGES ;;
esac
"""


class Apt:
    """apt as it is, but for what it says; `steps` is what an operator sees meanwhile."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / "apt-get").write_text(APT)
        (root / "apt-get").chmod(0o755)
        monkeypatch.setenv("PATH", f"{root}:{os.environ['PATH']}")
        monkeypatch.setenv("UNKNOWN", UNKNOWN)
        for name in ("PROGRESS", "POLICY", "LOG"):
            monkeypatch.setattr(install, name, root / name)
        monkeypatch.setattr(install, "list_missing", lambda packages, versions: packages)
        monkeypatch.setattr(install, "CONFIGURED", root)
        self.steps = list[str]()
        monkeypatch.setattr(time, "sleep", self.look)
        self.root, self.set = root, monkeypatch.setenv

    def look(self, seconds: float) -> None:
        """Look between two tries."""
        if (self.root / "PROGRESS").exists():
            self.steps.append(json.loads((self.root / "PROGRESS").read_text())["step"])

    def answers(self, lists: int, packages: int, why: str) -> None:
        """Set the exit statuses and the reason."""
        self.set("LISTS", str(lists))
        self.set("PACKAGES", str(packages))
        self.set("UNREAD", UNREAD.format(why=why))


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apt:
    """A made-up apt."""
    return Apt(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "why",
    [
        "Temporary failure resolving 'mirror.example.org'",
        "Could not connect to mirror.example.org:80 (192.0.2.1). - connect (113: No route to host)",
        "Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)",
        "Connection timed out [IP: 192.0.2.1 80]",
        "403  Forbidden [IP: 10.0.0.1 3128]",
        "404  Not Found [IP: 192.0.2.1 80]",
        "401  Unauthorized [IP: 10.0.0.1 443]",
        "Certificate verification failed: The certificate is NOT trusted.",
        "Clearsigned file isn't valid, got 'NOSPLIT' (does the network require authentication?)",
        "SSL connection failed: error:0A000086:SSL routines::certificate verify failed / Success",
    ],
)
def test_the_cause_is_told_early_and_in_the_end(apt: Apt, why: str) -> None:
    apt.answers(100, 100, why)
    with pytest.raises(install.InstallError) as caught:
        install.install(["package-1"], [])
    assert why in str(caught.value) and "Unable to locate package package-1\n" in str(caught.value)
    assert str(caught.value).index(why) < str(caught.value).index("Unable to locate")
    assert apt.steps == [f"no package lists yet: {why}"] * (install.TRIES - 1)


def test_a_list_that_nobody_needs_keeps_nothing_away(apt: Apt) -> None:
    apt.answers(100, 0, "404  Not Found")
    assert install.install(["package-1"], []) == ["package-1"]


def test_without_an_unread_list_the_error_is_the_installations(apt: Apt) -> None:
    apt.answers(0, 100, "")
    with pytest.raises(install.InstallError, match=r"^apt-get install failed:\n"):
        install.install(["package-1"], [])


def test_an_error_of_another_kind_is_told_too(apt: Apt) -> None:
    """As apt 2.6.1 says it while another program reads the lists."""
    why = "Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)"
    apt.answers(100, 100, "")
    apt.set("UNREAD", f"Reading package lists...\nE: {why}\nE: Unable to lock directory /var/lib/apt/lists/")
    with pytest.raises(install.InstallError):
        install.install(["package-1"], [])
    assert apt.steps == [f"no package lists yet: {why}"] * (install.TRIES - 1)
