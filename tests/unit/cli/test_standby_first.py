"""A change of two nodes that take turns: in which order, what has to be so before the calls move, and how it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.console import Failure
from cli.engine.engine import Engine
from cli.engine.events import Rollout
from cli.engine.rollout import Run
from cli.nodes import handing_over, standby_first
from cli.nodes.access import Access, Answer, NodeAccess
from components.model.plan import Node
from components.model.report import NodeReport, ServiceRow
from components.model.resource_types import CONFIGURATION, HEALTH
from components.model.settings import Settings
from tests.plans import make_plan
from tests.unit.cli.fakes import make_node

PLAN = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}}), "s")
EDGES = ("edge-1", "edge-2")
AGAIN = "./webitel up s"
CHANGES = {f"s-{key}": "OpenSIPS" for key in EDGES}


@dataclass
class World:
    """Two edges: `has` names the one with the address, `changed` those that were changed, `log` what was done."""

    has: str = "edge-1"
    log: list[str] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    heals: int = 99
    refuses: str = ""
    fails: bool = False

    def resources(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"type": HEALTH, "urn": "urn::health", "inputs": {}}]
        for key in ("data-1", *EDGES):
            found.append({"type": CONFIGURATION, "urn": f"urn::{key}", "inputs": {"node": f"s-{key}"}})
        return found

    def run(self, _: Engine, nodes: Sequence[Node], *arguments: str) -> Run:
        """Run the engine."""
        self.log.append(" ".join(arguments))
        return Run(Rollout(nodes), int(self.fails), False, "edge: no package" if self.fails else "", 0.0)

    def status(self, _: Access) -> dict[str, NodeReport]:
        """Report every node."""
        self.heals -= 1
        if not self.heals:
            self.sick.clear()
        reports = {}
        for node in PLAN.nodes:
            why = "Redis does not copy the other node's calls" if node.key in self.sick else ""
            rows = [ServiceRow(name="redis", healthy=not why, why=why)]
            if node.key in EDGES and self.has:
                standby = "" if node.key == self.has else self.has
                rows += [ServiceRow(name="sip-address", title=standby_first.TITLE, healthy=True, standby=standby)]
            reports[node.key] = NodeReport(node=node.name, key=node.key, healthy=not why, services=tuple(rows))
        return reports

    def ask(self, key: str, command: str) -> Answer:
        """Hand over."""
        self.log.append(f"{key} {command[command.index('hand-over') :]}")
        if self.refuses:
            return Answer(1, "", self.refuses)
        self.has = next(one for one in EDGES if one != key)
        return Answer(0)

    def change(self, handed: dict[str, str] = CHANGES, *words: str, disruptive: bool = False) -> bool:
        """Do it."""
        engine = cast(Engine, self)
        return standby_first.change_standby_first(engine, PLAN, handed, words, lambda: AGAIN, disruptive=disruptive)

    def refused(self) -> str:
        """What it says where it does not."""
        with pytest.raises(Failure) as caught:
            self.change()
        return str(caught.value)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()

    async def ask_nodes(_: Access, nodes: Sequence[NodeAccess], command: str, __: float) -> dict[str, Answer]:
        return {node.key: made.ask(node.key, command) for node in nodes}

    monkeypatch.setattr(standby_first, "read_access", lambda _: Access({key: make_node(key, "s") for key in EDGES}, "", ""))
    monkeypatch.setattr(standby_first, "run_engine", made.run)
    monkeypatch.setattr(handing_over, "ask_nodes", ask_nodes)
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    for module in (standby_first, handing_over):
        monkeypatch.setattr(module, "ask_status", made.status)
        monkeypatch.setattr(module, "time", clock)
    return made


@pytest.mark.parametrize("active", EDGES)
def test_who_stands_by_is_changed_first_and_then_gets_the_calls(
    active: str, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.has = active
    other = next(key for key in EDGES if key != active)
    assert world.change()
    assert world.log == [f"up --exclude urn::health --exclude urn::{active}", f"{active} hand-over --spare"]
    assert world.has == other
    said = " ".join(capsys.readouterr().err.split())
    assert f"{other} first: {active} has the calls, and OpenSIPS changes" in said
    assert f"{active} hands over to {other}: about 3 s of silence; calls that ring are lost" in said


def test_what_was_killed_after_the_hand_over_goes_on_with_the_one_that_is_left(world: World) -> None:
    world.change()
    world.log.clear()
    assert not world.change({"s-edge-1": "OpenSIPS"}) and world.log == [], "edge-2 has the calls, and its change"


def test_what_was_killed_before_the_hand_over_goes_on_with_it(world: World) -> None:
    assert world.change({"s-edge-1": "OpenSIPS"})
    assert world.log[1:] == ["edge-1 hand-over --spare"] and world.has == "edge-2"


def test_arguments_are_those_of_the_run(world: World) -> None:
    world.change(CHANGES, "--refresh")
    assert world.log[0].startswith("up --refresh --exclude ")


def test_a_standby_that_is_not_ready_is_waited_for_and_then_nothing_is_handed_over(world: World) -> None:
    world.sick = {"edge-2"}
    said = world.refused()
    assert (
        "edge-1 has the calls and was left as it is: no other node is ready for them: edge-2 redis: Redis does not copy" in said
    )
    assert f"Next: ./webitel status s, then {AGAIN}; {AGAIN} --disruptive does not wait" in said
    assert world.has == "edge-1" and len(world.log) == 1
    world.heals = 3
    assert world.change() and world.has == "edge-2"


def test_calls_that_would_not_go_on_keep_it_where_it_is(world: World) -> None:
    world.refuses = "calls in progress would end: 2 of browsers"
    said = world.refused()
    assert "edge-1 has the calls and was left as it is: edge-1: calls in progress would end: 2 of browsers" in said
    assert world.has == "edge-1"


def test_a_program_of_an_earlier_version_hands_over_once_it_is_a_new_one(world: World) -> None:
    world.refuses = "usage: webitel-node\nwebitel-node: error: unrecognized arguments: --spare"
    assert world.change(), "the run that changes it goes on"


def test_a_standby_that_cannot_be_changed_ends_it(world: World) -> None:
    world.fails = True
    assert "edge: no package" in world.refused() and len(world.log) == 1 and world.has == "edge-1"


def test_nothing_is_changed_while_nobody_says_who_has_the_calls(world: World) -> None:
    world.has, world.sick = "", set(EDGES)
    said = world.refused()
    assert said.startswith("Nothing was changed: it is unknown which of edge-1 and edge-2 has the calls: edge-1 redis: ")
    assert f"{AGAIN} --disruptive changes both where they are" in said and world.log == []
    assert not world.change(disruptive=True) and world.log == []


def test_with_leave_calls_of_browsers_are_not_waited_for_and_what_is_not_handed_over_is_changed_in_place(world: World) -> None:
    world.refuses = "no other node takes over sip-address"
    assert world.change(disruptive=True) and world.has == "edge-1"
    world.refuses = ""
    assert world.change(disruptive=True) and world.has == "edge-2"
    assert world.log[-1] == "edge-1 hand-over"


def test_the_state_tells_what_is_left_out_and_nothing_that_is_being_deleted(world: World, tmp_path: Path) -> None:
    gone = {"type": CONFIGURATION, "urn": "urn::old", "inputs": {"node": "s-edge-1"}, "delete": True}
    engine = cast(Engine, SimpleNamespace(resources=lambda: [gone, *world.resources()]))
    assert standby_first.leave_out(engine, "s-edge-1") == ["--exclude", "urn::health", "--exclude", "urn::edge-1"]
