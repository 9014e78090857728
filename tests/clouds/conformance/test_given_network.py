"""A network that the company has: nothing is made in it but firewalls and machines, and nothing of it is lost."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from cli.engine.engine import Engine
from components.clouds.registry import CLOUDS
from tests.clouds.conformance.checks import TYPES, find_option_problems, find_world_problems
from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Live, Start
from tests.clouds.conformance.engine import EngineError
from tests.clouds.conformance.given import prepare
from tests.clouds.conformance.program import CLOUD_CONFIG, run_program
from tests.clouds.conformance.sample import do_on
from tests.clouds.conformance.test_conformance import plan_of
from tests.clouds.conformance.test_interruptions import Stand
from tests.simulator import webitel
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import Thing, World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

GIVEN = [name for name, facts in CLOUDS.items() if facts.given_networks]
"""Every such cloud on the real engine, else one."""
ACCOUNT = ":simulated:"
"""What a simulated cloud knows of the account."""
FIREWALL = "gcp:compute/firewall:Firewall"


def list_new(world: World, before: set[str]) -> list[Thing]:
    return [one for one in world.all() if one.key not in before]


@pytest.mark.parametrize("cloud", GIVEN)
@pytest.mark.parametrize("tier", ["single", "basic", "zones"])
def test_nothing_but_firewalls_and_machines_is_made(cloud: str, tier: str, tmp_path: Path) -> None:
    world, faults = World(tmp_path / "world.jsonl"), Faults(None)
    setting, before = prepare(cloud, world)
    stack = f"{cloud}-{'basic' if tier == 'zones' else tier}"
    changes: dict[str, Any] = {"existing_network": setting}
    if tier == "zones":
        zones = list(CLOUDS[cloud].zones_in(CLOUDS[cloud].default_region)[:3])
        changes |= {"zones": zones, "counts": {"data": 3, "app": 2}}
    plan, settings = plan_of(stack, changes)
    providers = [make_provider(cloud, world, faults), webitel.make_provider(world, faults)]
    registrations = run_program(stack, providers, changes, cloud_config=CLOUD_CONFIG)[0]
    assert [*find_world_problems(plan, settings, world), *find_option_problems(plan, registrations)] == []
    kinds = {one.type.rpartition(":")[2] for one in list_new(world, before)}
    assert kinds.isdisjoint(
        {"Vpc", "Subnet", "InternetGateway", "NatGateway", "RouteTable", "Route", "RouteTableAssociation"}
        | {"Network", "Subnetwork", "Router", "RouterNat", "VirtualNetwork"}
    )
    # Nobody else in the network is concerned.
    assert all(one.inputs["targetTags"] for one in list_new(world, before) if one.type == FIREWALL)
    assert plan.gateways == 0 and "NAT" not in {line.what for line in plan.bill}


def start_given(start: Start, cloud: str) -> tuple[Live, dict[str, Any], set[str]]:
    live = start(f"{cloud}-basic")
    setting, before = prepare(cloud, live.world)
    live.deployment.configure({**OWN, "existing_network": setting})
    return live, setting, before


@pytest.mark.parametrize("cloud", GIVEN)
def test_destroy_leaves_the_network_and_another_one_is_refused(cloud: str, start: Start) -> None:
    do_on(["gcp"], cloud, "takes half a minute")
    live, setting, before = start_given(start, cloud)
    stack = live.deployment.stack
    with command_line(live) as webitel_command:
        done = webitel_command("up", stack, "--yes")
        assert done.exit_code == 0, (done.output, done.exception)
    made = {one.key for one in live.world.all()}
    live.deployment.configure(OWN)
    with pytest.raises(EngineError, match=r"webitel:existing_network = none: .* stands in .*, and what is up cannot move"):
        live.deployment.preview()
    first = next(iter(setting["subnets"]))
    other = {**setting, "subnets": {**setting["subnets"], first: {**setting["subnets"][first], "first": "10.40.0.100"}}}
    live.deployment.configure({**OWN, "existing_network": other})
    with pytest.raises(EngineError, match="nodes stand there"):
        live.deployment.preview()
    live.deployment.configure({**OWN, "existing_network": setting})
    assert [step for step in live.deployment.preview() if not step.type.startswith("pulumi:")] == []
    assert {one.key for one in live.world.all()} == made
    with command_line(live) as webitel_command:
        done = webitel_command("destroy", stack, "--yes", "--with-data")
        assert done.exit_code == 0, (done.output, done.exception)
    assert {one.key for one in live.world.all() if ACCOUNT not in one.type} == before


@pytest.mark.parametrize("cloud", GIVEN)
def test_up_asks_for_the_network_before_anything_is_made(cloud: str, start: Start) -> None:
    do_on(["azure"], cloud, "takes half a minute")
    live, setting, before = start_given(start, cloud)
    first = next(iter(setting["subnets"]))
    subnets = {**setting["subnets"], first: {**setting["subnets"][first], "range": "10.40.128.0/24"}}
    gone = f"{first[:-1]}{'2' if first[-1] == '1' else '1'}"
    live.deployment.configure({**OWN, "existing_network": {**setting, "subnets": subnets}})
    with command_line(live) as webitel_command:
        done = webitel_command("up", live.deployment.stack, "--yes")
    assert done.exit_code == 1
    assert f"webitel:existing_network.subnets.{first}.range = 10.40.128.0/24: it has 10.40.0.0/24" in str(done.exception)
    assert "write range: 10.40.0.0/24" in str(done.exception)
    subnets = {gone if id == first else id: subnet for id, subnet in setting["subnets"].items()}
    live.deployment.configure({**OWN, "existing_network": {**setting, "subnets": subnets}})
    with command_line(live) as webitel_command:
        done = webitel_command("up", live.deployment.stack, "--yes")
    assert done.exit_code == 1
    assert f"webitel:existing_network.subnets.{gone}: it does not exist" in str(done.exception)
    assert {one.key for one in live.world.all() if ACCOUNT not in one.type} == before


@pytest.mark.parametrize("cloud", GIVEN)
def test_a_first_up_that_was_cut_resumes_and_still_moves_nowhere(cloud: str, start: Start) -> None:
    """Whatever is there stands in the company's network already, though no `up` has ended and said so."""
    do_on(["aws"], cloud, "takes half a minute")
    live, setting, before = start_given(start, cloud)
    stack, machine = live.deployment.stack, TYPES[cloud].machine
    stand = Stand(live, Engine(stack, live.deployment.engine, live.deployment.environment, live.deployment.folder))
    assert stand.interrupt("NodeConfiguration")
    first = {one.key for one in live.world.all(machine)}
    assert first
    live.deployment.configure(OWN)
    with command_line(live) as webitel_command:
        moved = webitel_command("up", stack, "--yes")
    assert moved.exit_code and "what is up cannot move" in str(moved.exception), (moved.output, moved.exception)
    assert first <= {one.key for one in live.world.all(machine)}
    shifted = {id: {**subnet, "first": str(ip_network(subnet["range"])[100])} for id, subnet in setting["subnets"].items()}
    live.deployment.configure({**OWN, "existing_network": {**setting, "subnets": shifted}})
    with command_line(live) as webitel_command:
        moved = webitel_command("up", stack, "--yes")
    assert moved.exit_code and "put back first: " in str(moved.exception), (moved.output, moved.exception)
    assert first <= {one.key for one in live.world.all(machine)}
    live.deployment.configure({**OWN, "existing_network": setting})
    with command_line(live) as webitel_command:
        done = webitel_command("up", stack, "--yes")
    assert done.exit_code == 0, (done.output, done.exception)
    assert first <= {one.key for one in live.world.all(machine)}
    assert [step for step in live.deployment.preview() if not step.type.startswith("pulumi:")] == []
    kinds = {one.type.rpartition(":")[2] for one in list_new(live.world, before)}
    assert kinds.isdisjoint({"Vpc", "Network", "VirtualNetwork"})
