"""The restored database in the place of the running one, in steps that the command line asks for in turn; each may be run again.

It is restored and proved beside the running database (`recovery.py`); then the two change places. So a backup that is damaged, or
does not reach that second, costs nobody anything, and what was discarded is still there afterwards.
"""

import os
import pathlib
import shutil
import sys
import time
from typing import TypedDict

from .. import quiet
from ..ask import tokens
from ..ask.consul import call
from ..clusters import database_data
from ..manifest import LOCK, Manifest
from ..system import Tell, is_running, systemctl
from ..turns import held
from . import jobs, marks
from .marks import measure
from .repository import BackupError

LEAD_SECONDS, BUSY_SECONDS = 180.0, 30.0
KEEPERS = ("webitel-watch", "webitel-locks", jobs.TIMER)
"""What would start services that are meant to stand still."""
FORGOTTEN = ("leader", "status", "optime", "optime/leader", "sync", "failover", "failsafe")
"""What Patroni knows of a database that went further than the restored one, which it would not let lead."""
HELD = "held"
"""What a node says once it keeps other runs away."""


class Checked(TypedDict):
    """Whether this node leads the database, to which time a restore was begun here that is to go on, and its stage; what a
    restore would do (sizes in bytes): empty on a node that does not lead. `kept`: what the former restore left behind; `source`:
    from which other deployment's bucket, "" from its own."""

    leads: bool
    begun: str
    source: str
    stage: str
    problem: str
    earliest: float
    size: int
    free: int
    kept: int


def check(manifest: Manifest) -> Checked:
    """Say what there is to restore from, and whether there is room."""
    found: Checked = {
        "leads": False, "begun": "", "source": "", "stage": "", "problem": "", "earliest": 0.0, "size": 0, "free": 0, "kept": 0,
    }  # fmt: skip
    data = database_data.data_folder()
    mark = marks.read_mark(data)
    if mark["stage"] in marks.BEYOND or (mark["stage"] == marks.STOPPED and not is_running("patroni")):
        # Cut off while the database stood still: here it goes on, unless another one leads by now.
        found |= {"begun": mark["at"], "stage": mark["stage"], "source": mark["source"]}
    try:
        found["leads"] = jobs.leads(manifest)
        if found["leads"] and not found["begun"] and (kept := jobs.list_kept(manifest))["backups"]:
            found |= {"earliest": kept["earliest"], "size": kept["backups"][-1]["size"]}
    except BackupError as error:
        found["problem"] = str(error)
    # What a cut run left is used again.
    found["free"] = shutil.disk_usage(data.parent).free + measure(marks.beside(data, "restored"))
    found["kept"] = measure(marks.beside(data, "before"))
    return found


def hold(manifest: Manifest, at: str, tell: Tell) -> None:
    """Keep other runs away from this node until standard input ends: `up`, `reboot` and another restore. Raises BackupError
    where one is at work, or where what is to take the database's place is not ready; nothing was stopped then."""
    with held(LOCK, wait=False) as mine:
        if not mine:
            raise BackupError("up, reboot or another restore is at work on this node: try again when it has ended")
        if has_database(manifest) and marks.read_mark(database_data.data_folder())["at"] == at:
            systemctl("stop", jobs.UNIT)
            with marks.alone(tell, BUSY_SECONDS):
                pass
        print(HELD, flush=True)
        sys.stdin.read()


def ready(at: str) -> None:
    """Make sure that what is to take the database's place is there. Raises BackupError where another restore came between."""
    if not marks.is_ready(database_data.data_folder(), at):
        raise BackupError(f"nothing is restored to {at} here any more: another restore was begun meanwhile; nothing was stopped")


def leave_out(keys: list[str], at: str, tell: Tell) -> None:
    """Have these members, which do not answer, come back as copies of the restored database only. Raises Unhealthy."""
    stage = marks.read_mark(database_data.data_folder())["stage"]
    database_data.leave_out(keys, at, leads=stage == marks.LEADS)
    tell("restore", f"left out: {' and '.join(keys)}; once back it is copied from the leader")


def has_database(manifest: Manifest) -> bool:
    """Tell whether this node has a member of the database's cluster."""
    return any(unit["name"] == "patroni" for unit in manifest["units"])


def list_callers(manifest: Manifest) -> list[str]:
    """List the units that use the database, the last ones first."""
    return [unit["name"] for unit in reversed(manifest["units"]) if "postgresql" in unit["waits"]]


def stop_callers(manifest: Manifest, tell: Tell) -> None:
    """Stop what uses the database on this node, and what would start it again."""
    systemctl("stop", *(name for name in (*KEEPERS, jobs.UNIT) if systemctl("cat", name).returncode == 0))
    if callers := list_callers(manifest):
        tell("restore", f"stop {', '.join(callers)}")
        systemctl("stop", *callers, timeout=300)


def stop_database(at: str, tell: Tell) -> None:
    """Stop the database on this node, under Patroni."""
    data = database_data.data_folder()
    with marks.alone(tell, LEAD_SECONDS):
        if (mark := marks.read_mark(data))["at"] == at and mark["stage"] == marks.PROVED:
            marks.write_mark(data, at, marks.STOPPED)
        tell("restore", "stop the database")
        done = systemctl("stop", "patroni", timeout=300)
        if done.returncode != 0:
            raise BackupError(f"the database does not stop: {done.stderr.strip()}")


def place(manifest: Manifest, at: str, tell: Tell) -> None:
    """Put the restored database in the old one's place and have it lead. Everything that uses it stands still."""
    data = database_data.data_folder()
    with marks.alone(tell, LEAD_SECONDS):
        mark = marks.read_mark(data)
        if not marks.is_ready(data, at):
            raise BackupError(f"nothing is restored to {at} here")
        if mark["stage"] == marks.LEADS:
            return
        if mark["stage"] != marks.PLACED:
            # Whatever starts the database from here on waits until it is over.
            marks.write_mark(data, at, marks.PLACING)
            change_places(data)
            marks.write_mark(data, at, marks.PLACED)
        tell("restore", f"what it was before is kept in {marks.beside(data, 'before')}")
        lead(manifest, foreign=bool(mark["source"]))
        # Passwords are those of that time: they are set again.
        done = systemctl("restart", "webitel-setup-postgresql", timeout=600)
        if done.returncode != 0:
            raise BackupError("passwords of today were not set in the restored database: ./webitel logs NODE postgresql")
        marks.write_mark(data, at, marks.LEADS)
        tell("restore", f"the database is that of {at}")


def change_places(data: pathlib.Path) -> None:
    """Put the restored database in the former one's place. Cut off anywhere, it goes on from what there is."""
    new, old = marks.beside(data, "restored"), marks.beside(data, "before")
    if new.exists():
        if data.exists():
            # Not yet moved: what an earlier restore kept goes.
            if old.exists():
                shutil.rmtree(old)
            data.rename(old)
        new.rename(data)
    elif not data.exists():
        raise BackupError(f"neither {data} nor {new} is there: what it was before is in {old}")
    descriptor = os.open(data.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lead(manifest: Manifest, foreign: bool) -> None:
    """Have the database in its place lead the cluster, which knew another one, with another number where it is `foreign`. Raises
    BackupError."""
    if leads_now(manifest):
        return
    token = tokens.list_in_use().get(tokens.DATABASE, "")
    for key in FORGOTTEN:
        call("DELETE", f"/v1/kv/{database_data.SCOPE}{key}", token=token)
    if foreign:
        # Who begins the cluster anew with it is settled: this one.
        call("DELETE", f"/v1/kv/{database_data.SCOPE}history", token=token)
        number = database_data.read_number(database_data.data_folder())
        call("PUT", f"/v1/kv/{database_data.SCOPE}initialize", number, token=token)
    systemctl("start", "--no-block", "patroni")
    until = time.monotonic() + LEAD_SECONDS
    while not leads_now(manifest):
        if time.monotonic() > until:
            raise BackupError("the restored database does not lead: ./webitel logs NODE postgresql")
        time.sleep(1)


def leads_now(manifest: Manifest) -> bool:
    """Tell whether this node leads, false while nobody can say."""
    try:
        return jobs.leads(manifest)
    except BackupError:
        return False


def follow(manifest: Manifest, at: str, tell: Tell) -> None:
    """Have a member that does not lead copied from the restored one; what it had went further than that."""
    data = database_data.data_folder()
    if (mark := marks.read_mark(data))["at"] == at and mark["stage"] == marks.FOLLOWS:
        systemctl("start", "--no-block", "patroni")
        return
    if leads_now(manifest):
        raise BackupError("this node leads the database by now: it keeps what it has")
    systemctl("stop", "patroni", timeout=300)
    gone = database_data.given_up(data)
    if data.exists():
        if gone.exists():
            shutil.rmtree(gone)
        data.rename(gone)
    marks.write_mark(data, at, marks.FOLLOWS)
    for folder in (gone, marks.beside(data, "restored")):
        shutil.rmtree(folder, ignore_errors=True)
    systemctl("start", "--no-block", "patroni")
    tell("restore", "copied from the leader")


def start(manifest: Manifest, tell: Tell) -> None:
    """Start all that this node has; on the node with the restored database the restore is over with that."""
    moving = {unit["name"] for unit in manifest["units"] if unit.get("moves")}
    names = [unit["name"] for unit in manifest["units"] if unit["name"] not in moving | set(quiet.list_units(manifest))]
    systemctl("start", "--no-block", *names)
    systemctl("start", "--no-block", *(name for name in KEEPERS if systemctl("is-enabled", name).returncode == 0))
    if has_database(manifest):
        data = database_data.data_folder()
        if marks.read_mark(data)["source"]:
            quiet.advance(quiet.PLACED)
        database_data.restore_mark(data).unlink(missing_ok=True)
        shutil.rmtree(data.with_name("restore"), ignore_errors=True)
        if systemctl("cat", jobs.UNIT).returncode == 0:
            systemctl("start", "--no-block", jobs.UNIT)  # the first backup of the restored one is due
    tell("restore", "everything is told to start")
