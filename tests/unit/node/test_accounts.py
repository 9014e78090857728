"""Personal accounts: made, kept, closed; told apart from those of programs."""

import grp
import pwd
import shutil
import subprocess
from typing import Any

import pytest

from cloud_init.node import install
from cloud_init.node.apply import accounts
from cloud_init.node.system import ApplyError

Row = tuple[int, str]


class Machine:
    """Accounts by name: number and shell. `members` of the group, None where there is no group; `done` is what was run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.people: dict[str, Row] = {"root": (0, "/bin/bash"), "postgres": (106, "/bin/bash"), "debian": (1000, "/bin/bash")}
        self.members: list[str] | None = None
        self.done: list[str] = []
        monkeypatch.setattr(grp, "getgrnam", self.group)
        monkeypatch.setattr(pwd, "getpwnam", self.person)
        monkeypatch.setattr(subprocess, "run", self.run)
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")

    def group(self, name: str) -> grp.struct_group:
        assert name == accounts.GROUP
        if self.members is None:
            raise KeyError(name)
        return grp.struct_group((name, "x", 990, list(self.members)))

    def person(self, name: str) -> pwd.struct_passwd:
        number, shell = self.people[name]
        return pwd.struct_passwd((name, "x", number, number, "", f"/home/{name}", shell))

    def run(self, command: list[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        self.done.append(" ".join(command))
        program, name = command[0], command[-1]
        match program:
            case "groupadd":
                self.members = []
            case "useradd":
                self.people[name] = (1001, "/bin/sh")
            case "usermod" if "--append" in command:
                assert self.members is not None
                self.members = [*self.members, name]
                self.people[name] = (self.people[name][0], "/bin/bash")
            case "usermod":
                self.people[name] = (self.people[name][0], command[command.index("--shell") + 1])
            case "gpasswd":
                assert self.members is not None
                self.members.remove(command[2])
            case "pgrep":
                return subprocess.CompletedProcess(command, 0, "4711\n", "")
        return subprocess.CompletedProcess(command, 0, "", "")

    def prepare(self, *names: str) -> list[str]:
        self.done.clear()
        return accounts.prepare(names, lambda step, text: None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


def test_a_deployment_without_personal_accounts_is_left_alone(machine: Machine) -> None:
    assert machine.prepare() == machine.done == []


def test_an_account_is_made_once_and_nobody_knows_a_password_of_it(machine: Machine) -> None:
    assert machine.prepare("bo", "anna") == ["account anna", "account bo"]
    assert "useradd --create-home --password * --comment Webitel operator anna" in machine.done
    assert machine.members == ["anna", "bo"]
    assert machine.prepare("anna", "bo") == machine.done == []


def test_who_is_left_out_can_log_in_no_more_and_is_thrown_out(machine: Machine) -> None:
    machine.prepare("anna", "bo")
    assert machine.prepare("anna") == ["closed bo"]
    assert machine.done == [
        "usermod --shell /usr/sbin/nologin --expiredate 1 bo",
        f"gpasswd --delete bo {accounts.GROUP}",
        "loginctl terminate-user bo",
        "pgrep --euid bo",
        "kill -KILL 4711",
    ]
    assert machine.members == ["anna"]
    # The last one, and one that comes back.
    assert machine.prepare() == ["closed anna"]
    assert machine.prepare("bo") == ["account bo"]
    assert not any(line.startswith("useradd") for line in machine.done), "its files are still its own"
    assert machine.people["bo"][1] == "/bin/bash" and machine.members == ["bo"]


def test_a_shell_that_was_taken_away_by_hand_comes_back(machine: Machine) -> None:
    machine.prepare("anna")
    machine.people["anna"] = (1001, "/usr/sbin/nologin")
    assert machine.prepare("anna") == ["account anna"]


def test_a_programs_account_is_nobodys(machine: Machine) -> None:
    with pytest.raises(ApplyError, match=r"webitel:operator_accounts.postgres: this node has a program's account of that name"):
        machine.prepare("postgres")
    assert machine.people["postgres"] == (106, "/bin/bash")


def test_sudo_comes_where_an_image_has_none(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(install, "run_apt", lambda arguments, step, total: asked.append(arguments))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    machine.prepare("anna")
    assert asked == [["install", "--no-install-recommends", "sudo"]]


def test_what_fails_is_told_in_its_own_words(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = subprocess.CompletedProcess(["useradd"], 1, "", "useradd: cannot lock /etc/passwd; try again later.\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: failing if command[0] == "useradd" else machine.run(command))
    with pytest.raises(ApplyError, match="cannot lock /etc/passwd"):
        machine.prepare("anna")
