"""`reboot`: one machine after the other, each emptied before and everything healthy after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.commands import reboot
from cli.nodes.access import Access, Answer, NodeAccess
from components.model.report import MachineRow, NodeReport
from stacks import settings as stack_settings
from stacks.load import load_deployment
from tests.unit.cli.fakes import make_node

WANTED = "wanted: kernel 6.1.153-1 is installed and 6.1.140-1 runs"


@dataclass
class World:
    """Machines that restart when they are told to, and take a while for it."""

    file: Path
    asking: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    marked: set[str] = field(default_factory=set)
    down: dict[str, int] = field(default_factory=dict)
    sick: int = 0
    stays: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)

    def ask(self, key: str, command: str) -> Answer:
        """Answer as the machine does."""
        assert not set(command) & set(";&|"), "`sudo` stands before the first word only"
        if self.down.get(key, 0):
            self.down[key] -= 1
            return Answer(problem="SSH failed")
        if "drain" in command:
            self.log.append(f"drain {key}" + " --restart" * ("--restart" in command))
            return Answer(1, "", "3 calls are still in progress") if key in self.full else Answer(0)
        if command.startswith("mkdir"):
            return Answer(0)
        if "touch" in command:
            self.marked |= {key} - self.busy
            return Answer(int(key in self.busy))
        if "reboot" in command:
            assert key in self.marked
            self.log.append(f"restart {key}")
            self.down[key], self.sick = 2, 2
            if key not in self.stays:
                self.marked.discard(key)
                self.asking.discard(key)
            return Answer(problem="connection lost")
        if "test !" in command:
            return Answer(int(key in self.marked))
        assert "resume" in command
        self.log.append(f"resume {key}")
        return Answer(0)

    def status(self, _: Access) -> dict[str, NodeReport]:
        """Report every node; after a restart not everything works at once."""
        rows = {key: (MachineRow(name="reboot", healthy=True, warning=True, why=WANTED),) for key in self.asking}
        healthy = not self.sick
        self.sick = max(0, self.sick - 1)
        self.log += ["healthy"] * healthy
        return {
            node.key: NodeReport(node=node.name, key=node.key, healthy=healthy, machine=rows.get(node.key, ()))
            for node in load_deployment("s").plan.nodes
        }


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A deployment of three nodes."""
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    made = World(tmp_path / "Pulumi.s.yaml")
    made.file.write_text("config:\n  webitel:cloud: local\n  webitel:tier: basic\n")

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
    monkeypatch.setattr("cli.nodes.reports.ask_status", made.status)
    for module in ("access", "drain"):
        monkeypatch.setattr(f"cli.nodes.{module}.ask_nodes", ask_nodes)
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(reboot, "time", clock)
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["reboot", "s", *words])


def test_who_asks_for_it_is_restarted_one_after_the_other_and_healthy_before_the_next(world: World) -> None:
    world.asking = {"data-1", "app-1"}
    done = run("--yes")
    assert done.exit_code == 0, (done.output, done.exception)
    assert f"data-1: {WANTED}" in done.output and "Restarted: data-1, app-1." in done.output
    steps = [line for line in world.log if not line.startswith("resume")]
    assert steps == [
        "healthy",
        *("drain data-1 --restart", "restart data-1", "healthy"),
        *("drain app-1 --restart", "restart app-1", "healthy"),
    ]
    assert "resume app-1" in world.log and world.asking == set()


def test_nothing_happens_where_nobody_asks(world: World) -> None:
    done = run("--yes")
    assert done.exit_code == 0 and "No node asks for a restart" in done.output and world.log == ["healthy"]


def test_nothing_is_restarted_while_something_is_not_healthy(world: World) -> None:
    world.asking, world.sick = {"app-1"}, 1
    done = run("--yes")
    assert "Nothing was restarted, as not everything is healthy" in str(done.exception) and world.log == []


def test_an_edge_without_a_standby_is_left_until_that_is_asked_for(world: World) -> None:
    world.asking = {"edge-1"}
    done = run("--yes")
    said = str(done.exception)
    assert "Calls in progress would suffer. Nothing was restarted." in said and "edge-1: rtpengine has no standby" in said
    assert "./webitel reboot s --disruptive" in said and "restart edge-1" not in world.log
    done = run("--yes", "--disruptive")
    assert done.exit_code == 0 and "restart edge-1" in world.log and not any("drain" in line for line in world.log)


def test_the_only_node_is_empty_before(world: World) -> None:
    world.file.write_text("config:\n  webitel:cloud: local\n  webitel:tier: single\n")
    done = run("--yes", "--all")
    assert done.exit_code == 0, (done.output, done.exception)
    assert [line for line in world.log if "resume" not in line][1:] == ["drain all-1 --restart", "restart all-1", "healthy"]


def test_calls_that_do_not_end_stop_it(world: World) -> None:
    world.asking, world.full = {"data-1", "app-1"}, {"data-1"}
    done = run("--yes")
    assert "data-1: 3 calls are still in progress" in str(done.exception)
    assert not any(line.startswith("restart") for line in world.log)


def test_a_machine_in_the_middle_of_something_is_not_restarted(world: World) -> None:
    world.asking, world.busy = {"app-1"}, {"app-1"}
    assert "app-1 was not restarted: it is being configured" in str(run("--yes").exception)
    assert "restart app-1" not in world.log


def test_a_machine_that_does_not_come_back_ends_it(world: World) -> None:
    world.asking, world.stays = {"data-1", "app-1"}, {"data-1"}
    done = run("--yes")
    assert "data-1 is not up again after 600 s, and no other node was restarted" in str(done.exception)
    assert "restart app-1" not in world.log


def test_it_is_asked_for(world: World) -> None:
    world.asking = {"app-1"}
    assert "this would restart app-1; confirm with --yes" in str(run().exception)
    assert "no node app-9" in str(run("--node", "app-9", "--yes").exception)
