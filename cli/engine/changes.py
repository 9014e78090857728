"""What a preview would change, from the engine's event stream: resources by operation, and lines of files."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.engine.engine import STACK_TYPE
from cli.engine.events import is_shown, noun
from components.model import resource_types

OPERATIONS = ("create", "update", "replace", "delete")
OUTLINE = "plan"
"""The stack's output with `components/model/planning/outline.py`."""

TEXTS = {
    "manifest": "packages, units, disks and probes",
    "attributes": "modes, owners and actions of files",
    "bundles": "bundles",
    "devices": "devices of data disks",
}
"""Inputs of a configuration beside its files that are worth a diff, and what they are called."""


@dataclass(frozen=True)
class Change:
    """What would happen to one resource. `inputs` are the names of those that differ, `old` and `new` their values before
    and after, secrets as `[secret]`."""

    operation: str
    type: str
    name: str
    inputs: tuple[str, ...]
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    def __str__(self) -> str:
        why = f" ({', '.join(self.inputs)})" if self.inputs and self.operation != "create" else ""
        return f"{self.operation} {noun(f'::::{self.type}::')} {self.name}{why}"


@dataclass
class Changes:
    """All changes of one preview in the engine's order. `before` is the outline of what is up, None where it is not
    known; `is_new`: nothing is up."""

    resources: list[Change] = field(default_factory=list)
    before: Mapping[str, Any] | None = None
    is_new: bool = True

    def count(self, operation: str) -> int:
        """Return how many resources."""
        return sum(change.operation == operation for change in self.resources)

    def names(self, operation: str, type: str) -> list[str]:
        """Return the names of the resources of a type."""
        return [change.name for change in self.resources if (change.operation, change.type) == (operation, type)]


def read_changes(events: Iterable[Mapping[str, Any]]) -> Changes:
    """Return the changes that a preview's events tell."""
    changes = Changes()
    for event in events:
        if "resourcePreEvent" in event:
            metadata = event["resourcePreEvent"]["metadata"]
            resource = metadata.get("new") or metadata.get("old") or {}
            if metadata["op"] in OPERATIONS and resource.get("custom") and is_shown(metadata["urn"]):
                changes.resources.append(read_change(metadata))
            # What is read, and the stack itself, may be there before anything of ours is.
            changes.is_new &= not (metadata.get("old") and resource.get("custom") and metadata["op"] != "read")
        if "resOutputsEvent" in event and event["resOutputsEvent"]["metadata"]["type"] == STACK_TYPE:
            old = event["resOutputsEvent"]["metadata"].get("old") or {}
            found = (old.get("outputs") or {}).get(OUTLINE)
            changes.before = found if isinstance(found, Mapping) else None
    return changes


def read_change(metadata: Mapping[str, Any]) -> Change:
    """Return one resource's change; the engine tells of a replacement in three steps, of which `replace` is one."""
    old, new = ((metadata.get(side) or {}).get("inputs") or {} for side in ("old", "new"))
    return Change(
        metadata["op"], metadata["type"], metadata["urn"].rpartition("::")[2], tuple(metadata.get("diffs") or ()), old, new
    )


@dataclass(frozen=True)
class FileDiff:
    """Changed lines of one text, and the nodes on which they change so."""

    path: str
    nodes: tuple[str, ...]
    lines: tuple[str, ...]


def diff_files(changes: Changes) -> list[FileDiff]:
    """Return what changes in the texts of nodes that are there already; equal diffs of several nodes stand together."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for change in changes.resources:
        if change.type == resource_types.CONFIGURATION and change.operation == "update":
            for path, lines in diff_configuration(change.old, change.new):
                found.setdefault((path, lines), []).append(change.name)
    return [FileDiff(path, tuple(nodes), lines) for (path, lines), nodes in found.items()]


def diff_configuration(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield path and changed lines of every text that differs."""
    before, after = (list_texts(inputs) for inputs in (old, new))
    for path in sorted(before.keys() | after.keys()):
        was, becomes = (side.get(path, "").splitlines() for side in (before, after))
        if was != becomes:
            yield path, tuple(difflib.unified_diff(was, becomes, "before", "after", lineterm=""))[2:]


def list_texts(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a configuration: its files, and its other inputs as JSON."""
    files = inputs.get("files")
    texts = {path: str(text) for path, text in files.items()} if isinstance(files, Mapping) else {}
    return texts | {
        title: json.dumps(inputs[name], indent=1, sort_keys=True) for name, title in TEXTS.items() if inputs.get(name)
    }
