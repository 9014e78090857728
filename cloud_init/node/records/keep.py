"""From the journal into files: log-ins, sudo, changed accounts, our own commands and changes, and log-ins to the web.

The journal is read by what the kernel says of a sender (`_EXE`, `_UID`), which no program can write into its own message.
"""

import datetime
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterable, Iterator

FOLDER = pathlib.Path("/var/log/webitel")
CURRENT = "audit.log"
"""A link to the file of the day, `audit-YYYY-MM-DD.log`."""
CURSOR = pathlib.Path("/var/lib/webitel-records/cursor")

IDENTIFIER, LOGIN_TAG = "webitel-node", "webitel_login"

ACCOUNT_PROGRAMS = ("chage", "chfn", "chsh", "gpasswd", "passwd", "su")
ACCOUNT_TOOLS = ("groupadd", "groupdel", "groupmod", "useradd", "userdel", "usermod", "visudo")
SOURCES: tuple[tuple[str, ...], ...] = (
    ("_EXE=/usr/sbin/sshd",),
    ("_EXE=/usr/bin/sudo",),
    *((f"_EXE=/usr/bin/{name}",) for name in ACCOUNT_PROGRAMS),
    *((f"_EXE=/usr/sbin/{name}",) for name in ACCOUNT_TOOLS),
    ("_UID=0", f"SYSLOG_IDENTIFIER={IDENTIFIER}"),
    ("_EXE=/usr/sbin/nginx", f"SYSLOG_IDENTIFIER={LOGIN_TAG}"),
    ("_TRANSPORT=audit",),
)
"""What is recorded: any of these, each with all of its parts."""

AUDIT_KEY = 'key="webitel'
"""Of the kernel's own records, those of our rules (`/etc/audit/rules.d/60-webitel.rules`)."""

AUTHPRIV, NOTICE = 10, 5
"""Facility and severity where a message names none."""

DAY_SECONDS = 86400


def read_journal(cursor: str) -> subprocess.Popen[str]:
    """Follow the journal behind a cursor; without one from the start of what it has."""
    command = ["journalctl", "--follow", "--output=json", "--quiet", "--no-pager"]
    command += [f"--after-cursor={cursor}"] if cursor else ["--no-tail"]
    for number, parts in enumerate(SOURCES):
        command += [*(["+"] if number else []), *parts]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace")


def as_record(entry: dict[str, object]) -> str:
    """Return an entry of the journal as a line of RFC 5424, empty where it says nothing."""
    message = as_text(entry.get("MESSAGE"))
    if not message or (entry.get("_TRANSPORT") == "audit" and AUDIT_KEY not in message):
        return ""
    at = datetime.datetime.fromtimestamp(int(str(entry["__REALTIME_TIMESTAMP"])) / 1e6, datetime.UTC)
    facility, severity = (
        number_of(entry.get(name), least) for name, least in (("SYSLOG_FACILITY", AUTHPRIV), ("PRIORITY", NOTICE))
    )
    host, program, process = (
        word(entry.get(name)) for name in ("_HOSTNAME", "SYSLOG_IDENTIFIER" if "SYSLOG_IDENTIFIER" in entry else "_COMM", "_PID")
    )
    return f"<{facility * 8 + severity}>1 {at:%Y-%m-%dT%H:%M:%S.%fZ} {host} {program} {process} - - {message}"


def as_text(value: object) -> str:
    """Return a field as one line. The journal writes bytes that are no text as numbers; nobody may begin a line of his own."""
    if isinstance(value, list):
        value = bytes(byte for byte in value if isinstance(byte, int)).decode(errors="replace")
    text = value if isinstance(value, str) else ""
    return "".join(one if one.isprintable() else f"#{ord(one):03o}" for one in text.strip())


def word(value: object) -> str:
    """Return a field as a word of a header, a hyphen where there is none."""
    return "".join(one for one in as_text(value) if "!" <= one <= "~") or "-"


def number_of(value: object, otherwise: int) -> int:
    """Return a field that is a number."""
    return int(value) if isinstance(value, str) and value.isdecimal() else otherwise


class Files:
    """The files of records, one a day; those older than `days` go."""

    def __init__(self, folder: pathlib.Path, days: int) -> None:
        self.folder, self.days = folder, days
        self.day = ""

    def write(self, record: str, today: datetime.date) -> None:
        """Add a record, on the disk when this returns."""
        path = self.folder / f"audit-{today:%Y-%m-%d}.log"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640), "w") as file:
            file.write(f"{record}\n")
            file.flush()
            os.fsync(file.fileno())
        if self.day != path.name:
            self.turn(path, today)

    def turn(self, path: pathlib.Path, today: datetime.date) -> None:
        """Begin a day: the link leads to its file, and what is too old is removed."""
        link = self.folder / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.name)
        link.replace(self.folder / CURRENT)
        self.remove(today)
        self.day = path.name

    def remove(self, today: datetime.date) -> None:
        """Remove files older than `days`."""
        oldest = today - datetime.timedelta(days=self.days)
        for old in list_files(self.folder):
            if old.name < f"audit-{oldest:%Y-%m-%d}.log":
                old.unlink(missing_ok=True)


def list_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """List the files of records, the oldest first."""
    return sorted(folder.glob("audit-????-??-??.log"))


def keep(lines: Iterable[str], files: Files, cursor: pathlib.Path) -> Iterator[str]:
    """Write what the journal says into the files, and remember how far it was read; return each record."""
    for line in lines:
        entry = json.loads(line)
        record = as_record(entry)
        if record:
            files.write(record, datetime.datetime.now(datetime.UTC).date())
            yield record
        remember(cursor, str(entry["__CURSOR"]))


def remember(path: pathlib.Path, text: str) -> None:
    """Write a small file that is whole whenever somebody reads it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def run(days: int, written: threading.Event) -> int:
    """Keep records until the journal's reader ends; `written` is set after each."""
    cursor = CURSOR.read_text().strip() if CURSOR.exists() else ""
    reader = read_journal(cursor)
    assert reader.stdout is not None
    with reader:
        for _ in keep(reader.stdout, Files(FOLDER, days), CURSOR):
            written.set()
    return reader.returncode or 1
