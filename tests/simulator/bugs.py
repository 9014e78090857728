"""Words for bugs that an adapter might have, planted in what it registers; a cloud's own stand in its `case.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from provider.values import Properties


@dataclass
class Draft:
    """A registration on its way to the cloud, for tests that plant a bug in it; `forgotten`: it never gets there,
    `retained`: it stays in the cloud when the program lets it go."""

    type: str
    name: str
    inputs: Properties
    protect: bool
    ignore_changes: list[str]
    delete_before_replace: bool
    forgotten: bool = False
    retained: bool = False


Change = Callable[[Draft], None]


@dataclass(frozen=True)
class Bug:
    """What is done to every resource of a type (the end of its token), or to the one whose name fits; `zones`: on the stack over
    several zones; `given`: in a network that the company has."""

    title: str
    type: str
    change: Change
    name: str = ""
    zones: bool = False
    given: bool = False

    def fits(self, draft: Draft) -> bool:
        """Whether the bug goes into this registration."""
        return draft.type.endswith(self.type) and self.name in ("", draft.name)


def put(path: str, value: Any) -> Change:
    """Sets an input; `a.0.b` goes through lists and maps. None takes it away."""
    *way, last = path.split(".")

    def change(draft: Draft) -> None:
        place: Any = draft.inputs
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key: Any = int(last) if isinstance(place, list) else last
        if value is None:
            del place[key]
        else:
            place[key] = value(place[key]) if callable(value) else value

    return change


def each(path: str, choose: Callable[[Any], bool], edit: Callable[[Any], Any]) -> Change:
    """Edits the chosen elements of a list; what `edit` makes None is dropped. At least one has to be chosen."""

    def change(draft: Draft) -> None:
        found = draft.inputs[path]
        assert any(map(choose, found)), f"no such element in {path}: {found}"
        edited = [edit(dict(one)) if choose(one) else one for one in found]
        draft.inputs[path] = [one for one in edited if one is not None]

    return change


def drop(_: Any) -> None:
    """Takes an element away."""


def with_(**values: Any) -> Callable[[Any], Any]:
    """An element with other values."""
    return lambda one: {**one, **values}


def has(**values: Any) -> Callable[[Any], bool]:
    """Whether an element has these values."""
    return lambda one: all(one.get(key) == value for key, value in values.items())


def forget(draft: Draft) -> None:
    draft.forgotten = True


def update(**values: Any) -> Change:
    """Sets inputs, also such as the program leaves out."""
    return lambda draft: draft.inputs.update(values)


RTP = "10000-19999"
OTHER_RTP = "20000-29999"
NEIGHBOUR = "10.20.0.99"
WORLD = "0.0.0.0/0"
