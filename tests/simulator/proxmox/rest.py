"""Proxmox VE: what its own interface tells of a token's rights and of machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.clouds.proxmox.account import LOADING, RIGHTS
from tests.simulator.account import facts_of
from tests.simulator.proxmox.resources import PACKAGE, VM
from tests.simulator.rest import Answer, Asked


def _permissions(asked: Asked) -> Any:
    withheld = facts_of(asked.world, PACKAGE).get("withheld", ())
    return {"data": {"/": {name: 1 for name in (*RIGHTS, LOADING) if name not in withheld}}}


def _resources(asked: Asked) -> Any:
    return {
        "data": [
            {
                "id": f"qemu/{one.id}",
                "type": "qemu",
                "vmid": int(one.id),
                "node": one.inputs["nodeName"],
                "status": one.outputs["status"],
                "name": one.inputs["name"],
            }
            for one in asked.world.all(VM)
        ]
    }


ANSWERS: Mapping[str, Answer] = {"/access/permissions": _permissions, "/cluster/resources": _resources}
"""By the end of the call's name in `rest.json`."""
