"""The database restored to a second beside the running one, which knows nothing of it, and proved to start there."""

import datetime
import errno
import os
import pathlib
import re
import shutil
import subprocess
import time
from collections.abc import Callable

from ..clusters import database_data
from ..clusters.database_data import END
from ..manifest import LOCK, Manifest
from ..system import POSTGRESQL_BIN, Tell, run, systemctl
from ..turns import held
from . import elsewhere, jobs, lines, marks
from .repository import LONG_SECONDS, NO_ANSWER, PLACE, BackupError, Repository, find_meaning, query, reach

PORT = "5999"
"""On a socket of its own: nobody else is to find it."""
DAMAGED = re.compile("CryptoError|unable to flush|zst error|checksum|FormatError|file size|unexpected eof|missing", re.IGNORECASE)
"""What pgBackRest says of a backup that was cut or changed (`docs/facts/backups.md` 2.3)."""
ARCHIVE_SECONDS = 120.0
UNREAD = 255
"""Exit status at which PostgreSQL ends its recovery instead of taking it for the end of the log: any above 125."""
AS_HERE = ("-c shared_buffers=128MB", "-c ssl=off", "-c synchronous_standby_names=")
"""For a database whose own settings are those of another machine."""


def prepare(manifest: Manifest, at: str, tell: Tell, source: elsewhere.Source | None = None) -> None:
    """Restore to that time, from this deployment's bucket or from another's, beside the running database and prove that it
    starts. Raises BackupError."""
    entry, name = manifest.get("backup"), source["name"] if source else ""
    if entry is None:
        raise BackupError("there is no bucket to restore from: set webitel:backup")
    data = database_data.data_folder()
    with held(LOCK, wait=False) as free:
        if not free:
            raise BackupError("up, reboot or another restore is at work on this node: try again when it has ended")
    before = marks.read_mark(data)
    # A backup that is at work now would be waited for; the next look makes it again.
    systemctl("stop", jobs.UNIT)
    with marks.alone(tell):
        mark = marks.read_mark(data)
        if mark != before and mark["at"] not in ("", at):
            raise BackupError(f"another restore, to {mark['at']}, was made ready meanwhile")
        if marks.is_ready(data, at, name):
            tell("restore", "was restored before")
            return
        reach(source or entry)
        repository: Repository
        if source:
            repository, label, number = elsewhere.choose(source, parse_moment(at))
        else:
            repository = Repository(entry)
            flush(data, tell)
            label, number = lines.choose(lines.read_kept(repository), repository.list_backups(), parse_moment(at))
        new = marks.beside(data, "restored")
        new.mkdir(mode=0o700, exist_ok=True)
        shutil.chown(new, "postgres", "postgres")
        if (new / "postmaster.pid").exists():  # of a run that was cut
            control(new, "-m", "immediate", "stop")
        (new / "postmaster.pid").unlink(missing_ok=True)
        marks.write_mark(data, at, marks.COPIED, name)
        tell("restore", f"to {at}, from backup {label}")
        repository.data = new
        target = ["--type=default"] if at == END else ["--type=time", f"--target={at}", "--target-action=promote"]
        options = [f"--set={label}", "--delta", *target, f"--target-timeline={number}"]
        options += [f"--recovery-option=restore_command={command_to_read(repository)}"]
        try:
            repository.call("restore", *options, "--job-retry=0", seconds=LONG_SECONDS)
        except BackupError as error:
            raise explain_restore(data, error) from error
        tell("restore", "follow the log to that time")
        try:
            last = recover(new, AS_HERE if source else (), take_over if source else None)
        except UnreadError as error:
            raise explain_restore(data, error) from error
        except BackupError:
            clear(data)
            raise
        if source:
            name_place(new)
        marks.write_mark(data, at, marks.PROVED)
        tell("restore", f"the restored database works; its last transaction is of {last}")


class UnreadError(BackupError):
    """A piece of the log could not be read, which the bucket may well have."""


def command_to_read(repository: Repository) -> str:
    """Return what PostgreSQL runs for each piece of the log that it wants. Any failure but "the bucket has none such" has to end
    it: PostgreSQL takes them all, up to exit status 125, for the end of the log, and would go live without the rest."""
    fetch = " ".join([*repository.options(), f"--pg1-path={repository.data}", 'archive-get %f "%p"'])
    return f"{fetch}; s=$?; test $s -le 1 || s={UNREAD}; exit $s"


def explain_restore(data: pathlib.Path, error: BackupError) -> BackupError:
    """Say what stopped it and what becomes of what came so far."""
    if os.strerror(errno.ENOSPC).lower() in str(error).lower():
        clear(data)
        return BackupError(f"the database's disk is full: what was restored is deleted again, and nothing was changed: {error}")
    if DAMAGED.search(str(error)) and NO_ANSWER not in str(error):
        clear(data)
        before = "; a time before that can be restored: --at 'YYYY-MM-DD HH:MM:SS+00'" if isinstance(error, UnreadError) else ""
        return BackupError(f"what the bucket has is damaged, and nothing was changed here: {error}{before}")
    return BackupError(f"{error}; nothing was changed, and the same command goes on with what came so far")


def clear(data: pathlib.Path) -> None:
    """Take away what was restored: it is of no use, and fills the disk of the running database."""
    shutil.rmtree(marks.beside(data, "restored"), ignore_errors=True)
    database_data.restore_mark(data).unlink(missing_ok=True)


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


def name_place(new: pathlib.Path) -> None:
    """Have a database from elsewhere write its own log to a place of its own: it has that one's number, and what was restored
    before from there may have written to the same bucket."""
    path = new / PLACE
    path.write_text(datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%S"))
    shutil.chown(path, "postgres", "postgres")


def take_over(there: tuple[str, ...]) -> None:
    """Give the roles that Patroni logs in as the passwords of this deployment, in a database that has another one's."""
    for role, password in database_data.list_logins().items():
        query(f"alter role {role} password '{password}'", *there)


def recover(new: pathlib.Path, more: tuple[str, ...] = (), last: Callable[[tuple[str, ...]], None] | None = None) -> str:
    """Start the restored database where nobody sees it, let it follow the log to its end, do what is to be done `last`, and stop
    it again. Return the time of its last transaction, as PostgreSQL tells it."""
    folder, log = new.with_name("restore"), new.with_name("restore.log")
    folder.mkdir(exist_ok=True)
    shutil.chown(folder, "postgres", "postgres")
    log.unlink(missing_ok=True)
    # Not hot: it would want as many connections as the old one had. And it must not write into the bucket before it is the one.
    own = f"-k {folder} -p {PORT} -c listen_addresses= -c hot_standby=off -c archive_mode=on -c archive_command=/bin/false"
    own = " ".join([own, *more])
    started = control(new, "-o", own, "-l", str(log), "start")
    there = ("-h", str(folder), "-p", PORT)
    until = time.monotonic() + LONG_SECONDS
    try:
        while not answers(there):
            # It ends by itself where it cannot reach that time.
            if started.returncode != 0 or not (new / "postmaster.pid").exists() or time.monotonic() > until:
                raise explain_recovery(log.read_text(errors="replace") if log.exists() else started.stderr)
            time.sleep(1)
        # Else the next start would recover to that time once more.
        for name in ("restore_command", "recovery_target_time", "recovery_target_action", "recovery_target_timeline"):
            query(f"alter system reset {name}", *there)
        if last:
            last(there)
    finally:
        control(new, "-m", "fast", "stop")
    return read_last(log.read_text(errors="replace")) or "an unknown time"


def control(new: pathlib.Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Start or stop the restored database where it stands."""
    command = [
        "runuser",
        "-u",
        "postgres",
        "--",
        str(POSTGRESQL_BIN / "pg_ctl"),
        "-D",
        str(new),
        "-w",
        "-t",
        f"{LONG_SECONDS:.0f}",
    ]
    return run([*command, *words], LONG_SECONDS + 60)


def answers(there: tuple[str, ...]) -> bool:
    """Tell whether the restored database is past its recovery."""
    try:
        query("select count(*) from pg_class", *there)
    except BackupError:
        return False
    return True


def explain_recovery(said: str) -> BackupError:
    """Say why the restored database does not start."""
    if unread := re.search(rf'could not restore file "(\w+)[^\n]*exit code {UNREAD}', said):
        # Its last try, the hints of which say why: those lines begin otherwise than PostgreSQL's.
        complaint = said[: unread.start()].rpartition("restored log file")[2].partition("\n")[2]
        why = find_meaning("archive-get", " ".join(line for line in complaint.splitlines() if not line[:4].isdecimal()))
        return UnreadError(f"piece {unread[1]} of the log: {why}")
    if "before configured recovery target was reached" in said:
        found = read_last(said)
        last = f": the last transaction in it is of {found}" if found else ""
        return BackupError(f"the bucket's log ends before that time{last}")
    fatal = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line or "ERROR" in line]
    return BackupError(f"the restored database does not start: {' '.join(fatal[-3:])[-500:] or said[-300:]}")


def read_last(said: str) -> str:
    """Return the time of the last transaction that recovery has seen, "" where it does not say."""
    found: list[str] = re.findall(r"last completed transaction was at log time (\S+ \S+)", said)
    return found[-1] if found else ""


def parse_time(text: str) -> str:
    """Return a time as PostgreSQL takes it. Raises BackupError where it says no offset: nobody would know which is meant."""
    if text == END:
        return text
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise BackupError(f"{text} is no time; use one such as '2026-11-29 13:45:00+00'") from error
    if moment.tzinfo is None:
        raise BackupError(f"{text} says no offset from UTC; use one such as '{text}+00'")
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def parse_moment(at: str) -> float:
    """Return a time of that form as seconds since the epoch."""
    return time.time() if at == END else datetime.datetime.fromisoformat(at).timestamp()
