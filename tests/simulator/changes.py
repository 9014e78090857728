"""What a change of inputs does, by the schema: nothing, an update or a replacement."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from provider.server import UNKNOWN, Changes, Properties
from tests.simulator.conditions import SOURCES, Spec, needs_replacement
from tests.simulator.schema import Schema

DEFAULTS = "__defaults"
"""The input in which a bridged provider notes what it filled in."""


def find_changes(schema: Schema, type: str, old: Properties, new: Properties) -> Changes:
    """The inputs that changed, and those of them that need a new resource.

    A bridged provider deletes first where the program chose a name that stays; azure-native always does (both from
    memory, not verified).
    """
    changed, replaces = [], []
    for name, spec in schema.inputs(type).items():
        if is_changed(schema, spec, old.get(name), new.get(name)):
            changed.append(name)
            if _replaces(schema, spec, old, new, name):
                replaces.append(name)
    return Changes(changed, replaces, bool(replaces) and (not schema.bridged or _has_own_name(schema, type, old, new)))


def _has_own_name(schema: Schema, type: str, old: Properties, new: Properties) -> bool:
    generated = new.get(DEFAULTS) or ()
    return any(
        "autoName" in spec and name not in generated and new.get(name) is not None and old.get(name) == new[name]
        for name, spec in schema.inputs(type).items()
    )


def is_changed(schema: Schema, spec: Spec, old: Any, new: Any) -> bool:
    """Whether two values of an input differ for the provider."""
    if old == new and UNKNOWN not in (old, new):
        return False
    if new is None and spec.get("computed"):
        return False  # what the cloud chose stays
    nested = schema.nested(spec)
    if nested and isinstance(old, dict) and isinstance(new, dict):
        return any(is_changed(schema, s, old.get(name), new.get(name)) for name, s in nested.items())
    if isinstance(old, list) and isinstance(new, list):
        if spec.get("elemCheck") == SOURCES and UNKNOWN not in (*old, *new):
            return [ip_network(text) for text in old] != [ip_network(text) for text in new]
        if keys := spec.get("identifiers"):
            old, new = (sorted(each, key=lambda item: str([item.get(key) for key in keys])) for each in (old, new))
        if nested and len(old) == len(new):
            return any(is_changed(schema, {"type": spec["type"][6:-1]}, *pair) for pair in zip(old, new, strict=True))
    if spec.get("ignoreCase") and isinstance(old, str) and isinstance(new, str):
        return old.replace(" ", "").lower() != new.replace(" ", "").lower()
    return bool(old != new) or new is UNKNOWN


def _replaces(schema: Schema, spec: Spec, old: Properties, new: Properties, name: str) -> bool:
    if not schema.bridged:
        return bool(spec.get("replaces"))  # azure-native: the listed fields, with all that is inside them
    before, after = old.get(name), new.get(name)
    nested = schema.nested(spec)
    if nested is None or UNKNOWN in (before, after):
        return needs_replacement(spec, old, new, name)
    olds, news = (_as_list(value) for value in (before, after))
    if len(olds) != len(news) and spec.get("replaces"):
        return True
    return any(
        is_changed(schema, inner, a.get(key), b.get(key)) and _replaces(schema, inner, a, b, key)
        for a, b in zip(olds, news, strict=False)
        if isinstance(a, dict) and isinstance(b, dict)
        for key, inner in nested.items()
    )


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
