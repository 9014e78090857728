"""Time lines of a database: one begins with each restore and each change of the leader (PostgreSQL's `N.history` files).

A restore leaves what it discarded in the bucket, on the line that was in use until then. So a time is looked for on the line that
was in use at that time, and a backup is of use only where that line has passed it.
"""

import pathlib
import re
from collections.abc import Iterable, Mapping
from typing import TypedDict

from .repository import BackupError, BackupRow, Repository, read_list, read_position

FIRST = 1
"""The line that a new database begins on."""
RESTORED = re.compile("before |after ")
"""How the reason begins for which recovery ended at a time; a change of the leader says `no recovery target specified`."""
DATABASE = re.compile(r"\d+-\d+")
"""The folder of a database in the archive: its version and a number."""
HISTORY = re.compile(r"([0-9A-F]{8})\.history")


class Line(TypedDict):
    """One time line: which one it left and where in the log, whether by a restore, and when (seconds since the epoch)."""

    parent: int
    fork: int
    restored: bool
    born: float


Lines = Mapping[int, Line]


def read_history(text: str, number: int, born: float = 0.0) -> dict[int, Line]:
    """Read a line's history: that line and all that it comes from, `born` being the time of the line itself."""
    rows = [row.split("\t", 2) for row in text.splitlines() if re.match(r"\d+\t", row)]
    children = [*(int(row[0]) for row in rows[1:]), number]
    return {
        child: {
            "parent": int(row[0]),
            "fork": read_position(row[1]),
            "restored": bool(RESTORED.match(row[2] if len(row) > 2 else "")),
            "born": born if child == number else 0.0,
        }
        for child, row in zip(children, rows, strict=True)
    }


def read_own(data: pathlib.Path, number: int) -> dict[int, Line]:
    """Read the line that the database on this node is on, and all that it comes from."""
    path = data / "pg_wal" / f"{number:08X}.history"
    try:
        return read_history(path.read_text(), number, path.stat().st_mtime)
    except OSError:
        return {}  # the first line has no history


def read_kept(repository: Repository) -> dict[int, Line]:
    """Read all lines that the bucket has, also those that were discarded. Raises BackupError."""
    found: dict[int, Line] = {}
    place = f"archive/{repository.stanza}"
    for folder in filter(DATABASE.fullmatch, list_names(repository, place)):
        files = list_names(repository, f"{place}/{folder}", r"--filter=\.history$")
        for name, entry in files.items():
            if history := HISTORY.fullmatch(name):
                number = int(history[1], 16)
                text = repository.call("repo-get", database=False, what=f"{place}/{folder}/{name}")
                found[number] = read_history(text, number, float(entry.get("time", 0)))[number]
    return found


def list_names(repository: Repository, place: str, *options: str) -> dict[str, dict[str, float]]:
    """List what stands in a folder of the bucket, by name. Raises BackupError."""
    try:
        listed = read_list(repository.call("repo-ls", "--output=json", *options, database=False, what=place))
    except ValueError as error:
        raise BackupError(f"pgBackRest's list of {place} is not readable: {error}") from error
    names: dict[str, dict[str, float]] = {name: entry for name, entry in listed.items() if name != "."}
    return names


def find_restored(known: Lines, number: int) -> int:
    """Return the newest line, of those that this one comes from, that a restore began; 0 where there was none."""
    return next((line for line in walk(known, number) if line in known and known[line]["restored"]), 0)


def walk(known: Lines, number: int) -> Iterable[int]:
    """Go from a line back to the first one."""
    while number in known:
        yield number
        number = known[number]["parent"]
    yield number


def find_line(known: Lines, moment: float) -> int:
    """Return the line that was in use at a time."""
    number = max((line for line, about in known.items() if about["born"] <= moment), default=FIRST)
    # A new leader's line is known to the bucket somewhat later than it began; what was until then is on it too.
    while later := [line for line, about in known.items() if about["parent"] == number and not about["restored"]]:
        number = min(later)
    return number


def is_on(known: Lines, number: int, row: BackupRow) -> bool:
    """Tell whether a line has passed the end of that backup."""
    fork = -1
    for line in walk(known, number):
        if line == row["timeline"]:
            return fork < 0 or row["end"] <= fork
        if line in known:
            fork = known[line]["fork"] if fork < 0 else min(fork, known[line]["fork"])
    return False


def choose(known: Lines, rows: list[BackupRow], moment: float) -> tuple[str, int]:
    """Return the backup from which a time is reached, and the line on which. Raises BackupError."""
    number = find_line(known, moment)
    fit = [row for row in rows if not row["damaged"] and row["stop"] < moment and is_on(known, number, row)]
    if not fit:
        raise BackupError("there is no sound backup from before that time: ./webitel backups says what there is")
    return fit[-1]["label"], number
