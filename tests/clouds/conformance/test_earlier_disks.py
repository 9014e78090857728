"""Azure disks that an earlier version made, which took Premium SSD and a small boot disk: they stay as they are, and what is new
beside them is of the present kind. On the real engine and the simulated cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clouds.conformance.checks import TYPES
from tests.clouds.conformance.command import OWN, Command, command_line
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import REPLACING

pytestmark = pytest.mark.clouds

STACK, BOOT_GIB = "azure-basic", 40
DISK, MACHINE = TYPES["azure"].disk, TYPES["azure"].machine
SPEED = ("diskIOPSReadWrite", "diskMBpsReadWrite")


def make_earlier(type: str, values: dict[str, Any]) -> None:
    """Inputs or outputs of a resource, as an earlier version had them."""
    if type == DISK:
        values["sku"] = {"name": "Premium_LRS"}
        for name in SPEED:
            values.pop(name, None)
    if type == MACHINE and "data-1" in str(values.get("vmName") or values.get("name")):
        values["storageProfile"]["osDisk"]["diskSizeGB"] = BOOT_GIB


@pytest.fixture(scope="module")
def live(start: Start, standing: Standing) -> Live:
    """A deployment whose disks are those of an earlier version, in the state and in the cloud."""
    made = start(STACK, standing(STACK))
    state = json.loads(made.deployment.state_file.read_text())
    for one in state["checkpoint"]["latest"]["resources"]:
        for part in ("inputs", "outputs"):
            make_earlier(one["type"], one.get(part) or {})
    made.deployment.state_file.write_text(json.dumps(state))
    for type in (DISK, MACHINE):
        for thing in made.world.all(type):
            inputs = json.loads(json.dumps(thing.inputs))
            make_earlier(type, inputs)
            lost = dict.fromkeys(set(thing.inputs) - set(inputs))
            made.world.edit(type, thing.id, **inputs, **lost)
    made.deployment.configure(OWN)
    return made


@pytest.fixture
def webitel(live: Live) -> Iterator[Command]:
    with command_line(live) as command:
        yield command


def kinds(live: Live) -> dict[str, str]:
    return {thing.urn.rpartition("::")[2]: thing.inputs["sku"]["name"] for thing in live.world.all(DISK)}


def boot_gib(live: Live) -> dict[str, int]:
    return {
        thing.urn.rpartition("::")[2]: thing.inputs["storageProfile"]["osDisk"]["diskSizeGB"] for thing in live.world.all(MACHINE)
    }


def test_what_runs_stays_as_it_is(live: Live) -> None:
    steps = [step for step in live.deployment.up() if step.type in (DISK, MACHINE)]
    assert [(step.op, step.name, step.changed) for step in steps if step.op != "same"] == []
    assert set(kinds(live).values()) == {"Premium_LRS"} and boot_gib(live)["data-1"] == BOOT_GIB


def test_new_disks_are_fast_and_old_ones_can_still_grow(live: Live) -> None:
    live.deployment.configure({**OWN, "counts": {"data": 3}, "disk_sizes": {"data.database": 300}})
    assert not [step for step in live.deployment.up() if step.op in REPLACING]
    assert kinds(live) == {
        "data-1-database": "Premium_LRS",
        "data-1-recordings": "Premium_LRS",
        "data-2-database": "PremiumV2_LRS",
        "data-3-database": "PremiumV2_LRS",
    }
    assert {thing.inputs["diskSizeGB"] for thing in live.world.all(DISK)} == {300, 500}
    assert (boot_gib(live)["data-1"], boot_gib(live)["data-2"]) == (BOOT_GIB, 512)


def test_a_new_machine_has_the_present_boot_disk_and_its_old_data_disks(live: Live, webitel: Command) -> None:
    done = webitel("replace", "data-1", "--stack", STACK, "--yes", "--disruptive")
    assert done.exit_code == 0, done.output
    assert boot_gib(live)["data-1"] == 512
    assert kinds(live)["data-1-database"] == "Premium_LRS"


def test_a_size_that_somebody_chose_counts(live: Live) -> None:
    live.deployment.configure({**OWN, "counts": {"data": 3}, "disk_sizes": {"data.database": 300, "app.boot": 100}})
    assert {step.name for step in live.deployment.preview() if step.op in REPLACING and step.type == MACHINE} == {"app-1"}
