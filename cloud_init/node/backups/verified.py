"""What `pgbackrest verify` found when it last read all that the bucket has, as it stands on the node that did it."""

import json
import pathlib
from typing import TypedDict

from ..manifest import BackupEntry

MEMORY = pathlib.Path("/var/lib/webitel/verified.json")
DAY_SECONDS = 86400.0
LATE_SECONDS = 2 * DAY_SECONDS
"""After the day on which it is due: that long all of a large bucket may take."""


class Verified(TypedDict):
    """When it ended (seconds since the epoch; 0: never), the database's place in the bucket, the backups that are not as they
    were written, what is wrong with the log ("" for nothing), and why it did not come to its end ("" where it did)."""

    ended: float
    stanza: str
    damaged: list[str]
    log: str
    problem: str


NOTHING: Verified = {"ended": 0.0, "stanza": "", "damaged": [], "log": "", "problem": ""}


def read(stanza: str) -> Verified:
    """Return what was found in that place of the bucket last; nothing where that was another one."""
    try:
        found: Verified = json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        return NOTHING
    return found if found["stanza"] == stanza else NOTHING


def find_days(entry: BackupEntry) -> int:
    """Return after how many days all of it is read again; 0 for never."""
    return entry.get("verify_days", 0)  # a manifest of before knows nothing of it until it is written anew


def is_due(entry: BackupEntry, found: Verified, now: float) -> bool:
    """Tell whether it is time to read all of it."""
    return 0 < find_days(entry) * DAY_SECONDS <= now - found["ended"]


def wants_full(found: Verified, newest: float) -> bool:
    """Tell whether a full backup is needed, the newest one being of that time: a log that is broken leads on from none of those
    before it."""
    # pgBackRest's times are whole seconds: one that was begun right after would seem to be from before.
    return bool(found["log"]) and newest < int(found["ended"])


def describe(entry: BackupEntry, found: Verified, oldest: float, newest: float, now: float) -> tuple[bool, str]:
    """Say how that is, for the end of the line in `status`, `oldest` and `newest` being backups' times; and whether somebody has
    to know."""
    if found["log"]:
        since = "a full backup is due" if wants_full(found, newest) else "from the newest full backup on it is whole"
        return True, f"; the log in the bucket is broken: {found['log']}; {since}"
    days = find_days(entry)
    if not days:
        return False, ""
    late = now - max(found["ended"], oldest) > days * DAY_SECONDS + LATE_SECONDS
    if late:
        since = f"since {(now - found['ended']) / DAY_SECONDS:.0f} days" if found["ended"] else "ever"
        why = f": {found['problem']}" if found["problem"] else ""
        return True, f"; not read and compared {since}{why}"
    return False, f"; read and compared {(now - found['ended']) / DAY_SECONDS:.0f} days ago" if found["ended"] else ""
