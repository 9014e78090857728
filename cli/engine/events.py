"""The engine's events as a picture of the rollout: for every node its step and times, and what failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.model.plan import Node

VERBS = {
    "create": "creating",
    "update": "changing",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "creating",
    "delete-replaced": "deleting",
    "import": "adopting",
    "refresh": "reading",
}
"""The engine's operations that do something."""

CREATIONS = ("create", "create-replacement")
DELETIONS = ("delete", "delete-replaced")

COLOUR = re.compile(r"<\{%.*?%\}>")
LIST_OF_ONE = re.compile(r"\A1 error occurred:\s*\* ")
"""What the engine puts before the only error of a resource."""
STEP_NUMBERS = re.compile(r"[\d/.]+")


@dataclass
class Row:
    """A node, or a part of the deployment that is no node. `steps` are (time, text), oldest first."""

    name: str
    steps: list[tuple[float, str]] = field(default_factory=list)
    running: set[str] = field(default_factory=set)
    ended: float | None = None
    failed: bool = False

    @property
    def started(self) -> float:
        """When its first resource was begun, in seconds since the epoch."""
        return self.steps[0][0]

    @property
    def step(self) -> str:
        """Return what is done now."""
        return self.steps[-1][1]

    def seconds(self, now: float) -> float:
        """Return how long it has been worked on."""
        return (self.ended or now) - self.started


@dataclass(frozen=True)
class Error:
    """A message about a resource; `name` is a node's or a resource's, empty for the run as a whole."""

    name: str
    text: str

    def __str__(self) -> str:
        return self.text if not self.name or self.text.startswith(self.name) else f"{self.name}: {self.text}"


class Rollout:
    """What the events so far say. Rows are nodes in the order of the plan, then the other parts as they come."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.rows: dict[str, Row] = {}
        self.errors: list[Error] = []
        self.warnings: list[Error] = []
        self.changes: Mapping[str, int] = {}
        self.failed_creations: dict[str, Mapping[str, Any]] = {}
        """What was to be created, by URN, inputs too: secret ones are masked."""
        self.failed_deletions: list[str] = []
        """What was to be deleted, by URN."""
        self.errors_of: dict[str, list[str]] = {}
        """Texts by URN."""

    def feed(self, event: Mapping[str, Any]) -> Row | None:
        """Take one event; returns the row that has a new step."""
        when = float(event.get("timestamp", 0))
        if "resourcePreEvent" in event:
            return self.begin(event["resourcePreEvent"]["metadata"], when)
        if "resOutputsEvent" in event:
            self.end(event["resOutputsEvent"]["metadata"], when)
        if "resOpFailedEvent" in event:
            metadata = event["resOpFailedEvent"]["metadata"]
            self.end(metadata, when, failed=True)
            if metadata.get("op") in CREATIONS:
                self.failed_creations[metadata["urn"]] = metadata["new"]
            elif metadata.get("op") in DELETIONS:
                self.failed_deletions.append(metadata["urn"])
        if "diagnosticEvent" in event:
            return self.note(event["diagnosticEvent"], when)
        if "summaryEvent" in event:
            self.changes = event["summaryEvent"].get("resourceChanges") or {}
        return None

    def begin(self, metadata: Mapping[str, Any], when: float) -> Row | None:
        """Take the beginning of a resource's operation."""
        urn, operation = metadata["urn"], metadata["op"]
        resource = metadata.get("new") or metadata.get("old") or {}
        # Components say nothing of themselves; the engine leaves the field out where it is false.
        if operation not in VERBS or not is_shown(urn) or not resource.get("custom"):
            return None
        row = self.row(urn)
        row.running.add(urn)
        row.ended = None
        row.steps.append((when, f"{VERBS[operation]} {noun(urn)}"))
        return row

    def end(self, metadata: Mapping[str, Any], when: float, failed: bool = False) -> None:
        """Take the end of a resource's operation."""
        row = self.rows.get(self.row_name(metadata["urn"]))
        if row is None:
            return
        row.running.discard(metadata["urn"])
        row.failed = row.failed or failed
        if not row.running:
            row.ended = when

    def note(self, diagnostic: Mapping[str, Any], when: float) -> Row | None:
        """Take a message: progress if it is ephemeral, else something the user must see."""
        text = LIST_OF_ONE.sub("", COLOUR.sub("", diagnostic.get("message", "")).strip())
        urn = diagnostic.get("urn", "")
        if not text:
            return None
        if diagnostic.get("ephemeral"):
            row = self.rows.get(self.row_name(urn)) if urn else None
            if row is None or (row.steps and row.step == text):
                return None
            row.steps.append((when, text))
            return row
        message = Error(self.row_name(urn) if urn and is_shown(urn) else "", text)
        if diagnostic.get("severity") == "error":
            self.errors.append(message)
            self.errors_of.setdefault(urn, []).append(text)
        elif diagnostic.get("severity") == "warning":
            self.warnings.append(message)
        return None

    def row(self, urn: str) -> Row:
        """Return the row a resource belongs to, made if it is new."""
        name = self.row_name(urn)
        if name not in self.rows:
            self.rows[name] = Row(name)
            order = {node.name: position for position, node in enumerate(self.nodes)}
            self.rows = dict(sorted(self.rows.items(), key=lambda item: order.get(item[0], len(order))))
        return self.rows[name]

    def row_name(self, urn: str) -> str:
        """Return the node whose name the resource's name begins with, else what the resource is."""
        name = urn.rpartition("::")[2]
        for node in sorted(self.nodes, key=lambda node: -len(node.name)):
            for own in (node.name, node.key):
                if name == own or name.startswith(f"{own}-"):
                    return node.name
        return noun(urn)


def is_shown(urn: str) -> bool:
    """Return whether a resource means anything to a person: the stack and providers of resources do not."""
    return not resource_type(urn).startswith("pulumi:")


def resource_type(urn: str) -> str:
    """Return such as `webitel:index:NodeConfiguration` of `urn:pulumi:stack::project::parents$type::name`."""
    return urn.split("::")[2].rpartition("$")[2] if urn.count("::") >= 3 else ""


def noun(urn: str) -> str:
    """Return such as `node configuration` of a resource of type `webitel:index:NodeConfiguration`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", resource_type(urn).rpartition(":")[2])
    return " ".join(words).lower()


def name_of(urn: str) -> str:
    """Return the name of a resource."""
    return urn.rpartition("::")[2]


def is_same_step(one: str, other: str) -> bool:
    """Return whether two steps differ in their figures only: `packages 3/30` and `packages 4/30`."""
    return without_figures(one) == without_figures(other)


def without_figures(step: str) -> str:
    """Return what a step has in common with the ones before and after it."""
    return STEP_NUMBERS.sub("", step)


class EventLog:
    """The engine's event log, read while it is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.rest = b""

    def read(self) -> Iterator[Mapping[str, Any]]:
        """Yield the events written since the last call; a line half written waits for the next."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            data = file.read()
        self.position += len(data)
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
