"""Inputs of resources as rules read them, whatever shape they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Inputs = Mapping[str, Any]


class Unknown:
    """What a preview does not know yet. It counts as nothing, but its place is there."""

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = Unknown()


def maps_of(values: Any) -> list[Inputs]:
    """Return the maps of a list; an unknown list of a preview has none."""
    return [one for one in values if isinstance(one, Mapping)] if isinstance(values, list | tuple) else []


def texts_of(*values: Any) -> list[str]:
    """Return the texts among values and lists of values, without what is not known yet."""
    found: list[str] = []
    for value in values:
        found += [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
        found += [value] if isinstance(value, str) and value else []
    return found


def reach(inputs: Inputs, path: str) -> Any:
    """Return the value at a dotted path, None without one."""
    value: Any = inputs
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
