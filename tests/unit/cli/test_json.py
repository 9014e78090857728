"""The documents of `--json`: what was promised stays, and all of it is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from cli.__main__ import app
from cli.cloud.check import Check
from cli.drills.run import Outcome
from cli.engine.changes import Changes, read_change
from cli.hosts.finding import Finding
from cli.show.documents import (
    backups_document,
    doctor_document,
    drift_document,
    drill_document,
    hosts_document,
    preview_document,
    smoke_document,
    status_document,
)
from cli.smoke.check import Row
from components.model import resource_types
from tests.unit.test_pages import documented


def sample_changes() -> Changes:
    """Return the change of one file on one node."""
    old, new = ({"files": {"/etc/nginx/nginx.conf": text}} for text in ("a\n", "b\n"))
    return Changes(
        [
            read_change(
                {
                    "op": "update",
                    "type": resource_types.CONFIGURATION,
                    "urn": "u::data-1",
                    "diffs": ["files"],
                    "old": {"inputs": old},
                    "new": {"inputs": new},
                }
            )
        ]
    )


SIZES = {"size": 3, "stored": 4, "timeline": 1, "end": 5}
BACKUP = {"label": "l", "kind": "full", "start": 1.0, "stop": 2.0, "damaged": False, **SIZES}
DOCUMENTS: dict[str, Any] = {
    "preview": preview_document("s", sample_changes()),
    "drift": drift_document("s", ["app-1 /etc/hosts changed"], [], {}, nodes=True),
    "backups": backups_document("s", "all-1", {"earliest": 1.0, "latest": 2.0, "waiting": 0, "backups": [BACKUP]}),
    "doctor": doctor_document("s", [Check("memory", "2 GiB", "take a smaller tier")]),
    "drill": drill_document([Outcome("kill-leader", "data-1")]),
    "hosts check": hosts_document("s", [Finding("app-1", "memory", "warn", "15 GiB", "16 GiB", "give it more")]),
    "smoke": smoke_document("s", True, "192.0.2.7", 3.1, [Row("sip", "udp:192.0.2.1:5060", "pass", "200 OK", "", {"ms": 3.0})]),
    "status": status_document("s", "https://voice.example.com/", True, {}),
}
IN_OTHER_WORDS = {"plan", "up"}
"""`plan` is compared with its page in `tests/unit/test_pages.py`, and `up` prints what `status` does."""

PROMISED = {
    "preview": {
        "stack",
        "changes",
        "resources",
        "files",
        "create",
        "update",
        "replace",
        "delete",
        "operation",
        "type",
        "name",
        "inputs",
        "path",
        "nodes",
        "lines",
    },
    "drift": {"stack", "drift", "changed", "unknown", "nodes_asked", "security_updates"},
    "backups": {"stack", "node", "earliest", "latest", "waiting", "verified", "backups", *BACKUP},
    "doctor": {"stack", "ready", "checks", "name", "state", "found", "remedy"},
    "drill": {field.name for field in fields(Outcome)},
    "hosts check": {"stack", "ready", "findings", *(field.name for field in fields(Finding))},
    "smoke": {
        "stack",
        "passed",
        "seen_as",
        "seconds",
        "checks",
        "check",
        "target",
        "state",
        "found",
        "remedy",
        "figures",
        "ms",
    },
    "status": {"stack", "healthy", "url", "warnings", "nodes"},
}


def names(value: object) -> Iterator[str]:
    """Yield every name in a document."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from names(inner)


def test_every_command_with_json_is_promised() -> None:
    commands: dict[str, Any] = dict(get_command(app).commands)  # type: ignore[attr-defined]
    for name, group in list(commands.items()):
        commands |= {f"{name} {below}": command for below, command in getattr(group, "commands", {}).items()}
    found = {name for name, command in commands.items() if any("--json" in option.opts for option in command.params)}
    assert found - IN_OTHER_WORDS == DOCUMENTS.keys()


@pytest.mark.parametrize("command", DOCUMENTS)
def test_names_are_as_promised(command: str) -> None:
    found = set(names(DOCUMENTS[command]))
    assert found == PROMISED[command]
    assert found - documented(command) == set()


def test_values() -> None:
    assert DOCUMENTS["preview"]["changes"] == {"create": 0, "update": 1, "replace": 0, "delete": 0}
    assert DOCUMENTS["preview"]["files"] == [
        {"path": "/etc/nginx/nginx.conf", "nodes": ["data-1"], "lines": ["@@ -1 +1 @@", "-a", "+b"]}
    ]
    assert DOCUMENTS["drift"]["drift"] is True
    assert DOCUMENTS["doctor"]["ready"] is False
    assert DOCUMENTS["doctor"]["checks"][0]["state"] == "missing"


@pytest.mark.parametrize("words", [("plan", "local-single"), ("doctor", "local-single")])
def test_nothing_else_is_printed(words: tuple[str, str]) -> None:
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["stack"] == words[1]
