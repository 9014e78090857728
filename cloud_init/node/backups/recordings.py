"""Recordings and what else Storage keeps, copied to the bucket as they come, by the node that runs Storage.

Files are copied and never deleted there because they are gone here: a disk that was wiped must not wipe the bucket.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple, TypedDict

from ..manifest import FilesEntry, Manifest
from ..system import Tell, is_running, run, run_while, write_private
from .repository import LONG_SECONDS, NO_ANSWER, OTHER_KEY, BackupError, Place, find_meaning, reach

CONFIG, CIPHER = pathlib.Path("/etc/webitel/rclone.conf"), pathlib.Path("/etc/webitel/backup-cipher")
AUTHORITY = pathlib.Path("/etc/webitel/backup-authority.pem")
MEMORY = pathlib.Path("/var/lib/webitel/backup-files.json")
BUSY = pathlib.Path("/run/webitel/backup-files.lock")
WHOLE_SECONDS = 86400.0
"""Between two comparisons of everything; those between look at young files only, which lists nothing of the bucket."""
OVERLAP_SECONDS = 900.0
BEING_WRITTEN = "2m"
FAILED = re.compile(r"ERROR : (.+): Failed to copy: (.*)$", re.MULTILINE)
DAMAGED = re.compile("authenticate decrypted block|too short to be encrypted|unexpected EOF|corrupted on transfer")
"""What rclone 1.60 says of a file that was cut or changed in the bucket (`docs/facts/backups.md` 4)."""
MISSED = 3
"""Times in a row that the bucket may not answer while files come from it."""
NAMED = 5
LEFT_BYTES = 1 << 30
"""Of the disk, for recordings that come meanwhile."""


class Where(NamedTuple):
    """rclone's configuration of a bucket, the file with its key, and what signs its certificate."""

    config: pathlib.Path
    cipher: pathlib.Path
    authority: pathlib.Path


def own() -> Where:
    """Return those of this deployment's bucket."""
    return Where(CONFIG, CIPHER, AUTHORITY)


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


def run_rclone(
    *words: str, target: pathlib.Path | None = None, where: Where | None = None, goes_on: Callable[[], bool] = lambda: True
) -> subprocess.CompletedProcess[str]:
    """Run rclone with the bucket, this deployment's unless told, as `kept:`, as long as it goes on; what it prints may go into a
    file."""
    config, cipher, authority = where or own()
    hidden = run(["rclone", "obscure", "-"], 30, cipher.read_text().strip()).stdout.strip()
    more = {"RCLONE_CONFIG_KEPT_PASSWORD": hidden} | ({"RCLONE_CA_CERT": str(authority)} if authority.exists() else {})
    into = ["sh", "-c", 'exec "$@" > "$0"', str(target)] if target else []
    command = [*into, "rclone", f"--config={config}", "--retries=2", "--stats=0", *words]
    return run_while(goes_on, command, LONG_SECONDS, more)


def rclone(*words: str, target: pathlib.Path | None = None, where: Where | None = None) -> str:
    """As `run_rclone`; return what it printed. Raises BackupError with what it complained of."""
    done = run_rclone(*words, target=target, where=where)
    if done.returncode != 0:
        raise explain(done.stderr)
    return done.stdout


def explain(said: str) -> BackupError:
    """Say what rclone complained of."""
    lines = [line for line in said.splitlines() if "ERROR" in line or "Failed" in line]
    return BackupError(find_meaning("rclone", " ".join((lines or said.splitlines())[-2:])[-400:]))


def bring(entry: FilesEntry | Place, beside: pathlib.Path, wanted: pathlib.Path, where: Where | None) -> set[str]:
    """Bring these files beside their place; return the names of those that are damaged in the bucket. Raises BackupError where
    others are missing too."""
    # rclone would try each file some twenty times: with thousands of them for hours after the bucket has failed.
    missed = [0]

    def answers() -> bool:
        missed[0] += 1
        with contextlib.suppress(BackupError):
            reach(entry)
            missed[0] = 0
        return missed[0] < MISSED

    words = ("copy", "kept:", str(beside), f"--files-from-raw={wanted}", "--no-traverse")
    done = run_rclone(*words, where=where, goes_on=answers)
    if done.returncode == 0:
        return set()
    if missed[0] >= MISSED:
        raise BackupError(
            f"{NO_ANSWER} any more; no file is in its place yet, and the same command goes on with what came so far"
        )
    failed = {found[1]: found[2] for found in FAILED.finditer(done.stderr)}
    if not failed or not all(DAMAGED.search(why) for why in failed.values()):
        raise explain(done.stderr)
    reach(entry)
    return set(failed)


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


def bring_back(manifest: Manifest, tell: Tell, where: Where | None = None, place: Place | None = None) -> None:
    """Bring back the files that are in the bucket, this deployment's unless told, and not here: beside their place first, and
    into it when all of them are whole. A file that is here is never replaced. Raises BackupError."""
    entry = manifest.get("backup_files")
    if entry is None:
        return
    if where is None and "share" in manifest and not is_running(entry["unit"]):
        tell("recordings", f"another node that has the share runs {entry['unit']}, and brings them back")
        return
    folder, beside = pathlib.Path(entry["folder"]), find_beside(entry)
    damaged: set[str] = set()
    listed, wanted = MEMORY.with_name("recordings.listed"), MEMORY.with_name("recordings.missing")
    reach(place or entry)
    BUSY.parent.mkdir(parents=True, exist_ok=True)
    with BUSY.open("w") as busy:
        try:
            check_key(tell, where)
        except NothingThere as nothing:
            tell("recordings", str(nothing))
            return
        tell("recordings", "compare with the bucket")
        fcntl.flock(busy, fcntl.LOCK_EX)
        try:
            rclone("lsf", "kept:", "-R", "--files-only", "--format=sp", "--separator=\t", target=listed, where=where)
            count, size = list_missing(folder, listed, wanted)
            if count:
                beside.mkdir(mode=0o700, exist_ok=True)
                check_room(folder, beside, count, size)
                tell("recordings", f"bring {count} files, {size / 2**20:.1f} MiB")
                damaged = bring(place or entry, beside, wanted, where)
                count = move_in(beside, folder, wanted, damaged)
        finally:
            listed.unlink(missing_ok=True)
            wanted.unlink(missing_ok=True)
        shutil.rmtree(beside, ignore_errors=True)
    tell("recordings", f"{count} files that were missing in {folder} are back")
    if damaged:
        named = ", ".join(sorted(damaged)[:NAMED]) + (" ..." if len(damaged) > NAMED else "")
        raise BackupError(f"{len(damaged)} are damaged in the bucket and were left out: {named}")


def count_kept(where: Where) -> tuple[int, int]:
    """Return how many files the bucket has and their bytes; none where there never were any. Raises BackupError."""
    told: list[str] = []
    try:
        check_key(lambda _, text: told.append(text), where)
    except NothingThere:
        return 0, 0
    found = json.loads(rclone("size", "kept:", "--json", where=where))
    return int(found["count"]), int(found["bytes"])


class NothingThere(BackupError):
    """The bucket has no recordings."""


def check_key(tell: Tell, where: Where | None) -> None:
    """Ask whether the deployment's key opens the bucket's names: rclone passes over what it does not. Raises BackupError."""
    config = (where or own()).config
    found = re.search(r"^remote *= *(\S+)", config.read_text(), re.MULTILINE)
    assert found, f"{config} names no remote"
    everything, opened = (len(rclone("lsf", place, "--max-depth=1", where=where).splitlines()) for place in (found[1], "kept:"))
    if not everything:
        raise NothingThere("the bucket has no recordings of this deployment: webitel:backup.url")
    if not opened:
        raise BackupError(OTHER_KEY)
    if opened < everything:
        tell("recordings", f"{everything - opened} of {everything} folders are left out: {OTHER_KEY}")


def find_beside(entry: FilesEntry) -> pathlib.Path:
    """Return where files come first: on the same disk, where nobody looks for them and nothing copies them to the bucket."""
    folder = pathlib.Path(entry["folder"])
    return folder.with_name(f"{folder.name}.restored")


def list_missing(folder: pathlib.Path, listed: pathlib.Path, wanted: pathlib.Path) -> tuple[int, int]:
    """Write the names of files that are in the bucket and not here into a file; return how many, and their bytes."""
    count = size = 0
    with listed.open(errors="surrogateescape") as source, wanted.open("w", errors="surrogateescape") as target:
        for line in source:
            length, _, name = line.rstrip("\n").partition("\t")
            if name and not (folder / name).exists():
                target.write(f"{name}\n")
                count, size = count + 1, size + int(length)
    return count, size


def check_room(folder: pathlib.Path, beside: pathlib.Path, count: int, size: int) -> None:
    """Refuse what would fill the disk that new recordings need. Raises BackupError."""
    free = shutil.disk_usage(folder).free + sum(path.lstat().st_size for path in beside.rglob("*") if path.is_file())
    if free < size + LEFT_BYTES:
        raise BackupError(
            f"{count} files are missing, {size / 2**30:.1f} GiB, and their disk has {free / 2**30:.1f} GiB free, of which new "
            f"recordings need {LEFT_BYTES / 2**30:.0f}: raise webitel:disk_sizes and run ./webitel up"
        )


def move_in(beside: pathlib.Path, folder: pathlib.Path, wanted: pathlib.Path, damaged: set[str]) -> int:
    """Move whole files to their place, each at once and with its owner; return how many. The next run moves what is left."""
    owner, moved = folder.stat(), 0
    with wanted.open(errors="surrogateescape") as source:
        for line in source:
            name = line.rstrip("\n")
            if name in damaged:
                continue
            for above in reversed((folder / name).relative_to(folder).parents):
                if not (folder / above).exists():
                    (folder / above).mkdir()
                    os.chown(folder / above, owner.st_uid, owner.st_gid)
            os.chown(beside / name, owner.st_uid, owner.st_gid)
            with contextlib.suppress(FileExistsError):  # it came meanwhile, and stays
                os.link(beside / name, folder / name)
                moved += 1
            (beside / name).unlink()
    return moved
