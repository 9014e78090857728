"""Hosts that are spoken to one by one, each by a provider of its own: machines stand on theirs, are asked for there, and are
taken back from there by whoever comes after a killed run. On the real engine."""

from __future__ import annotations

import pytest

from cli.engine.engine import open_engine
from cli.engine.power import Machines, ask_power, start_machines
from stacks.load import load_deployment
from tests.clouds.conformance import command
from tests.clouds.conformance.command import OWN
from tests.clouds.conformance.conftest import Start
from tests.clouds.conformance.killing import stand_on
from tests.clouds.conformance.test_conformance import APART
from tests.simulator.case import load_case
from tests.simulator.libvirt.resources import DOMAIN

pytestmark = pytest.mark.clouds

CLOUD = "libvirt"
HOSTS = {**OWN, **APART[CLOUD], "zones": ["kvm-1", "kvm-2"], "counts": {"app": 2}}
"""Of which the first has no endpoint of its own."""
AWAY = "app-2"
"""The node that stands on the second host."""


def test_machines_are_made_asked_for_and_found_again_on_their_hosts(start: Start) -> None:
    stack = f"{CLOUD}-basic"
    live = start(stack)
    live.deployment.configure({**HOSTS, "counts": {"app": 1}})
    live.deployment.up()
    live.deployment.configure(HOSTS)
    with stand_on(live) as stand:
        # Its disc was made and nobody heard of it: on the other host nobody would find it.
        stand.fail({"kind": "cut", "operation": "create", "type": "CloudInitDisk", "nth": 1})
        assert stand.run_on("up", stack, "--yes").runs == 2
        stand.fail()
        assert stand.unknown_to_state() == []
    places = {one.name.removeprefix(f"{stack}-"): one.place for one in load_case(CLOUD).see(live.world)}
    assert places == {"data-1": "host-kvm-1", "app-1": "host-kvm-1", "edge-1": "host-kvm-1", AWAY: "host-kvm-2"}
    assert [step for step in live.deployment.preview() if not step.type.startswith("pulumi:providers:")] == []
    machine = next(one for one in live.world.all(DOMAIN) if one.inputs["name"] == f"{stack}-{AWAY}")
    live.world.disturb(DOMAIN, machine.id, state="shut off")
    with command.command_line(live), open_engine(stack) as engine:
        plan = load_deployment(stack).plan
        assert ask_power(engine, plan) == Machines({AWAY: "shut off"})
        assert start_machines(engine, plan) == [AWAY]
    assert all(one.runs for one in load_case(CLOUD).see(live.world))
