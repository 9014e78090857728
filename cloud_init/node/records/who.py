"""What this program itself has to say for the records: who ran which command, and which files a run changed."""

import os
import pathlib
import pwd
import syslog
from collections.abc import Iterable

from .keep import IDENTIFIER

QUIET = ("fetch", "leaders", "locks", "media", "mesh", "records", "status", "versions", "wait", "watch")
"""Commands that change nothing and are asked all the time, and those that units run for ever."""

NO_LOGIN = 4_294_967_295
"""The login number of what nobody logged in for."""

SHOWN_FILES = 40


def record_command(command: str, arguments: Iterable[str]) -> None:
    """Record that a person ran a command."""
    if command not in QUIET and "INVOCATION_ID" not in os.environ:
        say(f"{find_person()} ran: {' '.join(arguments)}")


def record_changes(changed: Iterable[str], removed: Iterable[str]) -> None:
    """Record which files a run wrote and removed."""
    for verb, paths in (("wrote", sorted(changed)), ("removed", sorted(removed))):
        for first in range(0, len(paths), SHOWN_FILES):
            say(f"{find_person()} {verb}: {' '.join(paths[first : first + SHOWN_FILES])}")


def find_person() -> str:
    """Return the account that logged in: sudo's word for it, or the kernel's."""
    if name := os.environ.get("SUDO_USER"):
        return name
    try:
        number = int(pathlib.Path("/proc/self/loginuid").read_text())
        return pwd.getpwuid(number if number != NO_LOGIN else os.getuid()).pw_name
    except (OSError, ValueError, KeyError):
        return str(os.getuid())


def say(text: str) -> None:
    """Write into the journal, under the name that records are found by."""
    syslog.openlog(IDENTIFIER, syslog.LOG_PID, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, text)
    syslog.closelog()
