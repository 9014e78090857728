"""What units are owed: a file was changed, and the program that reads it has not been told.

Noted before the file is changed, forgotten once the program was told: whoever is cut off between the two leaves a note, and the
next look or run tells the program. Whoever notes, or forgets, holds `turns.WRITING`.
"""

import json
import pathlib
from collections.abc import Iterable
from typing import TypedDict

from .install import BOOT
from .system import write_private

OWED = pathlib.Path("/var/lib/webitel/owed.json")


class Note(TypedDict):
    """Actions such as `reload patroni`, and the boot in which they were noted: the next one starts every program anew."""

    boot: str
    actions: list[str]


def list_owed() -> list[str]:
    """List what is owed since this boot."""
    if not OWED.exists():
        return []
    note: Note = json.loads(OWED.read_text())
    return note["actions"] if note["boot"] == BOOT.read_text() else []


def owe(actions: Iterable[str]) -> None:
    """Note what a change that is about to be made owes."""
    save([*list_owed(), *actions])


def forget(actions: Iterable[str]) -> None:
    """Forget what was done."""
    done = set(actions)
    save([action for action in list_owed() if action not in done])


def save(actions: Iterable[str]) -> None:
    """Replace the note."""
    note: Note = {"boot": BOOT.read_text(), "actions": list(dict.fromkeys(actions))}
    write_private(OWED, json.dumps(note))
