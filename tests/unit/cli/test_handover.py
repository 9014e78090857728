"""`handover`: from whoever has it to a node that is ready, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.nodes import handing_over
from cli.nodes.access import Access, Answer, NodeAccess
from components.model.report import NodeReport, ServiceRow
from stacks import settings as stack_settings
from stacks.load import load_deployment
from tests.unit.cli.fakes import make_node

MOVING = ("SIP address", "OpenSIPS")


@dataclass
class World:
    """Two edges, one with the address; it takes two looks until the other one works after it got it."""

    file: Path
    has: str = "edge-1"
    sick: set[str] = field(default_factory=set)
    takes: bool = True
    starting: int = 0
    asked: list[str] = field(default_factory=list)

    def ask(self, key: str, command: str) -> Answer:
        """Answer as the node does."""
        self.asked.append(f"{key} {command.rsplit(maxsplit=1)[-1]}")
        if not self.takes:
            return Answer(1, "", "no other node takes over sip-address")
        self.has, self.starting = "edge-2" if self.has == "edge-1" else "edge-1", 2
        return Answer(0)

    def status(self, _: Access) -> dict[str, NodeReport]:
        """Report every node."""
        self.starting = max(0, self.starting - 1)
        found = {}
        for node in load_deployment("s").plan.nodes:
            edge = node.role == "edge"
            rows = [
                ServiceRow(name=title, title=title, healthy=True, standby="" if node.key == self.has else self.has)
                for title in MOVING * edge
            ]
            why = "it is deaf" if node.key in self.sick else "it starts" if self.starting and node.key == self.has else ""
            rows.append(ServiceRow(name="nginx", title="nginx", healthy=not why, why=why))
            found[node.key] = NodeReport(node=node.name, key=node.key, healthy=not why, services=tuple(rows))
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    made = World(tmp_path / "Pulumi.s.yaml")
    made.file.write_text(
        "config:\n  webitel:cloud: local\n  webitel:tier: basic\n  webitel:counts: {edge: 2, app: 2}\n"
        "  webitel:local_network: bridged\n"
    )

    async def ask_nodes(_: Access, nodes: Sequence[NodeAccess], command: str, __: float) -> dict[str, Answer]:
        return {node.key: made.ask(node.key, command) for node in nodes}

    class Engine:
        def __enter__(self) -> Engine:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

    def read_access(_: Engine) -> Access:
        return Access({node.key: make_node(node.key, "s") for node in load_deployment("s").plan.nodes}, "", "")

    monkeypatch.setattr("cli.engine.engine.open_engine", lambda _: Engine())
    monkeypatch.setattr("cli.nodes.access.read_access", read_access)
    monkeypatch.setattr(handing_over, "ask_nodes", ask_nodes)
    for place in ("reports", "handing_over"):
        monkeypatch.setattr(f"cli.nodes.{place}.ask_status", made.status)
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(handing_over, "time", clock)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["handover", *words])


def test_who_has_it_is_asked_and_who_took_it_is_named_once_it_works(world: World) -> None:
    done = run("edge", "s")
    assert done.exit_code == 0, (done.output, done.exception)
    assert world.asked == ["edge-1 hand-over"] and world.has == "edge-2" and world.starting == 0
    assert "Handed over: edge-2 has SIP address, OpenSIPS. edge-1 stands by." in done.output
    done = run("edge", "s")
    assert world.asked[1:] == ["edge-2 hand-over"] and "edge-1 has SIP address" in done.output


def test_run_again_from_the_same_node_it_changes_nothing(world: World) -> None:
    for said in ("Handed over: edge-2", "edge-1 has nothing to hand over: edge-2 has SIP address, OpenSIPS."):
        done = run("edge", "s", "--from", "edge-1")
        assert done.exit_code == 0 and said in done.output
    assert world.asked == ["edge-1 hand-over"]


@pytest.mark.parametrize(
    ("words", "sick", "said"),
    [
        (("data", "s"), "", "data-1 has no standby: it is the only data node of s"),
        (("sip", "s"), "", "no role sip in s; its roles are data, app, edge"),
        (("edge", "s", "--from", "edge-3"), "", "no node edge-3 of role edge in s; its nodes are edge-1, edge-2"),
        (("app", "s"), "", "no service of this role moves"),
        (
            ("edge", "s"),
            "edge-2",
            "No node is ready to take over from edge-1, so nothing was handed over: edge-2 nginx: it is",
        ),
    ],
)
def test_what_cannot_be_handed_over_is_left(words: tuple[str, ...], sick: str, said: str, world: World) -> None:
    world.sick = {sick}
    done = run(*words)
    assert done.exit_code and said in str(done.exception) and world.asked == []


def test_a_node_that_is_not_healthy_itself_can_hand_over(world: World) -> None:
    world.sick = {"edge-1"}
    done = run("edge", "s")
    assert world.has == "edge-2" and done.exit_code, "it is told that the one that stands by now is not healthy"
    assert "It was handed over, and not everything works: edge-1 nginx: it is deaf" in str(done.exception)


def test_what_no_other_node_takes_is_told(world: World) -> None:
    world.takes = False
    done = run("edge", "s")
    assert "edge-1: no other node takes over sip-address" in str(done.exception) and world.has == "edge-1"
