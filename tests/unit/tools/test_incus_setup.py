"""What brings Incus and its images to a machine, without doing it: room, mirrors, what apt and the installation say."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.environment import SetupError
from tools.incus import apt, builder, pool


@pytest.mark.parametrize(("gib", "size"), [(1000, 60), (50, 40), (12.5, 10)])
def test_pool_size_follows_the_free_space(gib: float, size: int) -> None:
    assert pool.choose_size(int(gib * 2**30), Path("/var/lib/incus")) == size


def test_no_room_is_said_with_figures() -> None:
    with pytest.raises(SetupError, match=r"/var/lib/incus needs 12\.5 GiB free, it has 3\.0 GiB"):
        pool.choose_size(3 * 2**30, Path("/var/lib/incus"))


def show_unit(**changed: str) -> str:
    state = {
        "LoadState": "loaded",
        "ActiveState": "inactive",
        "SubState": "dead",
        "Result": "success",
        "NRestarts": "0",
        "ExecMainExitTimestampMonotonic": "0",
    }
    return "\n".join(f"{key}={value}" for key, value in (state | changed).items())


@pytest.mark.parametrize(
    ("shown", "done"),
    [
        (show_unit(LoadState="not-found"), True),
        (show_unit(), False),
        (show_unit(ActiveState="activating", SubState="start"), False),
        (show_unit(ActiveState="activating", SubState="auto-restart", Result="exit-code", NRestarts="2"), False),
        (show_unit(ActiveState="active", SubState="exited"), True),
        (show_unit(ExecMainExitTimestampMonotonic="12345"), True),
    ],
)
def test_end_of_the_installation_is_seen(shown: str, done: bool) -> None:
    assert builder.has_installed(shown) is done


@pytest.mark.parametrize(
    "shown",
    [
        show_unit(ActiveState="failed", SubState="failed", Result="exit-code"),
        show_unit(ActiveState="activating", SubState="auto-restart", Result="exit-code", NRestarts="3"),
    ],
)
def test_failed_installation_shows_the_last_lines(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    def run(*command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=f"output of {command[0]}\n")

    monkeypatch.setattr(builder, "run", run)
    with pytest.raises(SetupError, match=r"failed \(exit-code\):\n  output of tail\n  output of journalctl"):
        builder.has_installed(shown)


def answer_commands(monkeypatch: pytest.MonkeyPatch, answers: dict[str, tuple[int, str]]) -> list[list[str]]:
    """Makes commands of `apt` end as the entry whose words they contain says; returns the commands run."""
    seen: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        found = next((answer for words, answer in answers.items() if words in " ".join(command)), (0, ""))
        return subprocess.CompletedProcess(command, found[0], stdout=found[1], stderr=found[1])

    monkeypatch.setattr("tools.incus.apt.subprocess.run", run)
    return seen


def test_debian_mirror_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "http://mirror.example/debian/|bookworm|main",
        "http://mirror.example/debian/|bookworm-updates|main",
        "http://mirror.example/debian-security/|bookworm-security|main",
        "https://packages.example/hashi|bookworm|main",
        "https://download.example/linux/debian|bookworm|stable",
    ]
    answer_commands(monkeypatch, {"indextargets": (0, "\n".join(lines))})
    assert apt.read_debian_sources() == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-updates": "http://mirror.example/debian",
        "bookworm-security": "http://mirror.example/debian-security",
    }
    assert "URIs: http://mirror.example/debian-security\nSuites: bookworm-security\n" in apt.format_debian_sources()


def test_what_apt_says_is_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    answer_commands(monkeypatch, {"install": (100, "E: Unable to locate package nope\n")})
    with pytest.raises(SetupError, match=r"install -y .*nope failed; apt said:\n  E: Unable to locate package nope"):
        apt.install(["nope"], print)


@pytest.mark.parametrize(
    ("system", "user", "message"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, 1000, "needs root: sudo ./webitel up"),
        ({"ID": "debian", "VERSION_ID": "11", "PRETTY_NAME": "Debian 11"}, 0, "cannot be installed on Debian 11"),
        ({"ID": "arch", "PRETTY_NAME": "Arch Linux"}, 0, "cannot be installed on Arch Linux"),
    ],
)
def test_incus_that_cannot_be_installed(monkeypatch: pytest.MonkeyPatch, system: dict[str, str], user: int, message: str) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: system)
    with pytest.raises(SetupError, match=message):
        apt.install_incus(print)


def test_backports_are_added_on_debian_12(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": "debian", "VERSION_ID": "12"})
    monkeypatch.setattr(apt, "_BACKPORTS_FILE", tmp_path / "webitel-backports.sources")
    lines = "http://mirror.example/debian/|bookworm|main"
    seen = answer_commands(
        monkeypatch, {"indextargets": (0, lines), "policy incus-base": (0, "Candidate: (none)"), "policy": (0, "")}
    )
    apt.install_incus(lambda text: None)
    written = (tmp_path / "webitel-backports.sources").read_text()
    assert "URIs: http://mirror.example/debian\nSuites: bookworm-backports\n" in written
    assert {"incus-base", "incus-client", "dnsmasq-base", "btrfs-progs"} <= set(seen[-1])
