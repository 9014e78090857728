"""XCP-ng: `power_state` of a machine; started by Xen Orchestra's REST interface (`/rest/v0/vms/{id}/actions/start`)."""

from __future__ import annotations

from components.clouds.adoption import Setting
from components.clouds.power import Direct, Power
from components.clouds.xen.interface import call


def tell(id: str, setting: Setting) -> str:
    """Return Xen Orchestra's word for a machine."""
    return str(call(setting, "GET", f"/vms/{id}")["power_state"])


def start(id: str, state: str, setting: Setting) -> Direct:
    """Return the start of a machine."""
    return Direct(lambda: call(setting, "POST", f"/vms/{id}/actions/start"))


POWER = Power("", lambda id: {}, lambda answer: "", frozenset({"Halted"}), start, tell=tell)
