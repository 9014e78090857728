"""Xen Orchestra: what its own interface tells of machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulator.rest import Answer, Asked
from tests.simulator.world import Thing
from tests.simulator.xen.resources import VM


def describe(machine: Thing) -> dict[str, Any]:
    """What is told of a machine in a list."""
    return {"id": machine.id, "name_label": machine.inputs["nameLabel"], "tags": machine.inputs.get("tags") or []}


def _machines(asked: Asked) -> Any:
    return [describe(one) for one in asked.world.all(VM)]


def _machine(asked: Asked) -> Any:
    found = asked.world.find(VM, asked.part("vms"))
    return found and {**describe(found), "power_state": found.outputs["powerState"]}


ANSWERS: Mapping[str, Answer] = {"/rest/v0/vms": _machines, "/rest/v0/vms/[^/]+": _machine}
"""By the end of the call's name in `rest.json`."""
