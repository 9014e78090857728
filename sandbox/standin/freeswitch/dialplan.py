"""The dial plan as FreeSWITCH walks it: the first extension that fits and does not say `continue` ends the search."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from typing import NamedTuple

REFERENCE = re.compile(r"\$\{([^}]*)\}")

APPLICATIONS = {
    "set",
    "export",
    "socket",
    "respond",
    "deflect",
    "answer",
    "pre_answer",
    "ring_ready",
    "echo",
    "hangup",
    "transfer",
    "bridge",
    "playback",
}
"""Applications that the rendered dial plan may name."""


class DialplanError(Exception):
    """The dial plan is refused; the text says why."""


class Condition(NamedTuple):
    """`field` against a regular expression; both empty fits every call."""

    field: str
    expression: str
    actions: tuple[tuple[str, str], ...]


class Extension(NamedTuple):
    """Conditions in order; all have to fit."""

    name: str
    goes_on: bool
    conditions: tuple[Condition, ...]


class Dialplan:
    """Contexts by name."""

    def __init__(self) -> None:
        self.contexts: dict[str, tuple[Extension, ...]] = {}

    def add(self, section: ElementTree.Element) -> None:
        """The contexts of a section."""
        for context in section.findall("context"):
            self.contexts[context.get("name", "")] = tuple(read_extension(found) for found in context.findall("extension"))

    def actions(self, context: str, fields: Mapping[str, str]) -> list[tuple[str, str]]:
        """Applications with their data, in the order of execution, for a call with these fields."""
        found: list[tuple[str, str]] = []
        for extension in self.contexts.get(context, ()):
            if not all(fits(condition, fields) for condition in extension.conditions):
                continue
            found += [action for condition in extension.conditions for action in condition.actions]
            if not extension.goes_on:
                break
        return found


def read_extension(element: ElementTree.Element) -> Extension:
    """One `<extension>`, with applications that exist."""
    conditions = []
    for condition in element.findall("condition"):
        actions = tuple((action.get("application", ""), action.get("data", "")) for action in condition.findall("action"))
        for application, _ in actions:
            if application not in APPLICATIONS:
                raise DialplanError(f"dial plan: no application {application}")
        conditions.append(Condition(condition.get("field", ""), condition.get("expression", ""), actions))
    return Extension(element.get("name", ""), element.get("continue") == "true", tuple(conditions))


def fits(condition: Condition, fields: Mapping[str, str]) -> bool:
    """Whether a condition fits; a field that the call lacks is empty."""
    if not condition.field:
        return True
    value = expand(condition.field, fields) if "${" in condition.field else fields.get(condition.field, "")
    return re.search(condition.expression, value) is not None


def expand(text: str, fields: Mapping[str, str]) -> str:
    """`${name}` replaced, by nothing where the call has no such variable."""
    return REFERENCE.sub(lambda match: fields.get(match[1], ""), text)
