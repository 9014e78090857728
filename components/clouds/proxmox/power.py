"""Proxmox VE: `status` of a machine; started by its own interface (API viewer, `/nodes/{node}/qemu/{vmid}/status/start`)."""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.power import Direct, Power
from components.clouds.proxmox.interface import call, find_machine


def tell(id: str, setting: Setting) -> str:
    """Return the cluster's word for a machine, wherever in it the machine is."""
    return str(find_machine(setting, id)["status"])


def start(id: str, state: str, setting: Setting) -> Direct:
    """Return the start of a machine on the host that has it."""

    def run() -> None:
        machine = find_machine(setting, id)
        call(setting, "POST", f"/nodes/{machine['node']}/qemu/{id}/status/start")

    return Direct(run)


POWER = Power(
    "", lambda id: {}, lambda answer: str(answer["status"]), frozenset({"stopped", "paused", "suspended"}), start, tell=tell
)
