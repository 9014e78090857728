"""The database's backups: made when they are due, by the node that leads it, and which there are.

Nothing here stops a service. While the bucket does not answer, PostgreSQL keeps what it has to archive on its own disk.
"""

import datetime
import json
import pathlib
import time
from typing import TypedDict

from ..clusters import database_cluster, database_data
from ..manifest import BackupEntry, Manifest
from ..system import Tell, write_private
from . import lines, marks, verified
from .repository import LONG_SECONDS, BackupError, BackupRow, Repository, query, reach

MEMORY = pathlib.Path("/var/lib/webitel/backup.json")
UNIT, TIMER = "webitel-backup.service", "webitel-backup.timer"
"""What looks whether one is due, and what starts that."""
MADE = "new in the bucket"
"""How the line ends that says of a backup that it was made."""
LATE_SECONDS = 3 * 3600.0
"""After the hour at which a backup is due: that long a large one may take."""
TAKES_SECONDS = 60.0


class Memory(TypedDict):
    """What the last look found: when, the problem if there was one and since when, the database's place and its backups, and the
    time line that the newest restore began (0: none)."""

    looked: float
    problem: str
    since: float
    stanza: str
    backups: list[BackupRow]
    restored: int


def remember() -> Memory:
    """Return what the last look found."""
    nothing: Memory = {"looked": 0.0, "problem": "", "since": 0.0, "stanza": "", "backups": [], "restored": 0}
    try:
        found: Memory = json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        return nothing
    # What an earlier version of this program left has no time lines: the next look asks again.
    return found if "restored" in found else nothing


def leads(manifest: Manifest) -> bool:
    """Tell whether this node leads the database. Raises BackupError where Patroni does not tell."""
    try:
        members = database_cluster.list_members(manifest)
    except (OSError, ValueError) as error:
        raise BackupError(f"Patroni does not answer: {error}") from error
    return any(member["name"] == manifest["key"] and member["role"] == database_cluster.LEADER for member in members)


def look(manifest: Manifest, tell: Tell, kind: str = "") -> bool:
    """Do what is due; `kind` (full, incr) makes a backup in any case. Tell whether all is well; safe to run at any time."""
    entry = manifest.get("backup")
    if entry is None:
        tell("backup", "there is no bucket to back up to: set webitel:backup")
        return not kind
    with marks.alone(tell):
        before = remember()
        memory: Memory = {**before, "looked": time.time(), "problem": "", "since": 0.0}
        try:
            if not leads(manifest):
                tell("backup", "another node leads the database, and backs it up")
                MEMORY.unlink(missing_ok=True)  # what was true here once is not for `status`
                return True
            reach(entry)
            repository = Repository(entry)
            memory["stanza"] = repository.stanza
            prepare(manifest, repository, tell)
            rows = repository.list_backups()
            if repository.unknown:
                tell("backup", f"what the bucket has of each is not known: {repository.unknown}")
            memory["restored"] = lines.find_restored(lines.read_own(repository.data, repository.timeline), repository.timeline)
            due = find_due(entry, rows, time.time(), memory["restored"])
            broken = verified.wants_full(verified.read(repository.stanza), find_newest_full(rows))
            if wanted := "full" if broken or "full" in (due, kind) else kind or due:
                tell("backup", f"{'a full' if wanted == 'full' or not rows else 'an incremental'} one begins")
                repository.call("backup", f"--type={wanted}", seconds=LONG_SECONDS)
                rows = repository.list_backups()
                tell("backup", f"{rows[-1]['label']}: {rows[-1]['size']} bytes, {rows[-1]['stored']} of them {MADE}")
            memory["backups"] = rows
        except (BackupError, OSError) as error:
            memory |= {"problem": str(error), "since": before["since"] or time.time()}
            tell("backup", str(error))
        write_private(MEMORY, json.dumps(memory))
    return not memory["problem"]


def prepare(manifest: Manifest, repository: Repository, tell: Tell) -> None:
    """Make the database's place in the bucket, and only then have PostgreSQL archive to it: what came there before would be in
    the way."""
    wanted = repository.archive_command()
    if database_cluster.read_parameters(manifest).get("archive_command") != wanted:
        tell("backup", f"make {repository.stanza} in the bucket")
        repository.call("stanza-create")
        said = database_cluster.change_parameters(manifest, {"archive_command": wanted})
        if said:
            raise BackupError(f"Patroni does not take the command that archives: {said}")
        # It hands it on at its next look at the cluster.
        until = time.monotonic() + TAKES_SECONDS
        while query("show archive_command") != wanted:
            if time.monotonic() > until:
                raise BackupError("PostgreSQL does not archive: it has to be restarted first, which the next ./webitel up does")
            time.sleep(1)
    elif remember()["stanza"] != repository.stanza or remember()["problem"]:
        # Another bucket, or an emptied one; where it is there already, this only looks.
        repository.call("stanza-create")


def last_moment(entry: BackupEntry, now: float) -> float:
    """Return when a backup was due last."""
    hour, _, minute = entry["at"].partition(":")
    moment = datetime.datetime.fromtimestamp(now).replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    return (moment if moment.timestamp() <= now else moment - datetime.timedelta(days=1)).timestamp()


def find_missed(entry: BackupEntry, newest: float, now: float) -> float:
    """Return when the last backup was due that has had its time and is not there; 0 where the newest one is it, or later."""
    # Not the last that was due at all: each day its own hours to be made would hide all those that were missed before.
    due = last_moment(entry, now - LATE_SECONDS)
    return due if newest < due else 0.0


def find_due(entry: BackupEntry, rows: list[BackupRow], now: float, restored: int = 0) -> str:
    """Return the kind of backup that is due now: full, incr, or "" for none. Those from before the time line that a restore
    began do not count: what they hold was discarded in part."""
    if has_failed_again(rows, now):
        return ""
    sound = [row for row in rows if not row["damaged"] and row["timeline"] >= restored]
    if not any(row["kind"] == "full" for row in sound):
        return "full"
    due = last_moment(entry, now)
    if sound[-1]["start"] >= due:
        return ""
    if rows[-1]["damaged"]:
        return "full"  # pgBackRest builds on the newest one of all, whatever is wrong with that
    # An hour's grace: a full one that took longer last week does not move the next one by a day.
    return "full" if now - find_newest_full(sound) > entry["full_days"] * 86400 - 3600 else "incr"


def find_newest_full(rows: list[BackupRow]) -> float:
    """Return when the newest full one was begun; 0 without one."""
    return max((row["start"] for row in rows if row["kind"] == "full"), default=0.0)


def has_failed_again(rows: list[BackupRow], now: float) -> bool:
    """Tell whether a full one that was made because the one before was damaged is damaged too, just now: a bucket that has
    something against all of them is not to be filled with more every five minutes."""
    two = rows[-2:]
    full = len(two) > 1 and two[-1]["kind"] == "full"
    return full and all(row["damaged"] for row in two) and now - two[-1]["start"] < LATE_SECONDS


class Kept(TypedDict):
    """What can be restored: to any second between two times, from these backups; the database's place in the bucket, and when all
    that is there was read and compared last (0: never). All of it empty on a node that does not lead the database."""

    stanza: str
    earliest: float
    latest: float
    waiting: int
    verified: float
    backups: list[BackupRow]


def list_kept(manifest: Manifest) -> Kept:
    """Ask the bucket what can be restored. Raises BackupError."""
    entry = manifest.get("backup")
    if entry is None or not leads(manifest):
        return {"stanza": "", "earliest": 0.0, "latest": 0.0, "waiting": 0, "verified": 0.0, "backups": []}
    reach(entry)
    repository = Repository(entry)
    rows = repository.list_backups()
    sound = [row["stop"] for row in rows if not row["damaged"]]
    data = database_data.data_folder()
    done = [path.stat().st_mtime for path in (data / "pg_wal" / "archive_status").glob("*.done")]
    return {
        "stanza": repository.stanza,
        "earliest": min(sound, default=0.0),
        # What was archived holds all that was written until it was closed.
        "latest": max([*done, *sound], default=0.0) if sound else 0.0,
        "waiting": find_waiting(data)[0],
        "verified": verified.read(repository.stanza)["ended"],
        "backups": rows,
    }


def find_waiting(data: pathlib.Path) -> tuple[int, float]:
    """Return how many pieces of the log wait to be archived, and when the oldest one was ready."""
    found = [path.stat().st_mtime for path in (data / "pg_wal" / "archive_status").glob("*.ready")]
    return len(found), min(found, default=0.0)
