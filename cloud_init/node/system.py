"""What every part of the node program needs of the system: running programs and units, writing files, errors for the operator."""

import contextlib
import glob
import os
import pathlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable

from .install import NATIVE

COMMAND_SECONDS = 120
ASK_SECONDS = 20.0
"""Between two questions whether a long program is to go on."""
ENDED, NOT_INSTALLED = 124, 127
"""Exit statuses, as timeout(1) and a shell use them, of a program that hung and of one that does not exist."""

POSTGRESQL_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
"""Where PostgreSQL's programs are. What Debian puts before them in /usr/bin is Perl, which takes three times as long to start."""

RUNNING = ("active", "activating", "reloading")
"""States of a unit that has begun."""

STAGED = ".webitel-new"
"""How files end that are to take another one's place. Programs that read every file of a folder do not read those."""
LEFT_SECONDS = 3600.0
"""After which a staged file is nobody's any more."""

LINE_LETTERS = 2000
"""Of a line of a log that is shown: the journal splits a program's lines only after 48 KiB."""

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
    """Write a file of this program's own."""
    replace_file(path, text, mode)


def replace_text(path: pathlib.Path, text: str) -> None:
    """Replace a file's content, with its owner and mode as they are."""
    found = path.stat()
    replace_file(path, text, found.st_mode & 0o7777, (found.st_uid, found.st_gid))


def replace_file(path: pathlib.Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Put a text in place of a file's at once: whoever reads it, and a power cut, finds the former one whole or this one whole,
    with its mode and owner (the program's own where none is given)."""
    forget_left(path)
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}{STAGED}")
    try:
        stage(fresh, text, mode, owner)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def stage(fresh: pathlib.Path, text: str, mode: int, owner: tuple[int, int] | None = None) -> None:
    """Write a new file that is to take another one's place, all of it on the disk. Nobody else's file is written through."""
    fresh.parent.mkdir(parents=True, exist_ok=True)
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(text.encode(errors="surrogateescape"))
        if owner:
            os.fchown(target.fileno(), *owner)
        os.fchmod(target.fileno(), mode)
        target.flush()
        os.fsync(target.fileno())


def forget_left(path: pathlib.Path) -> None:
    """Remove what was staged for a file by a process that was killed before it put it in place."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????{STAGED}"):
        with contextlib.suppress(FileNotFoundError):  # another one is writing the same file
            if abs(time.time() - left.stat().st_mtime) > LEFT_SECONDS:
                left.unlink()


def sync_folder(folder: pathlib.Path) -> None:
    """Have a power cut find what was put into a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def environment(more: dict[str, str]) -> dict[str, str]:
    """Return what programs get: ours, in a language that is read, and more."""
    return os.environ | NATIVE | {"LC_ALL": "C.UTF-8"} | more


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
            env=environment(more or {}),
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, ENDED, "", f"{command[0]} did not end within {timeout:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]} is not installed")


def run_while(
    goes_on: Callable[[], bool], command: list[str], timeout: float, more: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """As `run`, and ask every so often whether there is any sense in it; where not, it is killed and reads as `ENDED`."""
    if shutil.which(command[0]) is None:
        return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]} is not installed")
    until = time.monotonic() + timeout
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environment(more)
    ) as process:
        while True:
            try:
                output, errors = process.communicate(timeout=ASK_SECONDS)
            except subprocess.TimeoutExpired:
                if goes_on() and time.monotonic() < until:
                    continue
                process.kill()
                output, errors = process.communicate()
                return subprocess.CompletedProcess(command, ENDED, output, errors)
            return subprocess.CompletedProcess(command, process.returncode, output, errors)


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
    return [line if len(line) <= LINE_LETTERS else f"{line[:LINE_LETTERS]}..." for line in shown.stdout.splitlines()]
