"""Users of services: made once; one that is there keeps its number, unless files on a share depend on it."""

import pwd
import subprocess

import pytest

from cloud_init.node.apply import users
from cloud_init.node.system import ApplyError
from tests.unit.node.entries import manifest

USERS = {"webitel": 640}


def know(monkeypatch: pytest.MonkeyPatch, number: int | None) -> list[list[str]]:
    asked: list[list[str]] = []

    def find(name: str) -> object:
        if number is None:
            raise KeyError(name)
        return type("Entry", (), {"pw_uid": number})()

    monkeypatch.setattr(pwd, "getpwnam", find)

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(users, "run", run)
    return asked


def test_a_missing_one_is_made_so_that_nobody_logs_in_as_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = know(monkeypatch, None)
    users.prepare(manifest(users=USERS))
    assert [command[0] for command in asked] == ["groupadd", "useradd"]
    assert {"--no-create-home", "/usr/sbin/nologin", "640"} <= set(asked[1])


def test_one_of_a_package_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = know(monkeypatch, 998)
    users.prepare(manifest(users=USERS))
    assert asked == []


def test_on_a_share_another_number_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, 998)
    with pytest.raises(ApplyError, match="usermod -u 640 webitel"):
        users.prepare(manifest(users=USERS, share={"source": "", "mount": "", "unit": ""}))
