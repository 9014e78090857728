"""A changed firewall or sshd may lock the deployment out. So what was there before is kept, and comes back by itself unless
somebody logs in by SSH anew, which the host does as soon as it is asked to.

A timer of systemd's brings it back, whether or not the host or this run still live; so does the next start of the machine.
`ARMED` is there until it is decided: `confirm` removes it, `revert` renames it, and only one of them can.
"""

import fcntl
import json
import pathlib
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TypedDict

from ..manifest import FileEntry
from ..report import CONFIRM
from ..system import ApplyError, Tell, replace_file, run, systemctl, write_private
from . import units

ARMED = pathlib.Path("/var/lib/webitel/guard/armed")
REVERTING = ARMED.with_name("reverting")
REVERTED = ARMED.with_name("reverted")
SECONDS = 60
"""Until it goes back. A new log-in takes less than one, through another node less than two."""

SLACK_SECONDS = 15
"""More than the timer's start and a reload take. After that the run brings back itself what it waits for."""

PAUSE_SECONDS = 0.2
UNIT, TIMER = "webitel-guard.service", "webitel-guard.timer"
ACTIONS = ("reload ssh", "reload nftables")
"""What a file does whose change may lock us out."""


class Kept(TypedDict):
    """A file as it was."""

    text: str
    mode: int
    uid: int
    gid: int


class Armed(TypedDict):
    """What comes back: files, None for one that was not there, and units that read them, with whether they ran."""

    files: dict[str, Kept | None]
    units: dict[str, bool]


def arm(changed: Iterable[str], attributes: Mapping[str, FileEntry]) -> None:
    """Keep those of the changed files that may lock us out as they are now, and start the clock; none has been changed yet."""
    paths = [path for path in changed if set(attributes[path]["actions"]) & set(ACTIONS)]
    if not paths:
        return
    actions = {action for path in paths for action in attributes[path]["actions"] if action in ACTIONS}
    kept: Armed = {
        "files": {path: read_file(pathlib.Path(path)) for path in paths},
        "units": {unit: units.is_running(unit) for unit in sorted(action.split()[1] for action in actions)},
    }
    REVERTED.unlink(missing_ok=True)
    write_private(ARMED, json.dumps(kept))
    # Its unit may have come with this run.
    systemctl("daemon-reload")
    systemctl("enable", UNIT)
    systemctl("stop", TIMER)
    timer = ["--on-active", str(SECONDS), "--timer-property", "AccuracySec=1s", "--unit", UNIT]
    started = run(["systemd-run", "--quiet", "--no-ask-password", *timer])
    if started.returncode != 0:
        ARMED.unlink()
        raise ApplyError(f"{TIMER} could not be started, so {' and '.join(paths)} stayed as before: {started.stderr.strip()}")


def prove(actions: list[str], tell: Tell) -> list[str]:
    """Have the changed files take effect and wait until somebody has logged in anew; return the actions that are left.

    Raises ApplyError where nobody did, with everything as it was before.
    """
    if not ARMED.exists():
        return actions
    if "daemon-reload" in actions:
        systemctl("daemon-reload")
    for action in actions:
        if action in ACTIONS:
            tell("services", action)
            try:
                units.perform("reload", action.split()[1], update=True)
            except ApplyError:
                revert()
                raise
    tell(CONFIRM, "waiting for a new log-in by SSH")
    deadline = time.monotonic() + SECONDS + SLACK_SECONDS
    while ARMED.exists() or REVERTING.exists():
        if time.monotonic() > deadline:
            revert()
        time.sleep(PAUSE_SECONDS)
    if REVERTED.exists():
        back: Armed = json.loads(REVERTED.read_text())
        raise ApplyError(
            f"nobody could log in by SSH anew within {SECONDS} s of the change, so {' and '.join(sorted(back['files']))} "
            "came back as before. Mend what changed it and run ./webitel up again"
        )
    return [action for action in actions if action not in ACTIONS]


def confirm() -> None:
    """Keep the changed files: whoever says so has just logged in. Raises ApplyError when it is too late."""
    try:
        ARMED.unlink()
    except FileNotFoundError:
        raise ApplyError("nothing waits for a log-in: the change has been taken back, or confirmed before") from None
    systemctl("stop", TIMER)


def revert() -> None:
    """Bring back what waits for a log-in, if anything does."""
    ARMED.parent.mkdir(parents=True, exist_ok=True)
    with ARMED.with_name("lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if ARMED.exists():
            ARMED.rename(REVERTING)
        if not REVERTING.exists():
            return
        back: Armed = json.loads(REVERTING.read_text())
        for path, kept in back["files"].items():
            put_back(pathlib.Path(path), kept)
        for unit, ran in back["units"].items():
            done = systemctl("reload-or-restart" if ran else "stop", unit)
            if done.returncode != 0:
                print(f"{unit}: {done.stderr.strip()}", file=sys.stderr, flush=True)
        REVERTING.rename(REVERTED)
    systemctl("stop", TIMER)


def read_file(path: pathlib.Path) -> Kept | None:
    """Read a file as it is now."""
    if not path.is_file():
        return None
    found = path.stat()
    return {
        "text": path.read_bytes().decode(errors="surrogateescape"),
        "mode": found.st_mode & 0o7777,
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def put_back(path: pathlib.Path, kept: Kept | None) -> None:
    """Write a file as it was, or remove it where there was none."""
    if kept is None:
        path.unlink(missing_ok=True)
        return
    replace_file(path, kept["text"], kept["mode"], (kept["uid"], kept["gid"]))
