"""What brings Incus and its images to a machine, without doing it: room, mirrors, what apt and the installation say."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.tools.side_by_side import side_by_side
from tools.host.fetching import Progress, SetupError
from tools.incus import api, apt, builder, daemon, images, pool


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


def test_two_runs_make_an_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(alias: str, rootfs: Path, progress: Progress) -> None:
        time.sleep(0.3)
        made.append(alias)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(images, "read_recipe", lambda: b"recipe")
    monkeypatch.setattr(images, "_exists", lambda alias: alias in made)
    monkeypatch.setattr(images, "_make_base_image", make)
    monkeypatch.setattr(images, "_remove_aliases", lambda prefix, **_: None)
    lines: list[str] = []
    side_by_side(*[lambda: images.ensure_base_image(lines.append)] * 2)
    assert len(made) == 1
    assert lines == ["waiting for another run that is making an image"]


def test_two_runs_start_incus_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def start(progress: Progress) -> None:
        time.sleep(0.3)
        started.append("incusd")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(daemon, "is_answering", lambda: bool(started))
    monkeypatch.setattr(daemon, "find_program", lambda: "/usr/libexec/incus/incusd")
    monkeypatch.setattr(daemon, "start_incus", start)
    monkeypatch.setattr(daemon, "raise_limits", lambda: [])
    monkeypatch.setattr("shutil.which", lambda name: name)
    lines: list[str] = []
    side_by_side(*[lambda: daemon.ensure_incus(lines.append)] * 2)
    assert started == ["incusd"]
    assert lines == ["waiting for another run that is starting Incus"]


def test_two_runs_make_the_pool_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def create(driver: str, config: dict[str, str]) -> None:
        time.sleep(0.3)
        made.append(driver)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(api, "find", lambda path: made or None)
    monkeypatch.setattr(api, "socket_path", lambda: tmp_path / "socket")
    monkeypatch.setattr(pool, "choose_size", lambda free, directory: 20)
    monkeypatch.setattr(pool, "_create", create)
    monkeypatch.setattr("shutil.which", lambda name: name)
    side_by_side(*[lambda: pool.ensure_pool(lambda line: None)] * 2)
    assert made == ["btrfs"]


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        ("", ("booting", "")),
        ('{"step": "packages", "done": 3, "total": 60, "error": ""}', ("installing packages", "3 done")),
        ('{"step": "downloading packages", "done": 0, "total": 60, "error": ""}', ("downloading packages", "")),
        ('{"step": "package lists", "done": 0, "total": 0, "error": ""}', ("package lists", "")),
    ],
)
def test_installation_is_told_with_its_count(shown: str, line: tuple[str, str]) -> None:
    assert builder.describe_progress(shown) == line


def test_who_starts_incus_does_not_hand_on_what_is_only_its_own(tmp_path: Path) -> None:
    """A temporary folder that is gone tomorrow, and passwords."""
    program = tmp_path / "incusd"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o755)
    script = (
        "import sys; from tools.incus import daemon; "
        "daemon.find_program = lambda: sys.argv[1]; daemon._start_in_background().wait()"
    )
    own = {
        "TMPDIR": "/tmp/mine",
        "PULUMI_CONFIG_PASSPHRASE": "a secret",
        "https_proxy": "http://10.0.0.1:3128",
        "INCUS_DIR": "/i",
    }
    environment = {**os.environ, **own, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-P", "-c", script, program], env=environment, check=True, timeout=60)
    seen = (tmp_path / "webitel" / "incusd.log").read_text()
    assert "TMPDIR" not in seen and "a secret" not in seen
    assert "https_proxy=http://10.0.0.1:3128\n" in seen and "INCUS_DIR=/i\n" in seen and "\nPATH=" in f"\n{seen}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be less nice than it is; Incus is started by root only")
def test_who_starts_incus_does_not_hand_on_how_nice_it_is(tmp_path: Path) -> None:
    program = tmp_path / "incusd"
    program.write_text("#!/bin/sh\nnice\n")
    program.chmod(0o755)
    code = (
        "import os, sys; from tools.incus import daemon; os.nice(5); "
        "daemon.find_program = lambda: sys.argv[1]; daemon._start_in_background().wait()"
    )
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-P", "-c", code, program], env=environment, check=True, timeout=60)
    assert (tmp_path / "webitel/incusd.log").read_text() == "0\n"
