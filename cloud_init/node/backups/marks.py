"""How far a restore has come, noted beside the database, and who may work on it."""

import contextlib
import fcntl
import json
import pathlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from ..clusters import database_data
from ..system import Tell, write_private
from .repository import LONG_SECONDS, BackupError

BUSY = pathlib.Path("/run/webitel/backup.lock")
"""Held by whoever works on the database's backups or restores it."""
COPIED, PROVED, STOPPED = "copied", "proved", "stopped"
PLACING = database_data.PLACING
PLACED, LEADS = "placed", "leads"
"""Stages on the node that leads: restored beside the database, seen to start, the database stopped, changing places, in its
place, and leading. Until `stopped` nothing is changed, and from `placing` on the restored database is the one."""
FOLLOWS = "follows"
"""The stage of a member that gave up what it had, to be copied from the restored one."""
BEYOND = (PLACING, PLACED, LEADS)
AGAIN_SECONDS = 1.0


class Mark(TypedDict):
    """How far a restore has come: to which time, its stage, and from where, "" from this deployment's own bucket."""

    at: str
    stage: str
    source: str


def beside(data: pathlib.Path, ending: str) -> pathlib.Path:
    """Return a folder beside the database's: `restored` before it takes its place, `before` what it replaced."""
    return data.with_name(f"{data.name}.{ending}")


def measure(folder: pathlib.Path) -> int:
    """Return the bytes that a folder takes on its disk."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_blocks * 512
    return total


def read_mark(data: pathlib.Path) -> Mark:
    """Return how far a restore has come."""
    nothing: Mark = {"at": "", "stage": "", "source": ""}
    try:
        found: Mark = json.loads(database_data.restore_mark(data).read_text())
    except (OSError, ValueError):
        return nothing
    return nothing | found


def write_mark(data: pathlib.Path, at: str, stage: str, source: str | None = None) -> None:
    """Remember how far it has come; from where is what it was unless told."""
    mark: Mark = {"at": at, "stage": stage, "source": read_mark(data)["source"] if source is None else source}
    write_private(database_data.restore_mark(data), json.dumps(mark))


def describe_again(mark: Mark) -> str:
    """Return the command that goes on with a restore."""
    asked = "" if mark["at"] == database_data.END else f" --at '{mark['at']}'"
    url = mark["source"].partition(" ")[0]
    return f"./webitel restore --from {url}{asked}" if url else f"./webitel restore --at '{mark['at']}'"


def is_ready(data: pathlib.Path, at: str, source: str | None = None) -> bool:
    """Tell whether the database of that time, and from there where that is told, is there to take its place, or has taken it."""
    mark = read_mark(data)
    if source not in (None, mark["source"]):
        return False
    if mark["stage"] in (PROVED, STOPPED) and not (beside(data, "restored") / "PG_VERSION").exists():
        return False  # somebody made room
    return mark["at"] == at and mark["stage"] in (PROVED, STOPPED, *BEYOND)


@contextmanager
def alone(tell: Tell, seconds: float = LONG_SECONDS) -> Iterator[None]:
    """Keep backups and other restores away meanwhile. Raises BackupError where one is at work for longer than that."""
    BUSY.parent.mkdir(parents=True, exist_ok=True)
    until, told = time.monotonic() + seconds, False
    with BUSY.open("w") as busy:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > until:
                raise BackupError("a backup or another restore is at work on this node: try again when it has ended")
            if not told:
                tell("restore", "wait for a backup or another restore that is at work")
                told = True
            time.sleep(AGAIN_SECONDS)
        yield
