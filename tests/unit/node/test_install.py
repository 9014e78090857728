"""What the installation does to units that packages enable."""

import subprocess
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
