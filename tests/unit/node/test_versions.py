"""Packages of a certain version: which are stale, which can be had, and what their new versions do."""

import json
from subprocess import CompletedProcess
from typing import Any

import pytest

from cloud_init.node import commands, install
from cloud_init.node.apply import drift, versions
from cloud_init.node.health import updates
from cloud_init.node.manifest import VersionEntry
from cloud_init.node.system import ApplyError

WANTED: versions.Wanted = {
    "webitel-sandbox": {"version": "2", "actions": ["restart engine", "drain freeswitch"], "lower": True},
    "webitel-engine": {"version": "1", "actions": ["restart engine"]},
    "grafana": {"version": "1", "actions": ["restart grafana-server"]},
}
MADISON = "webitel-engine | {0} | http://one Packages\nwebitel-engine | {0} | http://one again Packages\n"
SECURITY = """\
erlang-base | 1:25.2-1+deb12u2 | http://mirror.example/debian bookworm/main amd64 Packages
erlang-base | 1:25.2-1+deb12u1 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
erlang-base |   1:25.2-1 | http://mirror.example/debian-security bookworm-security/main amd64 Packages
"""
"""Lines of `apt-cache madison`."""


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What dpkg and apt of a node say: `installed` rows, `offered` before and `fresh` after the lists were read anew."""
    said: dict[str, Any] = {"installed": "", "offered": "", "fresh": "", "ran": []}

    def run(command: list[str], *_: object) -> CompletedProcess[str]:
        return CompletedProcess(command, 0, said["installed" if command[0] == "dpkg-query" else "offered"], "")

    def run_apt(arguments: list[str], *_: object) -> None:
        said["ran"].append(arguments)
        said["offered"] = said["fresh"] or said["offered"]

    monkeypatch.setattr(drift, "run", run)
    monkeypatch.setattr(updates, "run", run)
    monkeypatch.setattr(install, "run_apt", run_apt)
    return said


def rows(**found: str) -> str:
    """What dpkg-query prints of held packages."""
    return "".join(f"{name.replace('_', '-')} hold installed {version}\n" for name, version in found.items())


@pytest.mark.parametrize(
    ("shown", "stale", "actions"),
    [
        (rows(webitel_sandbox="1", webitel_engine="1"), {"webitel-sandbox": "1"}, ["restart engine", "drain freeswitch"]),
        (
            rows(webitel_engine="0", webitel_sandbox="3"),
            {"webitel-sandbox": "3", "webitel-engine": "0"},
            ["restart engine", "drain freeswitch"],
        ),
        (rows(grafana="1"), {}, []),
        ("grafana hold config-files 0\n", {}, []),
        ("", {}, []),
    ],
)
def test_only_what_is_there_in_another_version_is_stale(
    node: dict[str, Any],
    shown: str,
    stale: dict[str, str],
    actions: list[str],
) -> None:
    node["installed"] = shown
    assert versions.find_stale(WANTED) == stale
    assert versions.actions_of(stale, WANTED) == actions


def test_without_wanted_versions_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(updates, "run")
    monkeypatch.delattr(drift, "run")
    assert versions.find_stale({}) == {}
    versions.check({}, {}, True, "n")


ENGINE: dict[str, VersionEntry] = {"webitel-engine": {"version": "25.08.3-1", "actions": []}}


def test_a_version_that_nobody_offers_is_said_with_what_there_is(node: dict[str, Any]) -> None:
    node["installed"], node["offered"] = rows(webitel_engine="25.08.1-1"), MADISON.format("25.08.2-1")
    with pytest.raises(
        ApplyError,
        match=r"no packages were changed:\nwebitel:package_versions.webitel-engine = 25.08.3-1: "
        r"s-app-1: its repositories have 25.08.2-1$",
    ):
        versions.check(ENGINE, {"webitel-engine": "25.08.1-1"}, True, "s-app-1")
    assert [words[-1] for words in node["ran"]] == ["update"], "the lists may have been old"
    node["fresh"] = MADISON.format("25.08.3-1")
    versions.check(ENGINE, {"webitel-engine": "25.08.1-1"}, True, "s-app-1")
    node["ran"].clear()
    versions.check(ENGINE, {"webitel-engine": "25.08.1-1"}, True, "s-app-1")
    assert node["ran"] == []


def test_all_that_cannot_be_installed_is_listed_with_what_apt_could_not_read(
    node: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line each."""

    def fail(*_: object) -> None:
        raise install.InstallError("apt-get update failed:\nE: no route")

    monkeypatch.setattr(install, "run_apt", fail)
    wanted: versions.Wanted = {**ENGINE, "grafana": {"version": "1", "actions": []}}
    with pytest.raises(ApplyError) as caught:
        versions.check(wanted, {}, False, "n")
    first, *problems, failed, cause = str(caught.value).splitlines()
    assert (first, failed, cause) == ("no packages were changed:", "apt-get update failed:", "E: no route")
    assert [line.partition(" = ")[0].rpartition(".")[2] for line in problems] == ["grafana", "webitel-engine"]


def test_what_is_missing_must_be_offered_too(node: dict[str, Any]) -> None:
    with pytest.raises(ApplyError, match="no package of that name"):
        versions.check(ENGINE, {}, False, "n")


def test_a_lower_version_is_refused_once_its_service_has_run(node: dict[str, Any]) -> None:
    node["installed"], node["offered"] = rows(webitel_engine="25.08.10-1"), MADISON.format("25.08.3-1")
    stale = {"webitel-engine": "25.08.10-1"}
    with pytest.raises(ApplyError, match=r"webitel-engine = 25.08.3-1: n: 25.08.10-1 has run already"):
        versions.check(ENGINE, stale, True, "n")
    versions.check(ENGINE, stale, False, "n")
    versions.check({"webitel-engine": {**ENGINE["webitel-engine"], "lower": True}}, stale, True, "n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("25.08.3-1", "25.08.10-1"),
        ("25.08.3~rc1-1", "25.08.3-1"),
        ("25.08+sandbox1.ab12", "25.08+sandbox1.ab12+1"),
        ("3.10.8-1.1", "3.10.8-1.1+deb12u1"),
        ("9", "1:0"),
    ],
)
def test_versions_are_compared_as_debian_does(one: str, other: str) -> None:
    assert updates.is_lower(one, other) and not updates.is_lower(other, one)
    assert (versions.compare(one, other), versions.compare(other, one), versions.compare(one, one)) == (-1, 1, 0)


def test_newer_versions_of_held_packages_are_told(
    node: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(commands, "load_manifest", lambda: {"packages": ["webitel-engine", "curl"], "parts": ["erlang-"]})
    node["installed"] = rows(webitel_engine="25.08.2-1") + "curl install installed 7\nerlang-base install installed 1:25.2-1\n"
    node["fresh"] = "".join(MADISON.format(version) for version in ("25.08.2-1", "25.08.3-1", "25.08.10-1", "25.08.1-1"))
    node["fresh"] += SECURITY
    assert commands.main(["versions"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "versions": {
            "erlang-base": {
                "now": "1:25.2-1",
                "newer": ["1:25.2-1+deb12u2", "1:25.2-1+deb12u1"],
                "security": ["1:25.2-1+deb12u1"],
            },
            "webitel-engine": {"now": "25.08.2-1", "newer": ["25.08.10-1", "25.08.3-1"], "security": []},
        }
    }

    def fail(*_: object) -> None:
        raise install.InstallError("apt-get update failed:\nno route")

    monkeypatch.setattr(install, "run_apt", fail)
    assert commands.main(["versions"]) == 1
    assert json.loads(capsys.readouterr().out) == {"error": "apt-get update failed:\nno route"}
