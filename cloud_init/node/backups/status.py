"""What `status` says of the database's backups, of a restore that has not ended, and of recordings' backup."""

import fcntl
import pathlib
import time

from ..clusters import database_data
from ..manifest import FilesEntry, Manifest
from ..report import MachineRow
from ..system import is_running
from . import jobs, marks, recordings, repository, verified
from .jobs import LATE_SECONDS, find_missed, find_newest_full, find_waiting
from .repository import BackupError

UNLOOKED_SECONDS = 1800.0
"""It looks every five minutes, as long as one look does not take longer."""
WAITS_SECONDS = 600.0
"""PostgreSQL hands over its log at least once a minute; beyond this something is wrong."""


def report(manifest: Manifest) -> list[MachineRow]:
    """Say on the node that leads the database how its backups are, and on any with a restore that is not finished how far it is;
    nothing on the others."""
    entry = manifest.get("backup")
    if entry is None:
        return []
    data, memory, now = database_data.data_folder(), jobs.remember(), time.time()
    rows = [unfinished] if (unfinished := report_restore(data, now)) else []
    row: MachineRow = {"name": "backup", "healthy": True, "why": ""}
    if not memory["looked"]:
        return [*rows, row | {"warning": True, "why": describe_unlooked("webitel-backup")}] if waits_for_look(manifest) else rows
    damaged = [found["label"] for found in memory["backups"] if found["damaged"]]
    sound = [found for found in memory["backups"] if not found["damaged"]]
    newest = max((found["stop"] for found in sound), default=0.0)
    waiting, oldest = find_waiting(data)
    if waiting and now - oldest > WAITS_SECONDS:
        since = f"{(now - oldest) / 60:.0f} minutes"
        why = f"the database's log waits on its disk since {since} ({waiting} pieces of 16 MiB)"
        return [*rows, row | {"warning": True, "why": f"{why}: {memory['problem'] or 'PostgreSQL cannot hand it over'}"}]
    if memory["problem"]:
        return [*rows, row | {"warning": True, "why": memory["problem"]}]
    lacks = f"{', '.join(damaged)}: damaged or not in the bucket any more" if damaged else ""
    if not newest:
        return [*rows, row | {"warning": True, "why": lacks or "there is none yet"}]
    age = f"the newest is {describe_age(now - newest)} old"
    if not any(found["timeline"] >= memory["restored"] for found in sound):
        # It is due at once, and made by the next look; until then the backup that was restored and the log bring back all of it.
        why = f"the database was restored, and its first backup since is not done; until then {sound[-1]['label']}"
        return [*rows, row | {"warning": now - newest > LATE_SECONDS, "why": f"{why} and the log protect it ({age})"}]
    if missed := find_missed(entry, newest, now):
        return [*rows, row | {"warning": True, "why": f"late: {age}, and one was due {describe_age(now - missed)} ago"}]
    oldest, full = min(found["stop"] for found in sound), find_newest_full(sound)
    wrong, compared = verified.describe(entry, verified.read(memory["stanza"]), oldest, full, now)
    if lacks:
        return [*rows, row | {"warning": True, "why": f"{lacks}; {age}{compared}"}]
    if wrong:
        row |= {"warning": True}
    return [*rows, row | {"why": f"{age}{compared}"}]


def report_restore(data: pathlib.Path, now: float) -> MachineRow | None:
    """Say how far a restore is that has not ended."""
    mark = marks.read_mark(data)
    if not mark["stage"]:
        return None
    row: MachineRow = {"name": "restore", "healthy": True, "why": ""}
    age = describe_age(now - database_data.restore_mark(data).stat().st_mtime)
    to = "the end of what there is" if mark["at"] == database_data.END else mark["at"]
    again = f"{marks.describe_again(mark)} goes on"
    if mark["stage"] in (marks.COPIED, marks.PROVED):
        why = f"one to {to} is made ready in {marks.beside(data, 'restored')} since {age}, and nothing is changed yet"
        return row | {"warning": now - database_data.restore_mark(data).stat().st_mtime > LATE_SECONDS, "why": f"{why}: {again}"}
    return row | {"warning": True, "why": f"one to {to} is not finished since {age}: {again}"}


def report_files(manifest: Manifest) -> list[MachineRow]:
    """Say how old the bucket's newest copy is, on the node that makes it."""
    entry: FilesEntry | None = manifest.get("backup_files")
    memory = recordings.remember()
    if entry is None:
        return []
    row: MachineRow = {"name": "recordings' backup", "healthy": True, "why": ""}
    if not (memory["copied"] or memory["problem"]):
        unlooked = is_overdue(recordings.CONFIG, recordings.BUSY) and is_running(entry["unit"])
        return [row | {"warning": True, "why": describe_unlooked("webitel-backup-files")}] if unlooked else []
    age = describe_age(time.time() - memory["copied"]) if memory["copied"] else ""
    if memory["problem"]:
        return [row | {"warning": True, "why": f"{memory['problem']}; {f'copied {age} ago' if age else 'nothing is copied yet'}"}]
    if time.time() - memory["copied"] > LATE_SECONDS:
        return [row | {"warning": True, "why": f"late: copied {age} ago"}]
    return [row | {"why": f"copied {age} ago"}]


def waits_for_look(manifest: Manifest) -> bool:
    """Tell whether this node should have looked for a backup long ago, and never did."""
    try:
        return is_overdue(repository.CONFIG, marks.BUSY) and jobs.leads(manifest)
    except BackupError:
        return False  # the database's probe says that Patroni does not answer


def is_overdue(config: pathlib.Path, busy: pathlib.Path) -> bool:
    """Tell whether the node was told of the bucket so long ago that it must have looked since, and does not do it just now."""
    if config.exists() and time.time() - config.stat().st_mtime < UNLOOKED_SECONDS:
        return False
    try:
        with busy.open() as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True


def describe_unlooked(unit: str) -> str:
    """Say that nothing has looked, and where to see why."""
    return f"nothing has looked for it yet: systemctl status {unit}.timer {unit}.service"


def describe_age(seconds: float) -> str:
    """Say how long that is, in the largest unit that tells enough."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
