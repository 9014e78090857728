"""Whether a machine runs, and how it is started; a cloud's own words stand in its folder's `power.py`.

A machine that is off is no change of any input: a refresh does not see it, and no provider starts it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from components.clouds.adoption import Setting

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """A POST to the cloud's own interface. `token` is the bearer's, or comes as `field` from a function of the provider."""

    url: str
    body: Values
    token: str = ""
    function: str = ""
    field: str = ""


@dataclass(frozen=True)
class Switch:
    """A resource whose creation starts the machine and whose end changes nothing: for an interface that wants signed calls."""

    type: str
    inputs: Values


@dataclass(frozen=True)
class Direct:
    """A start that `run` does itself. Raises OSError with the interface's own words."""

    run: Callable[[], object]


@dataclass(frozen=True)
class Power:
    """`function` of the provider tells of the machine by `arguments` of its id; `state` finds the word in its answer, `off`
    are the words for a machine that does not run and never will by itself, `stopping` those of them with which the cloud
    refuses a start, until the machine has come down. `start` is made of id and word. `tell` returns the word by id
    where the provider has no function for it, and raises OSError."""

    function: str
    arguments: Callable[[str], Values]
    state: Callable[[Values], str]
    off: frozenset[str]
    start: Callable[[str, str, Setting], Request | Switch | Direct]
    stopping: frozenset[str] = frozenset()
    tell: Callable[[str, Setting], str] | None = None
