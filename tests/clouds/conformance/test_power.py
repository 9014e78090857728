"""A machine that somebody turned off: every simulated cloud tells it to who asks, and starts it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from cli.engine.engine import open_engine
from cli.engine.power import Machines, ask_power, start_machines
from cli.nodes.access import Access, Answer, NodeAccess
from components.clouds.registry import CLOUDS
from stacks.load import load_deployment
from tests.clouds.conformance import command
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.simulator.case import load_case
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds

NODE = "all-1"


def cloud_of(live: Live) -> str:
    return live.deployment.stack.partition("-")[0]


def find_machine(live: Live) -> Thing:
    (machine,) = live.world.all(load_case(cloud_of(live)).types.machine)
    return machine


def turn_off(live: Live) -> str:
    output, word = load_case(cloud_of(live)).off
    live.world.disturb(find_machine(live).type, find_machine(live).id, **{output: word})
    return word


def runs(live: Live) -> bool:
    return all(one.runs for one in load_case(cloud_of(live)).see(live.world))


@pytest.mark.parametrize("cloud", [name for name, facts in CLOUDS.items() if facts.real])
def test_a_machine_that_is_off_is_found_and_started(cloud: str, start: Start, standing: Standing) -> None:
    live = start(f"{cloud}-single", standing(f"{cloud}-single"))
    word, before = turn_off(live), live.deployment.state()
    with command.command_line(live), open_engine(live.deployment.stack) as engine:
        made = load_deployment(live.deployment.stack).plan
        assert not runs(live)
        assert ask_power(engine, made) == Machines({NODE: word})
        assert start_machines(engine, made) == [NODE]
        assert runs(live)
    assert live.deployment.state() == before


def test_drift_and_status_say_it_and_repair_starts_it(
    start: Start, standing: Standing, monkeypatch: pytest.MonkeyPatch,
) -> None:
    live = start("hetzner-single", standing("hetzner-single"))
    healthy = command.answer

    async def answer(access: Access, nodes: Sequence[NodeAccess], text: str, seconds: float) -> dict[str, Answer]:
        if runs(live):
            return await healthy(access, nodes, text, seconds)
        return {node.key: Answer(problem="no route to host") for node in nodes}

    monkeypatch.setattr(command, "answer", answer)
    live.deployment.configure(command.OWN)
    live.deployment.up()
    turn_off(live)
    machine = find_machine(live).id
    with command.command_line(live) as webitel:
        drift = webitel("drift", live.deployment.stack, "--no-nodes")
        assert drift.exit_code == 2 and f"{NODE} machine: is off" in drift.output, drift.output
        assert re.search(r"Bring it back: ./webitel up \S+ --repair", drift.output)
        status = webitel("status", live.deployment.stack)
        assert status.exit_code == 1 and "its machine is off" in " ".join(status.output.split()), status.output
        assert f"./webitel up {live.deployment.stack} --repair" in status.output
        plain = webitel("up", live.deployment.stack, "--yes")
        assert plain.exit_code and not runs(live), "nothing is started that nobody asked for"
        assert "its machine is off" in " ".join(plain.output.split()), plain.output
        repaired = webitel("up", live.deployment.stack, "--yes", "--repair")
        assert repaired.exit_code == 0, (repaired.exception, repaired.output)
        assert runs(live) and find_machine(live).id == machine
        assert webitel("drift", live.deployment.stack, "--no-nodes").exit_code == 0
