"""What a node remembers of what was done to it."""

import json
import pathlib
from typing import NotRequired, TypedDict

from .manifest import Login
from .system import write_private

STATE = pathlib.Path("/var/lib/webitel/state.json")


class Stock(TypedDict):
    """What a run left behind: files with digest and mode, units with their state, packages with version and hold, time zone
    and host name, accounts that can log in; `strangers` are the numbers of keys by file that a given host's owner let in."""

    login: NotRequired[Login]
    files: dict[str, tuple[str, str]]
    units: dict[str, str]
    packages: dict[str, tuple[str, bool]]
    identity: NotRequired[dict[str, str]]
    strangers: NotRequired[dict[str, int]]
    accounts: NotRequired[list[str]]


class State(TypedDict):
    """What earlier runs did; keys of steps that no run has reached are missing."""

    files: list[str]
    pending: list[str]
    disks: dict[str, str]
    bundles: NotRequired[dict[str, str]]
    units: NotRequired[list[str]]
    left: NotRequired[bool]
    stock: NotRequired[Stock]


def load_state() -> State:
    """Read what earlier runs did."""
    if not STATE.exists():
        return {"files": [], "pending": [], "disks": {}}
    state: State = json.loads(STATE.read_text())
    return state


def save_state(state: State) -> None:
    """Save the state so that it survives crashes and reboots."""
    write_private(STATE, json.dumps(state, indent=1, sort_keys=True))
