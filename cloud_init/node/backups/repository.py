"""pgBackRest and what it keeps in the bucket: how it is called, what it said, which backups there are."""

import json
import pathlib
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from ..clusters import database_data
from ..manifest import BackupEntry, FilesEntry
from ..system import ENDED, POSTGRESQL_BIN, run
from . import verified

CONFIG = pathlib.Path("/etc/webitel/pgbackrest.conf")
ANSWER_SECONDS = 10.0
QUICK_SECONDS, LONG_SECONDS = 180.0, 86400.0
"""For a question to the bucket, which pgBackRest itself repeats; for a transfer of all that there is."""
OTHER_KEY = (
    "the bucket holds something that this deployment's key (secret backup_cipher) does not open: it was made with another key, "
    "or changed"
)
NO_ANSWER = "the bucket's host does not answer"
MEANINGS = {
    "CryptoError|outside of section|cipher header|not an encrypted file|bad password": OTHER_KEY,
    "unable to acquire lock": "another backup is still being made",
    r"failed with 40[13]|AccessDenied|SignatureDoesNotMatch|InvalidAccessKey|code: 403"
    # Google's, of pgBackRest and of rclone; Azure's, of rclone.
    r"|authentication token: \[|cannot fetch token: 40|googleapi: Error 40[13]"
    r"|AuthorizationFailure|AuthorizationPermissionMismatch|AuthenticationFailed": "the bucket refuses the log-in: "
    "webitel:backup_key, webitel:backup_secret, or their rights",
    "directory not found": "the bucket has nothing there, or is none: webitel:backup.url",
    r"failed with 404|NoSuchBucket": "there is no such bucket: webitel:backup.url",
    r"unable to (get address|connect)|timeout (connecting|waiting)": NO_ANSWER,
    "certificate": "the bucket's host is not believed: webitel:backup.authority is what signs its certificate",
    # It was at work and broke off, which may read like a file that was cut.
    r"TLS error|connection (reset|refused)|broken pipe|unexpected eof while reading|failed with 5\d\d": NO_ANSWER,
}
"""What some of pgBackRest 2.45's and rclone's complaints mean (`docs/facts/backups.md` 2)."""

PLACE = "webitel.place"
"""A file among the data, so that it goes wherever those go: to other members, into backups and back."""
MANIFEST = "backup.manifest"
"""What a backup consists of, which counts for nothing in its size; there is a copy beside it."""
Sizes = Mapping[str, tuple[bool, int]]
"""By label of a backup, whether the bucket has its manifest, and the bytes of all else."""


class BackupError(Exception):
    """Something that has to do with backups did not work; the text is for the operator."""


class Place(TypedDict):
    """Where a bucket answers."""

    host: str
    port: int


def reach(entry: BackupEntry | FilesEntry | Place) -> None:
    """Ask whether the bucket's host answers at all, which pgBackRest would try for minutes. Raises BackupError."""
    try:
        socket.create_connection((entry["host"], entry["port"]), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise BackupError(f"the bucket's host does not answer: {entry['host']}:{entry['port']}: {error}") from error


def query(statement: str, *options: str, database: str = "postgres") -> str:
    """Ask a database on this node as its superuser. Raises BackupError."""
    # Not as an argument, which everybody on the node may read: it may hold a password.
    words = [str(POSTGRESQL_BIN / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *options, "-f", "-", database]
    done = run(["runuser", "-u", "postgres", "--", *words], 60, f"{statement};")
    if done.returncode != 0:
        raise BackupError(f"the database does not answer: {done.stderr.strip()}")
    return done.stdout.strip()


class BackupRow(TypedDict):
    """A backup; times in seconds since the epoch, sizes in bytes: the database's, and what the bucket got for this one. The
    number of the time line that it was made on, where in that line's log it ends, and the backups that it is built on."""

    label: str
    kind: str
    start: float
    stop: float
    size: int
    stored: int
    damaged: bool
    timeline: int
    end: int
    needs: list[str]


def read_position(text: str) -> int:
    """Return a place in PostgreSQL's log, such as 0/3000168, as a number."""
    high, _, low = text.strip().partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def read_list(said: str) -> Any:
    """Read a list that pgBackRest prints, in which complaints hold the bytes that it could not decipher. Raises ValueError."""
    return json.loads(said, strict=False)


def read_place(data: pathlib.Path) -> str:
    """Return the end of the name of a database's place: nothing, unless it was restored from another deployment's bucket."""
    try:
        return f"-{(data / PLACE).read_text().strip()}"
    except FileNotFoundError:
        return ""


class Repository:
    """One database's place in the bucket. A database that begins anew has another number, and so another place; one that was
    restored from another deployment's bucket has that one's number, and a file with what tells the two apart."""

    def __init__(self, entry: BackupEntry) -> None:
        self.data = database_data.data_folder()
        said = run([database_data.CONTROL, str(self.data)], 30)
        number = re.search(r"^Database system identifier: *(\d+)", said.stdout, re.MULTILINE)
        line = re.search(r"^Latest checkpoint's TimeLineID: *(\d+)", said.stdout, re.MULTILINE)
        if not number or not line:
            raise BackupError(f"{self.data} holds no database: {said.stderr.strip()}")
        self.stanza = f"{entry['stack']}-{number[1]}{read_place(self.data)}"
        self.timeline = int(line[1])
        self.unknown, self.config = "", CONFIG

    def options(self) -> list[str]:
        """List the words that every call begins with."""
        return ["pgbackrest", f"--config={self.config}", *([f"--stanza={self.stanza}"] if self.stanza else [])]

    def archive_command(self) -> str:
        """Return what PostgreSQL runs for each piece of its log."""
        return " ".join([*self.options(), f"--pg1-path={self.data}", 'archive-push "%p"'])

    def call(self, command: str, *options: str, seconds: float = QUICK_SECONDS, database: bool = True, what: str = "") -> str:
        """Run one command, about a path in the bucket where there is one, as the database's user and return what it printed.
        Raises BackupError with what it complained of."""
        about = [f"--pg1-path={self.data}"] if database else []
        # Whoever kills runuser would leave pgBackRest running, with its lock.
        as_user = ["runuser", "-u", "postgres", "--", "timeout", "-k", "5", f"{seconds:.0f}"]
        done = run([*as_user, *self.options(), *about, *options, command, *filter(None, [what])], seconds + 30)
        if done.returncode == ENDED:
            raise BackupError(f"{command}: not done within {seconds:.0f} s")
        if done.returncode != 0:
            raise BackupError(explain(command, done.stdout + done.stderr))
        return done.stdout

    def list_backups(self) -> list[BackupRow]:
        """List the backups that the bucket has of this database, oldest first. Raises BackupError. Where the bucket does not tell
        the sizes of files, which takes a question for each of its folders, `unknown` says why, and its record is believed."""
        rows, self.unknown = self._list_made(), ""
        try:
            damaged = find_damaged(rows, self._list_sizes()) if rows else set()
        except BackupError as error:
            damaged, self.unknown = set(), str(error)
        if damaged:
            # One that expired meanwhile is not damaged but gone from both.
            rows = self._list_made()
        damaged |= {*verified.read(self.stanza)["damaged"]}
        return [row | {"damaged": row["damaged"] or row["label"] in damaged} for row in rows]

    def read_version(self) -> str:
        """Return the version of PostgreSQL that the newest backup was made with. Raises BackupError."""
        found = read_list(self.call("info", "--output=json", database=False))
        return str(found[0]["db"][-1]["version"]) if found and found[0].get("db") else ""

    def _list_made(self) -> list[BackupRow]:
        """List those that were made, by the bucket's own record of them."""
        try:
            found = read_list(self.call("info", "--output=json", database=False))
        except ValueError as error:
            raise BackupError(f"pgBackRest's list is not readable: {error}") from error
        rows: list[BackupRow] = []
        for stanza in found:
            code = stanza["status"]["code"]
            # Without a backup, or while one runs, the list is right all the same.
            if code not in (0, 1, 2, 4):
                raise BackupError(explain("info", stanza["repo"][0]["status"]["message"]))
            rows += [read_row(backup) for backup in stanza.get("backup", [])]
        return sorted(rows, key=lambda row: row["stop"])

    def _list_sizes(self) -> Sizes:
        """Return what the bucket really has of each backup."""
        said = self.call("repo-ls", "--recurse", "--output=json", database=False, what=f"backup/{self.stanza}")
        try:
            found = read_list(said)
        except ValueError as error:
            raise BackupError(f"pgBackRest's list of files is not readable: {error}") from error
        sizes: dict[str, tuple[bool, int]] = {}
        for path, about in found.items():
            label, _, name = path.partition("/")
            described, size = sizes.get(label, (False, 0))
            if name.startswith(MANIFEST):
                described |= name == MANIFEST
            else:
                size += int(about.get("size", 0))
            sizes[label] = described, size
        return sizes


def find_damaged(rows: Sequence[BackupRow], sizes: Sizes) -> set[str]:
    """Return the labels of those of which the bucket has not all, and of those that are built on them."""
    damaged: set[str] = set()
    for row in rows:
        described, size = sizes.get(row["label"], (False, 0))
        # What was changed and is as long as before shows when it is restored.
        if not described or size < row["stored"] or not damaged.isdisjoint(row["needs"]):
            damaged.add(row["label"])
    return damaged


def read_row(backup: dict[str, object]) -> BackupRow:
    """Read one backup as `info` prints it."""
    times, info, archive, places = (backup[name] for name in ("timestamp", "info", "archive", "lsn"))
    assert isinstance(times, dict) and isinstance(info, dict) and isinstance(archive, dict) and isinstance(places, dict)
    return {
        "label": str(backup["label"]),
        "kind": str(backup["type"]),
        "start": float(times["start"]),
        "stop": float(times["stop"]),
        "size": int(info["size"]),
        "stored": int(info["repository"]["delta"]),
        "damaged": bool(backup.get("error")),
        "timeline": int(str(archive["start"])[:8], 16),
        "end": read_position(str(places["stop"])),
        "needs": [str(label) for label in needs] if isinstance(needs := backup.get("reference"), list) else [],
    }


def explain(command: str, said: str) -> str:
    """Say what went wrong in the words of pgBackRest, and what that means where they do not tell."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((n for n, line in enumerate(lines) if "ERROR:" in line), 0)
    text = " ".join(re.sub(r"^(P\d+ +)?ERROR: (\[\d+\]: )?", "", line) for line in lines[first:])
    return find_meaning(command, "".join(letter for letter in text if letter.isascii() and letter.isprintable()))


def find_meaning(command: str, text: str) -> str:
    """Say what a complaint means, where it is known, and the complaint."""
    for known, meaning in MEANINGS.items():
        if re.search(known, text, re.IGNORECASE):
            return f"{meaning} ({command}: {text[:200]})"
    return f"{command}: {text[:500] or 'no answer'}"
