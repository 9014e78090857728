"""A machine that somebody turned off: every simulated cloud tells it to who asks, and starts it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from cli.console import Failure
from cli.deploy import wake
from cli.engine.ask import Answer, Question, ask
from cli.engine.engine import Engine, open_engine
from cli.engine.power import Machines, ask_power, start_machines
from cli.nodes.access import Access, NodeAccess
from cli.nodes.access import Answer as NodeAnswer
from components.clouds.registry import CLOUDS
from components.model.resource_types import CONFIGURATION
from stacks.load import load_deployment
from tests.clouds.conformance import command
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.sample import deal, do_on
from tests.long_form import LONG
from tests.simulator.case import load_case
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds

NODE = "all-1"
DEALT = deal("power", {"off": 2, "on its way down": 2})
"""The clouds of each check in the short form."""
STOPPING = [
    (name, word) for name, facts in CLOUDS.items() if facts.real for word in load_case(name).stopping[: None if LONG else 1]
]
"""Every word of a cloud for a machine on its way down; in the short form its first."""


def cloud_of(live: Live) -> str:
    return live.deployment.stack.partition("-")[0]


def find_machine(live: Live) -> Thing:
    (machine,) = load_case(cloud_of(live)).types.list_machines(live.world)
    return machine


def turn_off(live: Live) -> str:
    output, word = load_case(cloud_of(live)).off
    live.world.disturb(find_machine(live).type, find_machine(live).id, **{output: word})
    return word


def runs(live: Live) -> bool:
    return all(one.runs for one in load_case(cloud_of(live)).see(live.world))


@pytest.mark.parametrize("cloud", [name for name, facts in CLOUDS.items() if facts.real])
def test_a_machine_that_is_off_is_found_and_started(cloud: str, start: Start, standing: Standing) -> None:
    do_on(DEALT["off"], cloud, "takes ten seconds")
    live = start(f"{cloud}-single", standing(f"{cloud}-single"))
    word, before = turn_off(live), live.deployment.state()
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        made = load_deployment(live.deployment.stack).plan
        assert not runs(live)
        assert ask_power(engine, made) == Machines({NODE: word})
        assert start_machines(engine, made) == [NODE]
        assert runs(live)
    assert live.deployment.state() == before


@pytest.mark.parametrize(("cloud", "word"), STOPPING)
def test_a_machine_on_its_way_down_is_started_when_it_has_come_there(
    cloud: str,
    word: str,
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    do_on(DEALT["on its way down"], cloud, "takes ten seconds")
    live = start(f"{cloud}-single", standing(f"{cloud}-single"))
    output, _ = load_case(cloud).off
    machine = find_machine(live)
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            turn_off(live)

    live.world.disturb(machine.type, machine.id, **{output: word})
    monkeypatch.setattr("cli.engine.power.time", SimpleNamespace(monotonic=time.monotonic, sleep=sleep))
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        assert start_machines(engine, load_deployment(live.deployment.stack).plan) == [NODE]
    assert runs(live) and len(naps) == 2


def test_a_machine_that_never_comes_down_is_named_with_the_cloud_s_word(
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = start("hetzner-single", standing("hetzner-single"))
    machine = find_machine(live)
    live.world.disturb(machine.type, machine.id, status="stopping")
    monkeypatch.setattr("cli.engine.power.STOP_SECONDS", 0, raising=False)
    with (
        command.command_line(live),
        open_engine(live.deployment.stack) as engine,
        pytest.raises(Failure, match=f"{NODE}: after 0 s its machine is still stopping"),
    ):
        start_machines(engine, load_deployment(live.deployment.stack).plan)


def test_a_machine_that_the_cloud_says_nothing_of_ends_it(
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless the machine is gone: then the `up` that follows makes it anew."""
    live = start("hetzner-single", standing("hetzner-single"))
    machine = find_machine(live)
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        plan = load_deployment(live.deployment.stack).plan
        with monkeypatch.context() as patch:
            patch.setattr("cli.engine.power.ask", lambda engine, questions: [Answer({}, "429 slow down") for _ in questions])
            with pytest.raises(Failure, match=f"{NODE}: the cloud does not say whether its machine is running: 429 slow down"):
                start_machines(engine, plan)
        live.world.erase(machine.type, machine.id)
        assert ask_power(engine, plan).unknown
        before = live.deployment.state()
        assert start_machines(engine, plan) == []
        assert live.deployment.state() == before


def test_a_start_is_over_when_the_cloud_says_so_not_when_it_says_nothing(
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = start("hetzner-single", standing("hetzner-single"))
    turn_off(live)
    asked: list[Sequence[Question]] = []
    naps: list[float] = []

    def ask_again(engine: Engine, questions: Sequence[Question]) -> list[Answer]:
        asked.append(questions)
        return ask(engine, questions) if len(asked) != 2 else [Answer({}, "429 slow down") for _ in questions]

    monkeypatch.setattr("cli.engine.power.ask", ask_again)
    monkeypatch.setattr("cli.engine.power.time", SimpleNamespace(monotonic=time.monotonic, sleep=naps.append))
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        assert start_machines(engine, load_deployment(live.deployment.stack).plan) == [NODE]
    assert len(asked) == 3 and len(naps) == 1


def test_repair_of_a_deployment_that_never_met_a_node_starts_its_machines(start: Start, standing: Standing) -> None:
    live = start("hetzner-single", standing("hetzner-single"))
    turn_off(live)
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        state = engine.export()
        state["deployment"]["resources"] = [one for one in state["deployment"]["resources"] if one["type"] != CONFIGURATION]
        engine.run("stack", "import", "--force", stdin=json.dumps(state))
        wake(engine, load_deployment(live.deployment.stack).plan)
    assert runs(live)


def test_drift_and_status_say_it_and_repair_starts_it(
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = start("hetzner-single", standing("hetzner-single", command.OWN))
    healthy = command.answer

    async def answer(
        access: Access, nodes: Sequence[NodeAccess], asked: str, seconds: float, text: str = ""
    ) -> dict[str, NodeAnswer]:
        if runs(live):
            return await healthy(access, nodes, asked, seconds, text)
        return {node.key: NodeAnswer(problem="no route to host") for node in nodes}

    monkeypatch.setattr(command, "answer", answer)
    live.deployment.configure(command.OWN)
    turn_off(live)
    machine = find_machine(live).id
    with command.command_line(live) as webitel:
        drift = webitel("drift", live.deployment.stack, "--no-nodes")
        assert drift.exit_code == 2 and f"{NODE} machine: is off" in drift.output, drift.output
        assert re.search(r"Next: ./webitel up \S+ --repair", drift.output)
        status = webitel("status", live.deployment.stack)
        assert status.exit_code == 1 and "its machine is off" in " ".join(status.output.split()), status.output
        assert f"./webitel up {live.deployment.stack} --repair" in status.output
        assert "Warning: webitel:allow_plain_http = true: user and password of http://" in " ".join(status.output.split())
        plain = webitel("up", live.deployment.stack, "--yes")
        assert plain.exit_code and not runs(live), "nothing is started that nobody asked for"
        assert "its machine is off" in " ".join(plain.output.split()), plain.output
        repaired = webitel("up", live.deployment.stack, "--yes", "--repair")
        assert repaired.exit_code == 0, (repaired.exception, repaired.output)
        assert runs(live) and find_machine(live).id == machine
        assert webitel("drift", live.deployment.stack, "--no-nodes").exit_code == 0
