"""All that the bucket has of the database is read and compared with the checksums of when it was written, every few days, on the
node that leads it.

`status` and every restore leave out what was found then. It reads as much as the bucket holds, beside backups and all else.
"""

import contextlib
import fcntl
import itertools
import json
import pathlib
import re
import time
from collections.abc import Iterable, Iterator

from ..manifest import Manifest
from ..system import Tell, write_private
from . import lines, verified
from .jobs import leads
from .repository import LONG_SECONDS, BackupError, Repository, reach

BUSY = pathlib.Path("/run/webitel/verify.lock")
"""Held by whoever reads: a backup may be made meanwhile."""
WHOLE = "all of it is as it was written"
"""How the line ends that says that nothing is wrong."""
BACKUP = re.compile(r"^\s*backup: (\S+), status: ([^,]+)", re.MULTILINE)
LOG = re.compile(r"^\s*archiveId: \S+, total WAL checked: (\d+), total valid WAL: (\d+)", re.MULTILINE)
SOUND = ("valid", "in-progress")
PIECE = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})000000([0-9A-F]{2})-")
"""A piece of the log of 16 MiB: time line, and its number in two parts."""
PIECES_OF_A_PART = 256


def run(manifest: Manifest, tell: Tell, now: bool = False) -> bool:
    """Read all of it where that is due, or `now`; tell whether all that was read is well. Safe to run at any time."""
    entry = manifest.get("backup")
    if entry is None:
        tell("verify", "there is no bucket: set webitel:backup")
        return not now
    with alone() as free:
        if not free:
            tell("verify", "it is being read already")
            return not now
        try:
            if not leads(manifest):
                tell("verify", "another node leads the database, and reads its backups")
                verified.MEMORY.unlink(missing_ok=True)  # what was true here once is not for `status`
                return True
            reach(entry)
            repository = Repository(entry)
            before = verified.read(repository.stanza)
            if not now and not verified.is_due(entry, before, time.time()):
                return True
            if not repository.list_backups():
                tell("verify", "there is no backup yet")
                return True
        except BackupError as error:
            tell("verify", str(error))
            return False
        try:
            found = look(repository, tell)
        except BackupError as error:
            # Tried again in an hour; what was found last is still what is known.
            found = before | {"stanza": repository.stanza, "problem": str(error)}
        write_private(verified.MEMORY, json.dumps(found))
    wrong = [found["problem"], *(f"{label}: damaged" for label in found["damaged"]), found["log"] and f"the log: {found['log']}"]
    tell("verify", "; ".join(filter(None, wrong)) or WHOLE)
    return not any(wrong)


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Whether nobody else reads, who could then not."""
    BUSY.parent.mkdir(parents=True, exist_ok=True)
    with BUSY.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def look(repository: Repository, tell: Tell) -> verified.Verified:
    """Read all of it. What is wrong is believed when it is found twice: what expires while it is read is missing once. Raises
    BackupError."""
    tell("verify", "all that the bucket has of the database is read and compared")
    damaged, log = read_once(repository)
    if damaged or log:
        tell("verify", f"{', '.join(sorted(damaged)) or 'the log'}: not as it was written; read again")
        again, log_again = read_once(repository)
        damaged, log = damaged & again, log_again if log else ""
    return {"ended": time.time(), "stanza": repository.stanza, "damaged": sorted(damaged), "log": log, "problem": ""}


def read_once(repository: Repository) -> tuple[set[str], str]:
    """Return the labels of the backups that are damaged, and what is wrong with the log."""
    # It exits 0 whatever it finds (docs/facts/backups.md 2.5).
    said = repository.call("verify", "--output=text", "--verbose", seconds=LONG_SECONDS, database=False)
    if "stanza:" not in said:
        raise BackupError(f"verify: {said.strip()[:200] or 'no answer'}")
    damaged = {label for label, status in BACKUP.findall(said) if status not in SOUND}
    changed = sum(int(checked) - int(valid) for checked, valid in LOG.findall(said))
    wrong = [f"{changed} pieces of 16 MiB are damaged"] if changed else []
    gaps = [gap for folder in list_folders(repository) for gap in find_gaps(folder)]
    if gaps:
        wrong.append(f"missing after {', '.join(gaps[:3])}{' and more' if len(gaps) > 3 else ''}")
    return damaged, "; ".join(wrong)


def list_folders(repository: Repository) -> Iterator[list[str]]:
    """List the pieces of the log that the bucket has, by database. Raises BackupError."""
    place = f"archive/{repository.stanza}"
    for folder in filter(lines.DATABASE.fullmatch, lines.list_names(repository, place)):
        found = lines.list_names(repository, f"{place}/{folder}", "--recurse")
        yield [name.rpartition("/")[2] for name in found]


def find_gaps(names: Iterable[str]) -> Iterator[str]:
    """Find the pieces after which one is missing, each time line by itself: `verify` takes what is there for all (2.6)."""
    found = filter(None, map(PIECE.match, names))
    pieces = sorted((match[1], int(match[2], 16) * PIECES_OF_A_PART + int(match[3], 16)) for match in found)
    for (line, number), (next_line, next_number) in itertools.pairwise(pieces):
        if line == next_line and next_number > number + 1:
            yield f"{line}{number // PIECES_OF_A_PART:08X}{number % PIECES_OF_A_PART:08X}"
