"""Recordings and what else Storage keeps, copied to the bucket as they come, by the node that runs Storage.

Files are copied and never deleted there because they are gone here: a disk that was wiped must not wipe the bucket.
"""

import fcntl
import json
import pathlib
import time
from typing import TypedDict

from ..manifest import FilesEntry, Manifest
from ..report import MachineRow
from ..system import Tell, is_running, run, write_private
from .jobs import LATE_SECONDS, describe_age, describe_unlooked, is_overdue
from .repository import LONG_SECONDS, BackupError, reach

CONFIG, CIPHER = pathlib.Path("/etc/webitel/rclone.conf"), pathlib.Path("/etc/webitel/backup-cipher")
AUTHORITY = pathlib.Path("/etc/webitel/backup-authority.pem")
MEMORY = pathlib.Path("/var/lib/webitel/backup-files.json")
BUSY = pathlib.Path("/run/webitel/backup-files.lock")
WHOLE_SECONDS = 86400.0
"""Between two comparisons of everything; those between look at young files only, which lists nothing of the bucket."""
OVERLAP_SECONDS = 900.0
BEING_WRITTEN = "2m"


class Memory(TypedDict):
    """When files were copied last, and when all were compared; the problem since then."""

    copied: float
    compared: float
    problem: str


def remember() -> Memory:
    """Return what the last run left."""
    try:
        found: Memory = json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        return {"copied": 0.0, "compared": 0.0, "problem": ""}
    return found


def rclone(*words: str) -> None:
    """Run rclone with the bucket as `kept:`. Raises BackupError with what it complained of."""
    hidden = run(["rclone", "obscure", "-"], 30, CIPHER.read_text().strip()).stdout.strip()
    more = {"RCLONE_CONFIG_KEPT_PASSWORD": hidden} | ({"RCLONE_CA_CERT": str(AUTHORITY)} if AUTHORITY.exists() else {})
    done = run(["rclone", f"--config={CONFIG}", "--retries=2", "--stats=0", *words], LONG_SECONDS, more=more)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "Failed" in line]
        raise BackupError(f"rclone: {' '.join((lines or done.stderr.splitlines())[-2:])[-400:]}")


def copy(manifest: Manifest, tell: Tell) -> bool:
    """Copy what is new; tell whether all is well."""
    entry = manifest.get("backup_files")
    if entry is None or not is_running(entry["unit"]):
        MEMORY.unlink(missing_ok=True)  # what was true here once is not for `status`
        return True
    BUSY.parent.mkdir(parents=True, exist_ok=True)
    with BUSY.open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        memory, now = remember(), time.time()
        try:
            reach(entry)
            whole = now - memory["compared"] > WHOLE_SECONDS
            young = [] if whole else ["--no-traverse", f"--max-age={now - memory['copied'] + OVERLAP_SECONDS:.0f}s"]
            rclone("copy", entry["folder"], "kept:", f"--min-age={BEING_WRITTEN}", "--exclude=/cache/**", *young)
            if whole and entry["days"]:
                rclone("delete", "kept:", f"--min-age={entry['days']}d")
            memory = {"copied": now, "compared": now if whole else memory["compared"], "problem": ""}
        except BackupError as error:
            memory = {**memory, "problem": str(error)}
            tell("recordings", str(error))
        write_private(MEMORY, json.dumps(memory))
    return not memory["problem"]


def bring_back(manifest: Manifest, tell: Tell) -> None:
    """Bring back the files that are in the bucket and not here. Raises BackupError."""
    entry = manifest.get("backup_files")
    if entry is None:
        return
    reach(entry)
    rclone("copy", "kept:", entry["folder"], "--ignore-existing")
    # rclone knows nothing of owners.
    run(["chown", "-R", f"--reference={entry['folder']}", entry["folder"]], LONG_SECONDS)
    tell("recordings", f"what was missing in {entry['folder']} is back")


def report(manifest: Manifest) -> list[MachineRow]:
    """Say how old the bucket's newest copy is, on the node that makes it."""
    entry: FilesEntry | None = manifest.get("backup_files")
    memory = remember()
    if entry is None:
        return []
    row: MachineRow = {"name": "recordings' backup", "healthy": True, "why": ""}
    if not (memory["copied"] or memory["problem"]):
        unlooked = is_overdue(CONFIG, BUSY) and is_running(entry["unit"])
        return [row | {"warning": True, "why": describe_unlooked("webitel-backup-files")}] if unlooked else []
    age = describe_age(time.time() - memory["copied"]) if memory["copied"] else ""
    if memory["problem"]:
        return [row | {"warning": True, "why": f"{memory['problem']}; {f'copied {age} ago' if age else 'nothing is copied yet'}"}]
    if time.time() - memory["copied"] > LATE_SECONDS:
        return [row | {"warning": True, "why": f"late: copied {age} ago"}]
    return [row | {"why": f"copied {age} ago"}]
