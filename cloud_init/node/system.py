"""What every part of the node program needs of the system: running programs and units, writing files, errors for the operator."""

import os
import pathlib
import subprocess
from collections.abc import Callable

from .install import NATIVE

COMMAND_SECONDS = 120
ENDED, NOT_INSTALLED = 124, 127
"""Exit statuses, as timeout(1) and a shell use them, of a program that hung and of one that does not exist."""

RUNNING = ("active", "activating", "reloading")
"""States of a unit that has begun."""

Tell = Callable[[str, str], None]
"""Report one line of progress: the step and a text."""


class ApplyError(Exception):
    """The configuration could not be applied; the text is for the operator, `unit` the unit it is about."""

    def __init__(self, text: str, unit: str = "") -> None:
        super().__init__(text)
        self.unit = unit


class Unhealthy(Exception):
    """A question of the health check was not answered the way a working service would; the text says what was seen instead."""


def write_private(path: pathlib.Path, text: str, mode: int = 0o600) -> None:
    """Write a file atomically; a crash leaves either the old one or the new one on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".webitel-new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as target:
        os.fchmod(target.fileno(), mode)
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    fresh.replace(path)


def run(
    command: list[str], timeout: float = COMMAND_SECONDS, text: str | None = None, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program, with `more` in its environment; never raise for its exit status. One that hangs is killed and reads as
    `ENDED`."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",  # pgBackRest prints what it cannot read
            timeout=timeout,
            input=text,
            check=False,
            env=os.environ | NATIVE | {"LC_ALL": "C.UTF-8"} | (more or {}),
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, ENDED, "", f"{command[0]} did not end within {timeout:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]} is not installed")


def systemctl(*arguments: str, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run systemctl without a pager and without prompts."""
    return run(["systemctl", "--no-pager", "--no-ask-password", *arguments], timeout)


def is_mount_point(path: str, table: pathlib.Path = pathlib.Path("/proc/self/mountinfo")) -> bool:
    """Tell whether something is mounted there, be it a directory of the same file system, which `os.path.ismount` misses."""
    return os.path.ismount(path) or any(line.split(" ")[4] == path for line in table.read_text().splitlines())


def is_running(unit: str) -> bool:
    """Tell whether the unit is active or activating."""
    return systemctl("is-active", unit).stdout.strip() in RUNNING


def last_lines(unit: str, lines: int = 20) -> list[str]:
    """Read a unit's last journal lines since the current boot."""
    shown = run(["journalctl", "-b", "--no-pager", "-q", "-o", "short-iso", "-n", str(lines), "-u", unit], 10)
    return shown.stdout.splitlines()
