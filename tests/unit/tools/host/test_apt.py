"""Packages on this host: when the lists are read, what is tried again, what is told, what comes from where."""

import re

import pytest

from tests.unit.tools.host.world import BUSY, CUT, GONE, World
from tools.engine.go import get_go
from tools.host import apt
from tools.host.fetching import SetupError
from tools.host.releases import Wanted
from tools.incus.apt import format_debian_sources, install_incus, read_debian_sources

DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12"}


def test_what_is_installed_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    world.has("installed", "mmdebstrap")
    apt.install(["mmdebstrap"], pytest.fail)
    assert world.calls == []


def test_known_packages_need_no_update_whatever_the_language(world: World) -> None:
    world.has("known", "mmdebstrap")
    apt.install(["mmdebstrap"], lambda line: None)
    assert world.calls == ["install -y --no-install-recommends mmdebstrap"]


def test_a_machine_that_never_read_its_lists_reads_them(world: World) -> None:
    world.has("mirror", "mmdebstrap")
    world.fail("update", CUT)
    lines: list[str] = []
    apt.install(["mmdebstrap"], lines.append)
    assert world.calls == ["update", "update", "install -y --no-install-recommends mmdebstrap"]
    assert lines[1:] == ["reading the package lists (apt-get update) failed, next try in 3 s"]


def test_another_program_that_uses_apt_is_waited_for(world: World) -> None:
    """The lists of a machine that has just started are locked by its own update."""
    world.has("mirror", "mmdebstrap")
    world.fail("update", *[BUSY] * 9)
    lines: list[str] = []
    apt.install(["mmdebstrap"], lines.append)
    assert lines[1:] == ["waiting for another program that uses apt"]


def test_lists_of_last_month_are_read_anew(world: World) -> None:
    world.has("known", "golang-go")
    world.fail("install", GONE)
    apt.install(["golang-go"], lambda line: None)
    assert [call.split()[0] for call in world.calls] == ["install", "update", "install"]


def test_mirror_out_of_reach_is_named(world: World) -> None:
    world.fail("update", *[CUT] * 3)
    with pytest.raises(SetupError, match=r"\(apt-get update\) failed 3 times\. It asks mirror\.example"):
        apt.install(["mmdebstrap"], lambda line: None)


def test_a_broken_repository_of_no_concern_is_no_obstacle(world: World) -> None:
    world.has("mirror", "mmdebstrap")
    world.fail("update", CUT, CUT)
    world.has("known", "mmdebstrap")
    apt.install(["mmdebstrap"], lambda line: None)
    assert world.calls[-1] == "install -y --no-install-recommends mmdebstrap"


def test_unknown_package_is_told_at_once(world: World) -> None:
    world.has("known", "nope")
    world.fail("install", "E: Unable to locate package nope")
    with pytest.raises(SetupError, match=r"installing nope .*failed:\n  E: Unable to locate package nope"):
        apt.install(["nope"], lambda line: None)


@pytest.mark.parametrize("lists_were_read", [True, False])
def test_backports_come_from_the_mirror_of_the_machine(world: World, lists_were_read: bool) -> None:
    target = "http://mirror.example/debian/|bookworm|main|Debian\nhttps://packages.example/hashi|bookworm|main|Artifactory\n"
    (world.folder / ("targets" if lists_were_read else "targets.read")).write_text(target)
    world.has("known", "golang-go")
    apt.install_wanted(Wanted(("golang-go",), "bookworm-backports", only_newer=True), lambda line: None)
    written = (world.folder / "sources/webitel-backports.sources").read_text()
    assert "URIs: http://mirror.example/debian\nSuites: bookworm-backports\n" in written
    assert world.calls[-1] == "install -y --no-install-recommends -t bookworm-backports golang-go"


def test_backports_without_a_mirror_are_told(world: World) -> None:
    (world.folder / "targets").write_text("https://packages.example/hashi|bookworm|main|Artifactory\n")
    with pytest.raises(SetupError, match="None of apt's sources is Debian's bookworm"):
        apt.install_wanted(Wanted(("golang-go",), "bookworm-backports", only_newer=True), lambda line: None)


def test_who_is_not_root_gets_one_command(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=re.escape("Installing mmdebstrap needs root: sudo ./webitel up")):
        apt.install(["mmdebstrap"], pytest.fail)
    assert world.calls == []


INCUS_TOOLS = "dnsmasq-base btrfs-progs nftables"


@pytest.mark.parametrize(
    ("system", "incus", "go"),
    [
        (DEBIAN_12, f"incus-base incus-client {INCUS_TOOLS}", "-t bookworm-backports golang-go"),
        ({"ID": "debian", "VERSION_ID": "13"}, f"incus-base incus-client {INCUS_TOOLS}", "golang-go"),
        ({"ID": "ubuntu", "VERSION_ID": "24.04"}, f"incus incus-client {INCUS_TOOLS}", "golang-go"),
    ],
)
def test_what_a_release_gets(world: World, monkeypatch: pytest.MonkeyPatch, system: dict[str, str], incus: str, go: str) -> None:
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    monkeypatch.setattr("tools.engine.go._PLACES", ["go"])
    monkeypatch.setattr("tools.engine.go._INSTALLED", world.folder)
    (world.folder / "targets.read").write_text("http://mirror.example/debian/|bookworm|main|Debian\n")
    world.has("mirror", *incus.split(), "golang-go")
    world.brings("golang-go", "bin/go", "#!/bin/sh\necho go1.23.5\n")
    install_incus(lambda line: None)
    assert get_go(lambda line: None).program == str(world.folder / "bin/go")
    assert [call.removeprefix("install -y --no-install-recommends ") for call in world.calls if "install" in call] == [incus, go]
    assert (world.folder / "sources/webitel-backports.sources").exists() is (system is DEBIAN_12)


def test_debian_machines_take_the_mirror_of_the_host(world: World) -> None:
    lines = [
        "http://mirror.example/debian/|bookworm|main|Debian",
        "http://mirror.example/debian/|bookworm-updates|main|Debian",
        "http://mirror.example/debian-security/|bookworm-security|main|Debian",
        "https://packages.example/hashi|bookworm|main|Artifactory",
        "https://download.example/linux/debian|bookworm|stable|Docker",
    ]
    (world.folder / "targets").write_text("\n".join(lines) + "\n")
    assert read_debian_sources() == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-updates": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/debian-security",
    }
    assert "URIs: http://mirror.example/debian-security\nSuites: bookworm-security\n" in format_debian_sources()


def test_the_mirror_of_debian_13_has_bookworm_too(world: World) -> None:
    (world.folder / "targets").write_text(
        "http://mirror.example/debian/|trixie|main|Debian\nhttp://mirror.example/debian-security/|trixie-security|main|Debian\n"
    )
    assert read_debian_sources() == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/debian-security",
    }


def test_ubuntu_has_no_mirror_of_debian(world: World) -> None:
    (world.folder / "targets").write_text("http://archive.example/ubuntu/|noble|main|Ubuntu\n")
    assert read_debian_sources() == {}
