"""From the journal into files: log-ins, sudo, changed accounts, our own commands and changes, and log-ins to the web.

What a message calls itself anybody may write. Who sent it the journal knows by itself: root, or the program whose name it bears.
"""

import datetime
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterable, Iterator

from ..system import write_private

FOLDER = pathlib.Path("/var/log/webitel")
CURRENT = "audit.log"
"""A link to the file of the day, `audit-YYYY-MM-DD.log`."""
CURSOR = pathlib.Path("/var/lib/webitel-records/cursor")

IDENTIFIER, LOGIN_TAG = "webitel-node", "webitel_login"

PROGRAMS: dict[str, str] = {
    **{name: f"/usr/sbin/{name}" for name in ("sshd", "groupadd", "groupdel", "groupmod", "useradd", "userdel", "usermod")},
    **{name: f"/usr/bin/{name}" for name in ("sudo", "su", "passwd", "chage", "chfn", "chsh", "gpasswd")},
    "sshd-session": "/usr/lib/openssh/sshd-session",
    LOGIN_TAG: "/usr/sbin/nginx",
    IDENTIFIER: "",
}
"""What is recorded by the name that a message bears, and the only program that may send it when it is not root."""

LONG_LIVED = (IDENTIFIER, LOGIN_TAG)
"""Whose program is there long enough for the journal to see; the others may be gone when it looks."""

AUDIT_KEY = 'key="webitel'
"""Of the kernel's own records, those of our rules (`/etc/audit/rules.d/60-webitel.rules`)."""

AUTHPRIV, NOTICE = 10, 5
"""Facility and severity where a message names none."""

DAY_SECONDS = 86400


def read_journal(cursor: str, *, follow: bool) -> subprocess.Popen[str]:
    """Read the journal behind a cursor, from its start without one. Following alone would show this boot only, and where another
    boot's name shows in /proc, as in some containers, nothing: hence `--merge`."""
    command = ["journalctl", "--output=json", "--quiet", "--no-pager"]
    command += ["--follow", "--no-tail", "--merge"] if follow else []
    command += [f"--after-cursor={cursor}"] if cursor else []
    names = [f"SYSLOG_IDENTIFIER={name}" for name in PROGRAMS]
    return subprocess.Popen([*command, *names, "+", "_TRANSPORT=audit"], stdout=subprocess.PIPE, text=True, errors="replace")


def find_doubt(entry: dict[str, object]) -> str | None:
    """Return what has to be said of an entry's sender, empty where it is the one it says, None where it is another one."""
    name = str(entry.get("SYSLOG_IDENTIFIER"))
    program, expected, user = entry.get("_EXE"), PROGRAMS.get(name, ""), word(entry.get("_UID"))
    if user == "0" or entry.get("_TRANSPORT") == "audit" or (program and program == expected):
        return ""
    return f" [from user {user}, whose program was gone]" if not program and name not in LONG_LIVED else None


def as_record(entry: dict[str, object]) -> str:
    """Return an entry of the journal as a line of RFC 5424, empty where it says nothing."""
    message, doubt = as_text(entry.get("MESSAGE")), find_doubt(entry)
    if not message or doubt is None or (entry.get("_TRANSPORT") == "audit" and AUDIT_KEY not in message):
        return ""
    at = datetime.datetime.fromtimestamp(int(str(entry["__REALTIME_TIMESTAMP"])) / 1e6, datetime.UTC)
    facility, severity = (
        number_of(entry.get(name), least) for name, least in (("SYSLOG_FACILITY", AUTHPRIV), ("PRIORITY", NOTICE))
    )
    host, program, process = (
        word(entry.get(name)) for name in ("_HOSTNAME", "SYSLOG_IDENTIFIER" if "SYSLOG_IDENTIFIER" in entry else "_COMM", "_PID")
    )
    return f"<{facility * 8 + severity}>1 {at:%Y-%m-%dT%H:%M:%S.%fZ} {host} {program} {process} - - {message}{doubt}"


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
        write_private(cursor, str(entry["__CURSOR"]))


def run(days: int, written: threading.Event) -> int:
    """Keep records until the journal's reader ends; `written` is set after each. First what earlier boots have left."""
    files = Files(FOLDER, days)
    for follow in (False, True):
        reader = read_journal(CURSOR.read_text().strip() if CURSOR.exists() else "", follow=follow)
        assert reader.stdout is not None
        with reader:
            for _ in keep(reader.stdout, files, CURSOR):
                written.set()
    return reader.returncode or 1
