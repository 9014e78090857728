"""From the engine's events to rows, errors and times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cli.engine.events import EventLog, Rollout, is_same_step, noun
from cli.show.times import STAGES, measure_stages
from tests.plans import load_stack

NODES = load_stack("local-basic").plan.nodes


def urn(kind: str, name: str) -> str:
    """A resource's name inside the engine, below two components."""
    return f"urn:pulumi:local-basic::webitel::webitel:Cloud$webitel:Node${kind}::{name}"


def step(event: str, operation: str, kind: str, name: str, when: int = 0) -> dict[str, Any]:
    """An event about a resource's operation."""
    return {"timestamp": when, event: {"metadata": {"op": operation, "urn": urn(kind, name), "new": {"custom": True}}}}


def message(name: str, text: str, when: int = 0, **more: Any) -> dict[str, Any]:
    """An event with a text about a node's configuration."""
    return {
        "timestamp": when,
        "diagnosticEvent": {"urn": urn("webitel:index:NodeConfiguration", name), "message": text, "severity": "info", **more},
    }


def feed(*events: dict[str, Any]) -> Rollout:
    """A rollout that has seen those events."""
    rollout = Rollout(NODES)
    for event in events:
        rollout.feed(event)
    return rollout


def test_resources_become_rows_of_their_nodes_in_the_order_of_the_plan() -> None:
    rollout = feed(
        step("resourcePreEvent", "create", "webitel:index:LocalMachine", "edge-1"),
        step("resourcePreEvent", "create", "webitel:index:LocalDisk", "local-basic-data-1-recordings"),
        step("resourcePreEvent", "create", "webitel:index:Secrets", "secrets"),
        step("resourcePreEvent", "same", "webitel:index:LocalMachine", "app-1"),
        step("resourcePreEvent", "create", "pulumi:pulumi:Stack", "webitel-local-basic"),
        {"resourcePreEvent": {"metadata": {"op": "create", "urn": urn("webitel:index:Cloud", "local"), "new": {}}}},
    )
    assert list(rollout.rows) == ["local-basic-data-1", "local-basic-edge-1", "secrets"]
    assert rollout.rows["local-basic-edge-1"].step == "creating local machine"


def test_progress_is_the_step_of_the_node() -> None:
    rollout = feed(
        step("resourcePreEvent", "create", "webitel:index:NodeConfiguration", "data-1"),
        message("data-1", "<{%reset%}>packages 3/30<{%reset%}>\n", ephemeral=True),
    )
    assert rollout.rows["local-basic-data-1"].step == "packages 3/30"
    assert not rollout.errors
    assert is_same_step("packages 3/30", "packages 30/30")
    assert not is_same_step("packages", "start nginx")


def test_failures_keep_their_node_and_whole_text() -> None:
    rollout = feed(
        step("resourcePreEvent", "create", "webitel:index:NodeConfiguration", "data-1"),
        message("data-1", "1 error occurred:\n\t* local-basic-data-1: rabbitmq-server failed\n  last line\n", severity="error"),
        step("resOpFailedEvent", "create", "webitel:index:NodeConfiguration", "data-1"),
        {"diagnosticEvent": {"urn": "", "message": "update failed", "severity": "error"}},
    )
    assert rollout.rows["local-basic-data-1"].failed
    assert str(rollout.errors[0]) == "local-basic-data-1: rabbitmq-server failed\n  last line"


def test_a_row_ends_with_its_last_resource() -> None:
    kinds = ("webitel:index:LocalDisk", "webitel:index:LocalMachine")
    begun = [step("resourcePreEvent", "create", kind, "data-1", 10) for kind in kinds]
    rollout = feed(*begun, step("resOutputsEvent", "create", kinds[0], "data-1", 12))
    row = rollout.rows["local-basic-data-1"]
    assert row.seconds(15) == 5
    rollout.feed(step("resOutputsEvent", "create", kinds[1], "data-1", 14))
    assert row.ended == 14 and row.seconds(99) == 4


def test_stages_share_out_all_the_time() -> None:
    rollout = feed(
        step("resourcePreEvent", "create", "webitel:index:LocalMachine", "data-1", 100),
        step("resourcePreEvent", "create", "webitel:index:NodeConfiguration", "data-1", 103),
        message("data-1", "waiting for SSH: refused", 104, ephemeral=True),
        message("data-1", "packages 1/30", 109, ephemeral=True),
        message("data-1", "files 3 of 30 to write", 147, ephemeral=True),
        message("data-1", "start consul", 148, ephemeral=True),
        message("data-1", "waiting for rabbitmq: no quorum", 150, ephemeral=True),
    )
    stages = measure_stages(rollout.rows["local-basic-data-1"], 172)
    assert stages == [("boot", 9), ("packages", 39), ("services", 24)]


def test_nouns() -> None:
    assert noun(urn("webitel:index:NodeConfiguration", "x")) == "node configuration"
    assert noun(urn("aws:ec2/vpc:Vpc", "x")) == "vpc"
    assert noun(urn("azure-native:network:PublicIPAddress", "x")) == "public ip address"


def test_the_log_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    log = EventLog(path)
    assert list(log.read()) == []
    line = json.dumps({"summaryEvent": {"resourceChanges": {"create": 3}}})
    path.write_text(line[:10])
    assert list(log.read()) == []
    with path.open("a") as file:
        file.write(line[10:] + "\n\n{}\n")
    rollout = feed(*log.read())  # type: ignore[arg-type]
    assert rollout.changes == {"create": 3}
    assert list(log.read()) == []


def test_starting_a_container_is_no_service_being_started() -> None:
    patterns = dict(STAGES)
    assert patterns["services"].search("start consul") and not patterns["services"].search("starting container")
