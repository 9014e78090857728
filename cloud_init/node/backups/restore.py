"""The database brought back to a second, in steps that the command line asks for in turn; each may be run again.

It is restored and proved beside the running database, which knows nothing of it; then the two change places. So a backup that is
damaged, or does not reach that second, costs nobody anything, and what was discarded is still there afterwards.
"""

import datetime
import fcntl
import json
import pathlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

from ..ask import tokens
from ..ask.consul import call
from ..clusters import database_data
from ..manifest import Manifest
from ..system import Tell, is_running, run, systemctl, write_private
from . import jobs
from .repository import LONG_SECONDS, BackupError, Repository, query, reach

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PORT = "5999"
"""On a socket of its own: nobody else is to find it."""
DAMAGED = re.compile("CryptoError|unable to flush|checksum|FormatError|file size|unexpected eof|missing", re.IGNORECASE)
"""What pgBackRest says of a backup that was cut or changed (`docs/facts/backups.md` 2.3)."""
ARCHIVE_SECONDS, LEAD_SECONDS = 120.0, 180.0
KEEPERS = ("webitel-watch", "webitel-locks", "webitel-backup.timer")
"""What would start services that are meant to stand still."""
FORGOTTEN = ("leader", "status", "optime", "optime/leader", "sync", "failover", "failsafe")
"""What Patroni knows of a database that went further than the restored one, which it would not let lead."""


class Checked(TypedDict):
    """What a restore would do: whether it was begun before, sizes in bytes; empty on a node that does not lead the database."""

    leads: bool
    begun: str
    earliest: float
    latest: float
    size: int
    free: int


class Mark(TypedDict):
    """How far a restore has come: to which time, and `stage`: copied, proved or placed."""

    at: str
    stage: str


def beside(data: pathlib.Path, ending: str) -> pathlib.Path:
    """Return a folder beside the database's: `restored` before it takes its place, `before` what it replaced."""
    return data.with_name(f"{data.name}.{ending}")


def read_mark(data: pathlib.Path) -> Mark:
    """Return how far a restore has come."""
    try:
        found: Mark = json.loads(beside(data, "restore.json").read_text())
    except (OSError, ValueError):
        return {"at": "", "stage": ""}
    return found


def write_mark(data: pathlib.Path, at: str, stage: str) -> None:
    """Remember how far it has come."""
    write_private(beside(data, "restore.json"), json.dumps({"at": at, "stage": stage}))


@contextmanager
def alone() -> Iterator[None]:
    """Keep backups away meanwhile."""
    jobs.BUSY.parent.mkdir(parents=True, exist_ok=True)
    with jobs.BUSY.open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        yield


def check(manifest: Manifest) -> Checked:
    """Say what there is to restore from, and whether there is room. Raises BackupError."""
    data = database_data.data_folder()
    mark = read_mark(data)
    if mark["stage"] == "placed" or (mark["stage"] and not is_running("patroni")):
        # Cut off while the database stood still: here it goes on, and nowhere else.
        return {"leads": True, "begun": mark["at"], "earliest": 0.0, "latest": 0.0, "size": 0, "free": 0}
    kept = jobs.list_kept(manifest) if jobs.leads(manifest) else None
    if kept is None or not kept["backups"]:
        return {"leads": bool(kept), "begun": "", "earliest": 0.0, "latest": 0.0, "size": 0, "free": 0}
    return {
        "leads": True,
        "begun": mark["at"],
        "earliest": kept["earliest"],
        "latest": kept["latest"],
        "size": kept["backups"][-1]["size"],
        "free": shutil.disk_usage(data.parent).free,
    }


def prepare(manifest: Manifest, at: str, tell: Tell) -> None:
    """Restore to that time beside the running database and prove that it starts. Raises BackupError."""
    entry = manifest.get("backup")
    if entry is None:
        raise BackupError("there is no bucket to restore from: set webitel:backup")
    data = database_data.data_folder()
    with alone():
        if read_mark(data) in ({"at": at, "stage": "proved"}, {"at": at, "stage": "placed"}):
            tell("restore", "was restored before")
            return
        reach(entry)
        repository = Repository(entry)
        if data.exists():
            flush(data, tell)
        new = beside(data, "restored")
        new.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(new, "postgres", "postgres")
        (new / "postmaster.pid").unlink(missing_ok=True)
        write_mark(data, at, "copied")
        tell("restore", f"to {at}")
        repository.data = new
        options = ["--delta", "--type=time", f"--target={at}", "--target-action=promote", "--job-retry=0"]
        try:
            repository.call("restore", *options, seconds=LONG_SECONDS)
        except BackupError as error:
            if DAMAGED.search(str(error)):
                raise BackupError(f"what the bucket has is damaged, and nothing was changed here: {error}") from error
            raise
        tell("restore", "follow the log to that time")
        recover(new)
        write_mark(data, at, "proved")
        tell("restore", "the restored database works")


def flush(data: pathlib.Path, tell: Tell) -> None:
    """Have all that was written until now in the bucket, and a transaction after it: recovery ends only where it has seen a
    later one than the time that is asked for."""
    tell("restore", "hand over the log")
    query("select pg_current_xact_id()")
    last = query("select pg_walfile_name(pg_switch_wal())")
    until = time.monotonic() + ARCHIVE_SECONDS
    while query("select coalesce(max(last_archived_wal), '') from pg_stat_archiver")[8:24] < last[8:24]:
        if time.monotonic() > until:
            waiting = jobs.find_waiting(data)[0]
            raise BackupError(f"the database's log does not reach the bucket ({waiting} pieces wait): see ./webitel status")
        time.sleep(1)


def recover(new: pathlib.Path) -> None:
    """Start the restored database where nobody sees it, let it follow the log to its end, and stop it again."""
    folder, log = new.with_name("restore"), new.with_name("restore.log")
    folder.mkdir(exist_ok=True)
    shutil.chown(folder, "postgres", "postgres")
    log.unlink(missing_ok=True)
    # Not hot: it would want as many connections as the old one had. And it must not write into the bucket before it is the one.
    own = f"-k {folder} -p {PORT} -c listen_addresses= -c hot_standby=off -c archive_mode=on -c archive_command=/bin/false"
    control = ["runuser", "-u", "postgres", "--", str(BIN / "pg_ctl"), "-D", str(new), "-w", "-t", f"{LONG_SECONDS:.0f}"]
    started = run([*control, "-o", own, "-l", str(log), "start"], LONG_SECONDS + 60)
    there = ("-h", str(folder), "-p", PORT)
    until = time.monotonic() + LONG_SECONDS
    try:
        while not answers(there):
            # It ends by itself where it cannot reach that time.
            if started.returncode != 0 or not (new / "postmaster.pid").exists() or time.monotonic() > until:
                raise BackupError(explain_recovery(log.read_text(errors="replace") if log.exists() else started.stderr))
            time.sleep(1)
        # Else the next start would recover to that time once more.
        for name in ("restore_command", "recovery_target_time", "recovery_target_action", "recovery_target_timeline"):
            query(f"alter system reset {name}", *there)
    finally:
        run([*control, "-m", "fast", "stop"], 600)


def answers(there: tuple[str, ...]) -> bool:
    """Tell whether the restored database is past its recovery."""
    try:
        query("select count(*) from pg_class", *there)
    except BackupError:
        return False
    return True


def explain_recovery(said: str) -> str:
    """Say why the restored database does not start."""
    if "before configured recovery target was reached" in said:
        found = re.findall(r"last completed transaction was at log time (\S+ \S+)", said)
        return f"the bucket's log ends before that time{f': the last transaction in it is of {found[-1]}' if found else ''}"
    fatal = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return f"the restored database does not start: {' '.join(fatal[-3:])[-500:] or said[-300:]}"


def list_callers(manifest: Manifest) -> list[str]:
    """List the units that use the database, the last ones first."""
    return [unit["name"] for unit in reversed(manifest["units"]) if "postgresql" in unit["waits"]]


def stop_callers(manifest: Manifest, tell: Tell) -> None:
    """Stop what uses the database on this node, and what would start it again."""
    systemctl("stop", *(name for name in KEEPERS if systemctl("cat", name).returncode == 0))
    if callers := list_callers(manifest):
        tell("restore", f"stop {', '.join(callers)}")
        systemctl("stop", *callers, timeout=300)


def stop_database(tell: Tell) -> None:
    """Stop the database on this node, under Patroni."""
    tell("restore", "stop the database")
    done = systemctl("stop", "patroni", timeout=300)
    if done.returncode != 0:
        raise BackupError(f"the database does not stop: {done.stderr.strip()}")


def place(manifest: Manifest, at: str, tell: Tell) -> None:
    """Put the restored database in the old one's place and have it lead. Everything that uses it stands still."""
    data = database_data.data_folder()
    new, old = beside(data, "restored"), beside(data, "before")
    with alone():
        stage = read_mark(data)
        if stage == {"at": at, "stage": "proved"}:
            if data.exists():
                shutil.rmtree(old, ignore_errors=True)
                data.rename(old)
            new.rename(data)
            write_mark(data, at, "placed")
        elif stage != {"at": at, "stage": "placed"}:
            raise BackupError(f"nothing is restored to {at} here")
        tell("restore", f"what it was before is kept in {old}")
        token = tokens.list_in_use().get(tokens.DATABASE, "")
        for key in FORGOTTEN:
            call("DELETE", f"/v1/kv/{database_data.SCOPE}{key}", token=token)
        systemctl("start", "--no-block", "patroni")
        until = time.monotonic() + LEAD_SECONDS
        while not leads_now(manifest):
            if time.monotonic() > until:
                raise BackupError("the restored database does not lead: ./webitel logs NODE postgresql")
            time.sleep(1)
        # Passwords are those of that time: they are set again.
        systemctl("restart", "webitel-setup-postgresql", timeout=600)
        tell("restore", f"the database is that of {at}")


def leads_now(manifest: Manifest) -> bool:
    """Tell whether this node leads, false while nobody can say."""
    try:
        return jobs.leads(manifest)
    except BackupError:
        return False


def follow(tell: Tell) -> None:
    """Have a member that does not lead copied from the restored one; what it had went further than that."""
    data = database_data.data_folder()
    systemctl("stop", "patroni", timeout=300)
    if data.exists():
        shutil.rmtree(database_data.given_up(data), ignore_errors=True)
        data.rename(database_data.given_up(data))
    shutil.rmtree(database_data.given_up(data), ignore_errors=True)
    systemctl("start", "--no-block", "patroni")
    tell("restore", "copied from the leader")


def start(manifest: Manifest, tell: Tell) -> None:
    """Start all that this node has; on the node with the restored database the restore is over with that."""
    moving = {unit["name"] for unit in manifest["units"] if unit.get("moves")}
    names = [unit["name"] for unit in manifest["units"] if unit["name"] not in moving]
    systemctl("start", "--no-block", *names)
    systemctl("start", "--no-block", *(name for name in KEEPERS if systemctl("is-enabled", name).returncode == 0))
    if any(unit["name"] == "patroni" for unit in manifest["units"]):
        data = database_data.data_folder()
        beside(data, "restore.json").unlink(missing_ok=True)
        shutil.rmtree(data.with_name("restore"), ignore_errors=True)
    tell("restore", "everything is told to start")


def parse_time(text: str) -> str:
    """Return a time as PostgreSQL takes it. Raises BackupError where it says no offset: nobody would know which is meant."""
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise BackupError(f"{text} is no time; use one such as '2026-11-29 13:45:00+00'") from error
    if moment.tzinfo is None:
        raise BackupError(f"{text} says no offset from UTC; use one such as '{text}+00'")
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
