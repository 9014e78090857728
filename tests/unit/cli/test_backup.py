"""`backup` and `backups`: asked of the node that leads the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.commands.destroy import tell_of_buckets
from cli.console import Failure, out
from cli.nodes import access as nodes_access
from cli.nodes import backups
from cli.nodes.access import Answer
from cloud_init.node.backups.jobs import MADE
from cloud_init.node.backups.verify import WHOLE
from cloud_init.node_command import node_command
from components.model.settings import Settings
from tests.plans import make_plan

NONE = {"stanza": "", "earliest": 0.0, "latest": 0.0, "waiting": 0, "verified": 0.0, "backups": []}
ROW = {"label": "20261129-0230F", "kind": "full", "start": 1.0, "stop": 1795900000.0, "size": 3 << 20, "stored": 1 << 20}
KEPT = NONE | {
    "stanza": "s-7",
    "earliest": 1795900000.0,
    "latest": 1795990000.0,
    "waiting": 2,
    "backups": [ROW | {"damaged": False}],
}


@pytest.fixture
def asked() -> list[str]:
    """What the nodes were asked."""
    return []


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> dict[str, Answer]:
    """What each node answers."""
    answers: dict[str, Answer] = {}

    class Nodes:
        nodes: ClassVar = {"data-1": "data-1", "data-2": "data-2"}

    async def ask(_access: Any, _nodes: Any, command: str, *_: Any) -> dict[str, Answer]:
        asked.append(command)
        return answers

    monkeypatch.setattr(nodes_access, "ask_nodes", ask)
    monkeypatch.setattr(backups, "open_database", lambda _: (Nodes(), list(Nodes.nodes)))
    return answers


def test_what_can_be_restored_comes_from_the_node_that_leads(said: dict[str, Answer]) -> None:
    said |= {"data-1": Answer(0, json.dumps(NONE)), "data-2": Answer(0, json.dumps(KEPT))}
    shown = " ".join(CliRunner().invoke(app, ["backups", "local-single"]).stdout.split())
    assert "20261129-0230F" in shown
    assert "any second from 2026-11-28 21:06:40+00 to 2026-11-29 22:06:40+00; 2 pieces of the log wait on data-2" in shown
    document = json.loads(CliRunner().invoke(app, ["backups", "local-single", "--json"]).stdout)
    assert document["node"] == "data-2" and document["backups"][0]["size"] == 3 << 20


def test_what_the_node_could_not_do_is_told(said: dict[str, Answer]) -> None:
    said |= {"data-1": Answer(1, json.dumps({"error": "the bucket refuses the log-in"}))}
    result = CliRunner().invoke(app, ["backups", "local-single"])
    assert isinstance(result.exception, Failure) and "data-1: the bucket refuses the log-in" in str(result.exception)
    said |= {"data-1": Answer(0, json.dumps(NONE))}
    assert "no node leads the database" in str(CliRunner().invoke(app, ["backups", "local-single"]).exception)


def test_a_member_that_is_down_hides_nothing_of_the_one_that_leads(said: dict[str, Answer]) -> None:
    said |= {"data-1": Answer(problem="no answer within 6 s"), "data-2": Answer(0, json.dumps(KEPT))}
    assert "20261129-0230F" in CliRunner().invoke(app, ["backups", "local-single"]).stdout
    said["data-2"] = Answer(0, f"20261129F: 3 bytes, 1 of them {MADE}\n")
    result = CliRunner().invoke(app, ["backup", "local-single"])
    assert result.exit_code == 0 and "data-1: no answer within 6 s" in result.stdout
    said["data-2"] = Answer(0, "another node leads the database, and backs it up\n")
    assert "no answer within 6 s" in str(CliRunner().invoke(app, ["backup", "local-single"]).exception)
    said["data-2"] = Answer(0, json.dumps(NONE))
    told = str(CliRunner().invoke(app, ["backups", "local-single"]).exception)
    assert "data-1: no answer within 6 s" in told and "no node leads the database" in told


def test_one_is_made_now(said: dict[str, Answer]) -> None:
    said |= {"data-1": Answer(0, "a full one begins\n20261129F: 3 bytes\n")}
    assert "data-1: 20261129F: 3 bytes" in CliRunner().invoke(app, ["backup", "local-single", "--full"]).stdout


def test_all_of_it_is_read_and_compared_where_that_is_asked_for(said: dict[str, Answer], asked: list[str]) -> None:
    away = Answer(problem="data-1: no answer")
    said |= {"data-1": away, "data-2": Answer(0, f"{WHOLE}\n")}
    result = CliRunner().invoke(app, ["backup", "--verify", "local-single"])
    assert result.exit_code == 0 and f"data-2: {WHOLE}" in result.stdout
    assert asked == [node_command("verify-backups", "--now")]
    said["data-2"] = Answer(1, "20261129-0230F: damaged\n")
    result = CliRunner().invoke(app, ["backup", "--verify", "local-single"])
    assert isinstance(result.exception, Failure) and "data-2: 20261129-0230F: damaged" in str(result.exception)
    both = CliRunner().invoke(app, ["backup", "--verify", "--full", "local-single"])
    assert isinstance(both.exception, Failure) and "one of them at a time" in str(both.exception) and len(asked) == 2


def test_without_a_bucket_the_settings_are_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["backup", "local-single"])
    assert isinstance(result.exception, Failure) and "set webitel:backup.url" in str(result.exception)


def test_destroy_says_that_backups_stay() -> None:
    def said(**backup: object) -> str:
        settings = Settings.model_validate({"cloud": "aws", "tier": "single", "backup": backup})
        with out.capture() as capture:
            tell_of_buckets(make_plan(settings, "s"), settings)
        return " ".join(capture.get().split())

    assert said() == ""
    assert said(bucket="acme", kept_buckets=["older"]).startswith("Backups stay, in acme, older: whoever needs them no more")
