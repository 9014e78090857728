"""`restore`: what it refuses, what it asks, and in which order it has the nodes do what."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.console import Failure
from cli.nodes import access, backups, restoring
from cli.nodes.access import Answer

NOW = time.time()
NOTHING = {"leads": False, "begun": "", "stage": "", "problem": "", "earliest": 0.0, "size": 0, "free": 1 << 40, "kept": 0}
THERE = NOTHING | {"leads": True, "earliest": NOW - 86400, "size": 1 << 20}
AWAY = "no answer within 6 s"


class Nodes:
    """Two members of a database, and an edge."""

    nodes: ClassVar = {key: SimpleNamespace(key=key, name=key) for key in ("data-1", "data-2", "edge-1")}

    def node(self, name: str) -> Any:
        return access.Access.node(self, name)  # type: ignore[arg-type]


@dataclass
class World:
    """What was asked of which nodes and what they know; data-2 leads."""

    known: dict[str, Any] = field(default_factory=lambda: {"data-1": NOTHING, "data-2": THERE})
    steps: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    refuses: str = ""
    fails: str = ""

    async def ask(self, _: object, nodes: list[Any], command: str, __: float, text: str = "") -> dict[str, Answer]:
        words = command.replace("'", "").partition(" restore ")[2].split() or ["true"]
        keys = [node.key for node in nodes]
        if keys and words[0] not in ("true", "check"):
            self.steps.append(f"{words[0]}: {' '.join(keys)}" + (f" ({text})" if text else ""))
        if words[0] == self.fails:
            error = json.dumps({"error": "the disk is full"})
            return {key: Answer(1, f"to {NOW}\n{error}\n") for key in keys}
        return {
            key: Answer(problem=AWAY)
            if key in self.silent
            else Answer(0, json.dumps(self.known[key]) if words[0] == "check" else "")
            for key in keys
        }

    @asynccontextmanager
    async def hold(self, _: object, nodes: list[str], __: str) -> AsyncIterator[None]:
        if self.refuses:
            raise Failure(self.refuses)
        self.held += nodes
        yield
        self.steps.append("let go")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(backups, "open_database", lambda _: (Nodes(), ["data-1", "data-2"]))
    for module in (access, restoring):
        monkeypatch.setattr(module, "ask_nodes", made.ask)
    monkeypatch.setattr(restoring, "hold", made.hold)
    monkeypatch.setattr(time, "time", lambda: NOW)
    return made


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["restore", "local-single", *words])


PLACING = ["stop-database: data-1", "stop-database: data-2", "place: data-2"]


def test_it_is_proved_first_and_followers_stop_before_the_leader(world: World) -> None:
    result = run("--at", at(-600), "--yes")
    assert result.exit_code == 0, result.output
    assert "10 minutes until now" in result.stdout and "first backup begins by itself" in result.stdout
    everybody = "data-1 data-2 edge-1"
    assert world.steps == [
        "prepare: data-2",
        "ready: data-2",
        f"stop: {everybody}",
        *PLACING,
        "follow: data-1",
        f"start: {everybody}",
        "let go",
    ]
    assert world.held == everybody.split()


def test_a_node_that_does_not_answer_is_named_before_anything_is_done(world: World) -> None:
    world.silent.append("edge-1")
    result = run("--at", at(-600), "--yes")
    assert isinstance(result.exception, Failure) and f"all nodes are needed: edge-1: {AWAY}" in str(result.exception)
    assert world.steps == []


def test_a_lost_member_is_left_out_where_that_is_asked_for_and_only_then(world: World) -> None:
    world.silent.append("data-1")
    refused = run("--at", at(-600), "--yes").exception
    assert "all nodes are needed: data-1" in str(refused) and "--without data-1" in str(refused)
    assert "--without edge-1: it answers" in str(run("--at", at(-600), "--without", "edge-1", "--yes").exception)
    assert "no node data-9" in str(run("--at", at(-600), "--without", "data-9", "--yes").exception)
    assert "--without does not go with --recordings" in str(run("--recordings", "--without", "data-1").exception)
    assert world.steps == []
    result = run("--at", at(-600), "--without", "data-1", "--yes")
    assert result.exit_code == 0, result.output
    assert "Left out: data-1. Be sure that it is off or gone" in " ".join(result.stdout.split())
    assert world.steps == [
        "prepare: data-2",
        "ready: data-2",
        "leave-out: data-2 (data-1)",
        "stop: data-2 edge-1",
        "stop-database: data-2",
        "place: data-2",
        "start: data-2 edge-1",
        "let go",
    ]


def test_a_lost_node_without_a_database_is_left_out_and_nobody_is_copied_anew(world: World) -> None:
    world.silent.append("edge-1")
    result = run("--at", at(-600), "--without", "edge-1", "--yes")
    assert result.exit_code == 0 and "Left out" not in result.stdout
    assert "follow: data-1" in world.steps and not any("leave-out" in step for step in world.steps)


def test_where_the_lost_member_is_at_work_nothing_is_stopped(world: World) -> None:
    world.silent.append("data-1")
    world.fails = "leave-out"
    assert run("--at", at(-600), "--without", "data-1", "--yes").exit_code == 1
    assert world.steps == ["prepare: data-2", "ready: data-2", "leave-out: data-2 (data-1)"]


def test_a_member_that_went_silent_while_it_was_cut_off_does_not_come_back_with_what_it_had(world: World) -> None:
    world.known["data-2"] = NOTHING | {"begun": BEGUN, "stage": "placed"}
    world.silent.append("data-1")
    assert run("--at", at(-600)).exit_code == 0
    assert world.steps[2] == "leave-out: data-2 (data-1)" and "follow" not in " ".join(world.steps)


def test_what_another_run_works_on_is_left_alone(world: World) -> None:
    world.refuses = "nothing was stopped: data-1: up is at work"
    result = run("--at", at(-600), "--yes")
    assert world.refuses in str(result.exception) and world.steps == ["prepare: data-2"]


def test_another_restore_that_came_between_is_noticed_before_anything_is_stopped(world: World) -> None:
    world.fails = "ready"
    result = run("--at", at(-600), "--yes")
    assert world.steps[:2] == ["prepare: data-2", "ready: data-2"] and not any("stop" in step for step in world.steps)
    assert "Services stand still" not in result.stderr


def test_the_error_of_a_step_is_told_without_the_lines_before_it(world: World) -> None:
    world.fails = "prepare"
    result = run("--at", at(-600), "--yes")
    assert str(result.exception) == "data-2: the disk is full" and world.steps == ["prepare: data-2"]


def test_where_it_stops_in_the_middle_it_is_said_that_services_stand_still(world: World) -> None:
    world.fails = "place"
    result = run("--at", at(-600), "--yes")
    assert "data-2: the disk is full" in str(result.exception) and "Services stand still" in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "to which second?"),
        (("--at", "yesterday"), "--at yesterday: not a time; use one such as"),
        (("--at", "2026-11-29 12:00"), "says no offset from UTC; use one such as '2026-11-29 12:00+00'"),
        (("--at", at(-90000), "--yes"), "there is nothing of that time; it can be from"),
        (("--at", at(600), "--yes"), "there is nothing of that time; it can be from"),
        (("--at", at(-600)), "confirm with --yes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_done(world: World, words: tuple[str, ...], told: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, Failure) and told in str(result.exception)
    assert world.steps == []


def test_a_disk_without_room_is_named(world: World) -> None:
    world.known["data-2"] = THERE | {"size": 8 << 30, "free": 2 << 30}
    result = run("--at", at(-600), "--yes")
    assert "takes 9.3 GiB; free are 2.0 GiB: raise webitel:disk_sizes" in str(result.exception) and world.steps == []
    world.known["data-2"] = THERE | {"size": 8 << 30, "free": 2 << 30, "kept": 8 << 30}
    result = run("--at", at(-600), "--yes")
    assert "8.0 GiB are what the former restore replaced" in str(result.exception) and "15.before" in str(result.exception)


BEGUN = f"{at(-600).removesuffix('+00')}.000000+00"


def test_what_was_cut_off_goes_on_to_the_same_second_only(world: World) -> None:
    world.known["data-2"] = NOTHING | {"begun": BEGUN, "stage": "placing", "problem": "Patroni does not answer"}
    result = run("--at", at(-500), "--yes")
    assert f"a restore to {BEGUN} was begun and not finished" in str(result.exception) and world.steps == []
    world.silent.append("edge-1")  # everybody waits for its end
    assert run("--at", at(-600)).exit_code == 0, "what is lost was asked before"
    assert world.steps[-2] == "start: data-1 data-2"


def test_what_was_cut_off_once_it_led_stops_nothing_again(world: World) -> None:
    world.known["data-2"] = NOTHING | {"leads": True, "begun": BEGUN, "stage": "leads"}
    assert run("--at", at(-600)).exit_code == 0
    assert world.steps == ["follow: data-1", "start: data-1 data-2 edge-1", "let go"]


def test_a_member_that_was_cut_off_long_ago_is_not_taken_for_the_leader(world: World) -> None:
    world.known["data-1"] = NOTHING | {"begun": BEGUN, "stage": "stopped"}
    assert run("--at", at(-500), "--yes").exit_code == 0
    assert world.steps[0] == "prepare: data-2"


def test_who_leads_without_an_answer_from_the_bucket_says_so(world: World) -> None:
    world.known["data-2"] = NOTHING | {"leads": True, "problem": "the bucket's host does not answer"}
    assert "data-2: the bucket's host does not answer" in str(run("--at", at(-600), "--yes").exception)
    world.known["data-2"] = NOTHING
    assert "no node leads the database" in str(run("--at", at(-600), "--yes").exception)


def test_recordings_come_back_by_themselves_and_nothing_stops(world: World) -> None:
    assert run("--recordings").exit_code == 0
    assert world.steps == ["recordings: data-1 data-2 edge-1"]
    world.silent.append("edge-1")
    assert f"edge-1: {AWAY}" in str(run("--recordings").exception)
