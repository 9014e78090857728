"""What the node keeps about itself, and where."""

import json
import os
import pathlib
import subprocess
from collections.abc import Callable
from typing import Any

from .install import NATIVE

MANIFEST = pathlib.Path("/etc/webitel/node.json")
PROBE_SECRETS = pathlib.Path("/etc/webitel/probe.json")
STATE = pathlib.Path("/var/lib/webitel/state.json")
LOCK = pathlib.Path("/run/webitel/apply.lock")
PROGRAM = pathlib.Path("/usr/lib/webitel/node")
BUNDLES = pathlib.Path("/usr/share/webitel/bundles")

BASE = ("ssh", "nftables", "chrony")
"""Services that run from the boot on and as long as the machine does."""

Tell = Callable[[str, str], None]


class ApplyError(Exception):
    """The configuration could not be applied; the text is for the operator, `unit` the unit it is about."""

    def __init__(self, text: str, unit: str = "") -> None:
        super().__init__(text)
        self.unit = unit


def load_manifest() -> dict[str, Any]:
    """The node's manifest; empty services before the first configuration."""
    if not MANIFEST.exists():
        return {"services": [], "units": [], "disks": [], "packages": [], "directories": [], "key": "", "node": "", "address": ""}
    manifest: dict[str, Any] = json.loads(MANIFEST.read_text())
    return manifest


def load_state() -> dict[str, Any]:
    """What earlier runs did: {"files": [path], "pending": [action], "disks": {purpose: uuid}, "left": bool}."""
    if not STATE.exists():
        return {"files": [], "pending": [], "disks": {}}
    state: dict[str, Any] = json.loads(STATE.read_text())
    return state


def write_private(path: pathlib.Path, text: str, mode: int = 0o600) -> None:
    """Write a file in one step; a crash leaves the old one or the new one, on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".webitel-new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as target:
        os.fchmod(target.fileno(), mode)
        target.write(text)
        target.flush()
        os.fsync(target.fileno())
    fresh.replace(path)


def save_state(state: dict[str, Any]) -> None:
    """Keep the state across crashes and reboots."""
    write_private(STATE, json.dumps(state, indent=1, sort_keys=True))


def run(command: list[str], timeout: float = 120, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program; never raises for its exit status. A program that hangs is ended and reads as exit 124."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, input=text, check=False,
                              env=os.environ | NATIVE | {"LC_ALL": "C.UTF-8"})
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"{command[0]} did not end within {timeout:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")


def systemctl(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """systemctl without a pager and without questions."""
    return run(["systemctl", "--no-pager", "--no-ask-password", *arguments], timeout)


def last_lines(unit: str, lines: int = 20) -> list[str]:
    """The last journal lines of a unit, of its current boot."""
    shown = run(["journalctl", "-b", "--no-pager", "-q", "-o", "short-iso", "-n", str(lines), "-u", unit], 10)
    return shown.stdout.splitlines()
