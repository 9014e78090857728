"""Backups of another deployment, in its bucket: read to be restored here, and never written to."""

import contextlib
import json
import pathlib
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import TypedDict

from .. import quiet
from ..clusters import database_data
from ..manifest import Manifest
from ..system import is_running, write_private
from . import jobs, lines, marks, recordings
from .marks import measure
from .repository import QUICK_SECONDS, BackupError, BackupRow, Place, Repository, query, reach

FOLDER = pathlib.Path("/var/lib/webitel/source")
CONFIG, RCLONE, CIPHER, AUTHORITY, LOGIN = "pgbackrest.conf", "rclone.conf", "cipher", "authority.pem", "login.json"
"""Files in it, as the command line sends them; they go when the restore has ended."""
ABOUT = "source.json"
PROGRAMS: Mapping[str, str] = {"backup": "pgbackrest", "backup_files": "rclone"}
READS = ("info", "repo-ls", "repo-get", "restore")
"""All that pgBackRest is asked for there."""
WORDS: Mapping[str, str] = {
    "this deployment's key (secret backup_cipher)": "the key in the recovery file (backup_cipher)",
    "webitel:backup_key, webitel:backup_secret": "WEBITEL_SOURCE_KEY, WEBITEL_SOURCE_SECRET",
    "webitel:backup.authority": "--authority",
    "webitel:backup.url": "--from",
    "of this deployment": "of that deployment",
}
"""What a complaint about one's own bucket says, and what it means for another one."""
COUNTED = 1_000_000
"""Files at most that are counted to say what would be lost."""


class Source(Place):
    """Where another deployment's backups are: `name` for people, its URL first; the deployment; where the bucket answers."""

    name: str
    stack: str


class Looked(TypedDict):
    """What there is and what is here, as far as this node knows of it. Of the database, on the node that leads: its place in the
    bucket, its version and ours, between which seconds it can be restored, its size; the room here. Of recordings, on a node that
    has them: how many, their bytes and the room. Here: calls, the database's size, files. `begun`: a restore that is to go on."""

    problem: str
    leads: bool
    stanza: str
    version: str
    own_version: str
    earliest: float
    latest: float
    size: int
    free: int
    kept: int
    files: int
    files_size: int
    own_calls: int
    own_size: int
    own_files: int
    files_free: int
    begun: marks.Mark
    quiet: quiet.Quiet | None


class Elsewhere(Repository):
    """A database's place in the other deployment's bucket; without a name, the bucket itself."""

    def __init__(self, stanza: str = "") -> None:
        self.data = database_data.data_folder()
        self.stanza, self.timeline, self.unknown = stanza, 0, ""
        self.config = FOLDER / CONFIG

    def call(self, command: str, *options: str, seconds: float = QUICK_SECONDS, database: bool = True, what: str = "") -> str:
        """As of one's own, but nothing that would change what is there."""
        if command not in READS:
            raise ValueError(f"{command} would change another deployment's backups")
        with translated():
            return super().call(command, *options, seconds=seconds, database=database, what=what)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Say what is wrong in the words of a restore from elsewhere."""
    try:
        yield
    except BackupError as error:
        text = str(error)
        for own, other in WORDS.items():
            text = text.replace(own, other)
        raise BackupError(text) from error


def keep(manifest: Manifest, text: str) -> None:
    """Keep what the command line sends: {"source": Source, "files": text by name}."""
    given = json.loads(text)
    lacking = [name for entry, name in PROGRAMS.items() if entry in manifest and not shutil.which(name)]
    if lacking:
        raise BackupError(f"{' and '.join(lacking)} is not installed here: run ./webitel up")
    FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, content in given["files"].items():
        write_private(FOLDER / name, content, 0o644 if name == AUTHORITY else 0o600)
    if "backup" in manifest:
        for name in (CONFIG, LOGIN):
            if name in given["files"]:
                (FOLDER / name).chmod(0o640)
                shutil.chown(FOLDER / name, "root", "postgres")
    write_private(FOLDER / ABOUT, json.dumps(given["source"]))


def forget() -> None:
    """Delete what was sent."""
    shutil.rmtree(FOLDER, ignore_errors=True)


def read() -> Source:
    """Return where the backups are. Raises BackupError where nothing was sent."""
    try:
        found: Source = json.loads((FOLDER / ABOUT).read_text())
    except (OSError, ValueError) as error:
        raise BackupError("this node was not told where the other deployment's backups are: give the command again") from error
    return found


def where() -> recordings.Where:
    """Return rclone's files for the other bucket."""
    return recordings.Where(FOLDER / RCLONE, FOLDER / CIPHER, FOLDER / AUTHORITY)


def look(manifest: Manifest) -> Looked:
    """Say what there is to restore from, and what is here."""
    source = read()
    found: Looked = {
        "problem": "", "leads": False, "stanza": "", "version": "", "own_version": "", "earliest": 0.0, "latest": 0.0, "size": 0,
        "free": 0, "kept": 0, "files": 0, "files_size": 0, "own_calls": 0, "own_size": 0, "own_files": 0, "files_free": 0,
        "begun": {"at": "", "stage": "", "source": ""}, "quiet": quiet.read(),
    }  # fmt: skip
    try:
        with translated():
            reach(source)
            if "backup" in manifest:
                look_at_database(manifest, source, found)
            if "backup_files" in manifest:
                look_at_files(manifest, found)
    except BackupError as error:
        found["problem"] = str(error)
    return found


def look_at_database(manifest: Manifest, source: Source, found: Looked) -> None:
    """Add what there is of the database, on the node that leads, or where a restore was cut off. Raises BackupError."""
    data = database_data.data_folder()
    found["begun"] = marks.read_mark(data)
    stage = found["begun"]["stage"]
    if stage in marks.BEYOND or (stage == marks.STOPPED and not is_running("patroni")):
        return  # it goes on here
    found["leads"] = jobs.leads(manifest)
    if not found["leads"]:
        return
    found["own_version"] = query("show server_version_num")[:-4]
    found["own_size"] = int(query("select sum(pg_database_size(datname)) from pg_database"))
    found["own_calls"] = count_calls()
    found["free"] = shutil.disk_usage(data.parent).free + measure(marks.beside(data, "restored"))
    found["kept"] = measure(marks.beside(data, "before"))
    there = list_there(source)
    repository, rows = find_newest(source, there, time.time())
    sound = [row["stop"] for row in rows if not row["damaged"]]
    found |= {"stanza": repository.stanza, "version": repository.read_version(), "size": rows[-1]["size"]}
    found["earliest"] = min(row["stop"] for _, rows in there for row in rows if not row["damaged"])
    # What was archived holds all that was written until it was closed.
    found["latest"] = max(find_latest(repository), *sound)


def count_calls() -> int:
    """Count the calls that the database here has had."""
    if query("select count(*) from pg_database where datname = 'webitel'") == "0":
        return 0
    if query("select to_regclass('call_center.cc_calls_history') is not null", database="webitel") != "t":
        return 0
    return int(query("select count(*) from call_center.cc_calls_history", database="webitel"))


def look_at_files(manifest: Manifest, found: Looked) -> None:
    """Add how many recordings there are, and how many here. Raises BackupError."""
    found["files"], found["files_size"] = recordings.count_kept(where())
    folder = pathlib.Path(manifest["backup_files"]["folder"])
    found["files_free"] = shutil.disk_usage(folder).free
    own = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] != "cache")
    found["own_files"] = sum(1 for _, _ in zip(range(COUNTED), own, strict=False))


There = list[tuple[Elsewhere, list[BackupRow]]]
"""The places of a deployment's databases, each with its backups."""


def list_there(source: Source) -> There:
    """List the places of that deployment's databases, one for each that has begun, and their backups. Raises BackupError."""
    wanted = re.compile(rf"{re.escape(source['stack'])}-\d+(-\w+)?")
    found = sorted(filter(wanted.fullmatch, lines.list_names(Elsewhere(), "backup")))
    if not found:
        raise BackupError(f"there are no backups of a deployment {source['stack']} in {source['name'].partition(' ')[0]}")
    return [(repository, repository.list_backups()) for repository in map(Elsewhere, found)]


def find_newest(source: Source, there: There, moment: float) -> tuple[Elsewhere, list[BackupRow]]:
    """Return the place that was in use at that time, and its backups. Raises BackupError."""

    def ends(rows: list[BackupRow]) -> float:
        return max((row["stop"] for row in rows if not row["damaged"] and row["stop"] < moment), default=0.0)

    repository, rows = max(there, key=lambda one: ends(one[1]))
    if not ends(rows):
        lacks = [row["label"] for _, rows in there for row in rows if row["damaged"]]
        more = f"; {', '.join(lacks)}: damaged or not in the bucket any more" if lacks else ""
        raise BackupError(f"there is no sound backup from before that time in {source['name']}{more}")
    return repository, rows


def find_latest(repository: Elsewhere) -> float:
    """Return when the newest piece of the log came to the bucket."""
    place = f"archive/{repository.stanza}"
    latest = 0.0
    for folder in filter(lines.DATABASE.fullmatch, lines.list_names(repository, place)):
        pieces = sorted(name for name in lines.list_names(repository, f"{place}/{folder}") if re.fullmatch("[0-9A-F]{16}", name))
        # The last folder of each time line: those before are full, and older.
        for last in {name[:8]: name for name in pieces}.values():
            files = lines.list_names(repository, f"{place}/{folder}/{last}")
            latest = max([latest, *(float(entry.get("time", 0)) for entry in files.values())])
    return latest


def choose(source: Source, moment: float) -> tuple[Elsewhere, str, int]:
    """Return the place from which a time is reached, from which backup, and on which line. Raises BackupError."""
    repository, rows = find_newest(source, list_there(source), moment)
    return repository, *lines.choose(lines.read_kept(repository), rows, moment)
