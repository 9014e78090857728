"""Azure: `PowerState/...` stands in the instance view only, which nobody gets who does not ask for it; started by the
interface itself (Microsoft.Compute, Virtual Machines - Start)."""

from __future__ import annotations

from components.clouds.adoption import Setting, Values
from components.clouds.power import Power, Request

REST = "https://management.azure.com"
VERSION = "2024-07-01"
"""Of the interface."""
PREFIX = "PowerState/"


def name_machine(id: str) -> Values:
    """Return what the function takes, of `/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/N`."""
    parts = id.split("/")
    return {"resourceGroupName": parts[4], "vmName": parts[8], "expand": "instanceView"}


def read_state(answer: Values) -> str:
    """Return the word after `PowerState/`; none where the platform does not know, as while it creates the machine."""
    codes = [str(one["code"]) for one in (answer.get("instanceView") or {}).get("statuses") or ()]
    return next((code.removeprefix(PREFIX) for code in codes if code.startswith(PREFIX)), "")


def start(id: str, state: str, setting: Setting) -> Request:
    """`start`, which allocates what was deallocated."""
    return Request(
        f"{REST}{id}/start?api-version={VERSION}", {}, function="azure-native:authorization:getClientToken", field="token"
    )


POWER = Power(
    "azure-native:compute:getVirtualMachine",
    name_machine,
    read_state,
    frozenset({"stopped", "stopping", "deallocated", "deallocating"}),
    start,
    frozenset({"stopping", "deallocating"}),
)
