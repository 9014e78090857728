"""The documents of `--json`. Their names are promised in docs/operate/json.md: fields are added, never renamed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cli.cloud.check import Check
    from cli.drills.run import Outcome
    from cli.engine.changes import Changes
    from cli.hosts.finding import Finding as HostFinding
    from cli.smoke.check import Row
    from components.model.report import Reports

Document = dict[str, Any]


def print_document(document: object) -> None:
    """Print a document on standard output, where nothing else may stand."""
    print(json.dumps(document, indent=2))


def status_document(stack: str, url: str, healthy: bool, reports: Reports, warnings: Collection[str] = ()) -> Document:
    """Return what `status` knows; `nodes` by key."""
    nodes = {key: report.as_json() for key, report in reports.items()}
    return {"stack": stack, "healthy": healthy, "url": url, "warnings": list(warnings), "nodes": nodes}


def preview_document(stack: str, changes: Changes) -> Document:
    """Return what `up` would change: resources, and lines of files on nodes that are there already."""
    from cli.engine.changes import OPERATIONS, diff_files

    return {
        "stack": stack,
        "changes": {operation: changes.count(operation) for operation in OPERATIONS},
        "resources": [
            {"operation": one.operation, "type": one.type, "name": one.name, "inputs": list(one.inputs)}
            for one in changes.resources
        ],
        "files": [{"path": diff.path, "nodes": list(diff.nodes), "lines": list(diff.lines)} for diff in diff_files(changes)],
    }


def drift_document(
    stack: str,
    changed: Collection[str],
    unknown: Collection[str],
    waiting: Mapping[str, Mapping[str, str]],
    *,
    nodes: bool,
) -> Document:
    """Return what was changed outside `webitel`; `nodes_asked` tells whether the nodes were looked at as well."""
    return {
        "stack": stack,
        "drift": bool(changed),
        "changed": list(changed),
        "unknown": list(unknown),
        "nodes_asked": nodes,
        "security_updates": {key: dict(packages) for key, packages in waiting.items()},
    }


def backups_document(stack: str, node: str, kept: Mapping[str, Any]) -> Document:
    """Return what can be restored, as the node says that leads the database."""
    return {
        "stack": stack,
        "node": node,
        "earliest": kept["earliest"],
        "latest": kept["latest"],
        "waiting": kept["waiting"],
        "verified": kept.get("verified", 0.0),  # a node of before knows nothing of it
        "backups": [dict(row) for row in kept["backups"]],
    }


def doctor_document(stack: str, checks: Sequence[Check]) -> Document:
    """Return what `doctor` looked at; `ready` where nothing is in the way of `up`."""
    return {
        "stack": stack,
        "ready": all(check.state != "MISSING" for check in checks),
        "checks": [
            {"name": check.name, "state": check.state.lower(), "found": check.found, "remedy": check.mend} for check in checks
        ],
    }


def hosts_document(stack: str, findings: Sequence[HostFinding]) -> Document:
    """Return what was looked at on given hosts; `ready` where none is refused."""
    return {
        "stack": stack,
        "ready": all(one.state != "fail" for one in findings),
        "findings": [asdict(one) for one in findings],
    }


def drill_document(outcomes: Sequence[Outcome]) -> list[Document]:
    """Return an entry a drill."""
    return [asdict(outcome) for outcome in outcomes]


def smoke_document(stack: str, passed: bool, seen_as: str, seconds: float, rows: Sequence[Row]) -> Document:
    """Return an entry a question; `seen_as` is this machine's address as the nodes see it."""
    checks = [asdict(row) | {"figures": dict(row.figures)} for row in rows]
    return {"stack": stack, "passed": passed, "seen_as": seen_as, "seconds": round(seconds, 1), "checks": checks}
