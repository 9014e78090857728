"""A machine's replacement fails half-way, on the real engine and every simulated cloud. What the message advises finishes
it: the machine is a new one and runs, with its own disks and addresses.

A replacement that fails leaves resources that are gone already and resources that are there twice: creations that fail
(test_interruptions.py) never do.

`WEBITEL_TEST_LONG=1` has every fault on every cloud; without it one of them is had, on one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from cli.deploy import edit_setting
from components.clouds.registry import CLOUDS
from stacks.load import load_deployment
from tests.clouds.conformance.checks import TYPES, find_wrong_ways
from tests.clouds.conformance.command import OWN, Command, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import EngineError
from tests.clouds.conformance.sample import do_on
from tests.clouds.conformance.test_day_two import name_of, touched
from tests.long_form import LONG
from tests.simulator.case import identity, load_case

pytestmark = pytest.mark.clouds

REAL = [cloud for cloud in CLOUDS if CLOUDS[cloud].real and not CLOUDS[cloud].disks_in_machine]
"""Clouds on which a node with data is replaced; where none is, test_killed.py replaces another."""

NODE = "data-1"
"""It has two data disks."""

FAULTS: Mapping[str, Mapping[str, Any]] = {
    "its deletion is refused": {"kind": "error", "operation": "delete", "type": "machine"},
    "no capacity for its successor": {"kind": "capacity", "operation": "create", "type": "machine"},
    "the answer to its deletion is lost": {"kind": "lost", "operation": "delete", "type": "machine"},
    "a disk does not leave": {"kind": "error", "operation": "delete", "type": "attachments"},
    "a disk does not come": {"kind": "error", "operation": "create", "type": "attachments", "nth": 2},
}

PROTECTS = "hetzner"
"""Its provider lets nothing go that the cloud protects."""


SAMPLE: Mapping[str, str] = {"a disk does not come": PROTECTS}
"""The cloud of each fault of the short form."""


@pytest.fixture(scope="module", params=REAL if LONG else sorted({*SAMPLE.values()}))
def live(request: pytest.FixtureRequest, start: Start, standing: Standing) -> Live:
    """A deployment with settings of its own, each test going on where the one before ended."""
    stack = f"{request.param}-basic"
    made = start(stack, standing(stack, OWN))
    made.deployment.configure(OWN)
    return made


@pytest.fixture
def webitel(live: Live) -> Iterator[Command]:
    with command_line(live) as command:
        yield command


def machines(live: Live) -> dict[str, str]:
    cloud = live.deployment.stack.partition("-")[0]
    return {name_of(thing): identity(thing) for thing in TYPES[cloud].list_machines(live.world)}


def look(live: Live) -> dict[str, tuple[object, ...]]:
    """What each machine has to have after as before."""
    cloud = live.deployment.stack.partition("-")[0]
    fixed = CLOUDS[cloud].fixed_addresses
    return {
        one.name: (one.disks, one.public_address, one.private_address if fixed else "", one.firewalls, one.runs)
        for one in load_case(cloud).see(live.world)
    }


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_advised_finishes_a_replacement(live: Live, webitel: Command, what: str) -> None:
    stack = live.deployment.stack
    cloud, fault, before, seen = stack.partition("-")[0], FAULTS[what], machines(live), look(live)
    do_on([SAMPLE[what]] if what in SAMPLE else (), cloud, "takes half a minute")
    if fault["type"] == "attachments" and not TYPES[cloud].attachments:
        pytest.skip(f"{cloud} has no attachment of its own: the disks stand in the machine's inputs")
    faults = live.simulators.faults.file
    assert faults
    faults.write_text(json.dumps([{**fault, "type": getattr(TYPES[cloud], str(fault["type"]))}]))
    ran = webitel("replace", NODE, "--stack", stack, "--yes")
    told = str(ran.exception)
    assert ran.exit_code, "nothing failed"
    faults.unlink()
    advised = re.search(r"Run \./webitel (.*) again: it resumes", told)
    assert advised, told
    # Whoever does not read, or runs it some days later, takes `up`: it must not take the disks away.
    if fault["kind"] != "lost":  # then it fails, as that machine is there no more
        live.deployment.up()
        assert {name: one[:-1] for name, one in look(live).items()} == {name: one[:-1] for name, one in seen.items()}
    ran = webitel(*advised[1].split(), "--yes")
    assert ran.exit_code == 0, ran.exception
    after = machines(live)
    assert after.pop(NODE) != before.pop(NODE), f"advised {advised[1]}, and it is still the old one"
    assert after == before
    assert look(live) == seen
    plan = load_deployment(stack).plan
    assert list(find_wrong_ways(plan, live.world, {one.name: one for one in load_case(cloud).see(live.world)})) == []
    assert touched(live.deployment.preview("--expect-no-changes")) == []


def test_what_an_earlier_version_had_the_cloud_protect_goes_all_the_same(live: Live, webitel: Command) -> None:
    """Its servers and its network too, which their provider never lets go by itself."""
    stack = live.deployment.stack
    if stack.partition("-")[0] != PROTECTS:
        pytest.skip("only Hetzner has a protection that its provider leaves alone at a deletion")
    guarded = [TYPES["hetzner"].machine, "hcloud:index/network:Network"]
    state = json.loads(live.deployment.state_file.read_text())
    for one in state["checkpoint"]["latest"]["resources"]:
        if one["type"] in guarded:
            protection = {name: True for name in ("deleteProtection", "rebuildProtection") if name in one["inputs"]}
            one["inputs"] |= {**protection, "deleteProtection": True}
            one["outputs"] |= {**protection, "deleteProtection": True}
            live.world.edit(one["type"], one["id"], **{**protection, "deleteProtection": True})
    live.deployment.state_file.write_text(json.dumps(state))
    before = machines(live)
    ran = webitel("replace", NODE, "--stack", stack, "--yes")
    assert ran.exit_code == 0, ran.exception
    assert machines(live)[NODE] != before[NODE]
    ran = webitel("destroy", stack, "--yes")
    assert ran.exit_code == 0, ran.exception
    assert {thing.type for thing in live.world.all()} & set(guarded) == set()
    assert live.world.all(TYPES["hetzner"].disk)
    ran = webitel("destroy", stack, "--yes", "--with-data")
    assert ran.exit_code == 0, ran.exception
    assert live.world.all() == []


def test_a_machine_that_was_never_reached_can_be_replaced(start: Start) -> None:
    """Such as one whose user data its cloud-init did not understand."""
    live = start("hetzner-single")
    live.deployment.configure(OWN)
    faults = live.simulators.faults.file
    assert faults
    faults.write_text(json.dumps([{"kind": "error", "operation": "create", "type": "NodeConfiguration"}]))
    with pytest.raises(EngineError):
        live.deployment.up()
    faults.unlink()
    before = machines(live)
    with command_line(live) as command:
        ran = command("replace", "all-1", "--stack", live.deployment.stack, "--yes")
    assert ran.exit_code == 0, ran.exception
    assert machines(live).keys() == before.keys() and machines(live) != before


@pytest.mark.parametrize("cloud", ["digitalocean", "hetzner"] if LONG else ["hetzner"])
def test_what_drops_calls_is_refused_before_a_node_is_emptied(
    cloud: str,
    start: Start,
    standing: Standing,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change that waits for `--disruptive`, of another node than the one that is replaced."""
    emptied: list[str] = []
    monkeypatch.setattr("cli.nodes.drain.drain", lambda access, key, seconds: emptied.append(key))
    made = start(f"{cloud}-basic", standing(f"{cloud}-basic", OWN))
    made.deployment.configure(OWN)
    things = made.world.all()
    with command_line(made) as webitel:
        edit_setting(made.deployment.stack, "package_versions", {"opensips": "3.4.99-1"})
        ran = webitel("replace", "app-1", "--stack", made.deployment.stack, "--yes")
        said = str(ran.exception)
        assert "Calls in progress would suffer. Nothing was changed." in said and "edge-1: OpenSIPS restarts" in said, said
        assert f"./webitel replace app-1 --stack {made.deployment.stack} --disruptive" in said
        assert emptied == [] and made.world.all() == things
        edit_setting(made.deployment.stack, "package_versions", None)
        ran = webitel("replace", "data-1", "--stack", made.deployment.stack, "--yes")
        assert ran.exit_code == 0, ran.exception
        assert emptied == ["data-1"]
