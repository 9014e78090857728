"""A deployment that is quiet: what speaks to the outside by itself does not run, whoever tells it to start.

A deployment that was restored from another one has the trunks, queues, bots and mailboxes of that one, which may be at work.
So these units get a condition that systemd asks at every start, until a person says that this one is in earnest.
"""

import json
import pathlib
import time
from typing import TypedDict

from .manifest import Manifest
from .report import MachineRow
from .system import Tell, systemctl, write_private

MARK = pathlib.Path("/var/lib/webitel/quiet.json")
UNIT_FILES = pathlib.Path("/etc/systemd/system")
DROP_IN = "quiet.conf"
STOP_SECONDS = 300.0
BEGUN, PLACED, WHOLE = "begun", "placed", "whole"
"""How far the restore has come that made it quiet: nothing in its place yet, the database in its place, recordings too."""


class Quiet(TypedDict):
    """Since when, and the restore that made it so: from where, to which time, and how far that has come."""

    since: float
    source: str
    at: str
    stage: str


def read() -> Quiet | None:
    """Return what made this node quiet; None where it is not."""
    try:
        found: Quiet = json.loads(MARK.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"since": 0.0, "source": "", "at": "", "stage": BEGUN}  # whatever it says, nobody has said that it is over
    return found


def list_units(manifest: Manifest) -> list[str]:
    """List the units that are meant to be off because the deployment is quiet, callers first."""
    return list_speaking(manifest) if MARK.exists() else []


def list_speaking(manifest: Manifest) -> list[str]:
    """List the units that are off while a deployment is quiet, callers first."""
    return [unit["name"] for unit in reversed(manifest["units"]) if unit.get("speaks_outside")]


def begin(manifest: Manifest, source: str, at: str, tell: Tell) -> None:
    """Make this node quiet and stop what speaks; safe to run again."""
    write(source, at, BEGUN)
    keep(manifest)
    if names := list_speaking(manifest):
        tell("quiet", f"stop {', '.join(names)}")
        systemctl("stop", *names, timeout=STOP_SECONDS)


def write(source: str, at: str, stage: str) -> None:
    """Note how far the restore has come that made it quiet; the time since when stays."""
    known = read()
    found: Quiet = {"since": known["since"] if known else time.time(), "source": source, "at": at, "stage": stage}
    write_private(MARK, json.dumps(found))


def advance(stage: str) -> None:
    """Note a further stage, where this node is quiet."""
    if known := read():
        write(known["source"], known["at"], stage)


def keep(manifest: Manifest) -> None:
    """Have systemd refuse what speaks, units that a new configuration has brought too."""
    wanted = [UNIT_FILES / f"{name}.service.d" / DROP_IN for name in list_units(manifest)]
    text = f"[Unit]\n# Until ./webitel restore --go-live says otherwise.\nConditionPathExists=!{MARK}\n"
    lacking = [path for path in wanted if not path.exists()]
    for path in lacking:
        write_private(path, text, 0o644)
    if lacking:
        systemctl("daemon-reload")


def end(manifest: Manifest, tell: Tell) -> None:
    """Let everything run again, and start it; safe to run again."""
    MARK.unlink(missing_ok=True)
    for path in UNIT_FILES.glob(f"*.service.d/{DROP_IN}"):
        path.unlink(missing_ok=True)
    systemctl("daemon-reload")
    # What moves is started by who holds its lock.
    moving = {unit["name"] for unit in manifest["units"] if unit.get("moves")}
    if names := [name for name in reversed(list_speaking(manifest)) if name not in moving]:
        tell("quiet", f"start {', '.join(names)}")
        systemctl("reset-failed", *names)
        systemctl("start", "--no-block", *names)


def report(manifest: Manifest) -> MachineRow | None:
    """Say that this node is quiet, and how that ends."""
    found = read()
    if found is None:
        return None
    since = time.strftime("%Y-%m-%d %H:%M", time.gmtime(found["since"]))
    off = ", ".join(reversed(list_speaking(manifest))) or "nothing here"
    why = f"since {since} UTC; off: {off}. ./webitel restore --go-live {manifest['stack']} ends it"
    if found["stage"] != WHOLE:
        why = f"since {since} UTC, and its restore has not ended: give that command again"
    return {"name": "quiet", "healthy": True, "warning": True, "why": why}
