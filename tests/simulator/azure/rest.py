"""Azure: what Resource Manager tells of the subscription, of sizes and disks, of quotas, of images and of resource groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.model.clouds.facts import load_machine_types
from tests.simulator.account import facts_of
from tests.simulator.rest import Answer, Asked

REGION = "westeurope"
DISKS = ("Standard_LRS", "StandardSSD_LRS", "Premium_LRS", "PremiumV2_LRS", "UltraSSD_LRS")
IMAGES = [["Debian", f"debian-{number}", f"{number}-gen2"] for number in (12, 13)]
USUAL = {"cores": 200, "virtualMachines": 25000}
NETWORK = {"VirtualNetworks": 1000, "NetworkSecurityGroups": 5000, "PublicIPAddresses": 1000, "StandardSkuPublicIpAddresses": 20}
FIRST_WITH_NVME = 6
"""Azure's own table, beside ours."""


def _account(asked: Asked) -> Any:
    return {"displayName": "Simulated", "subscriptionId": asked.part("subscriptions"), "state": "Enabled"}


def _sku(name: str, kind: str, barred: tuple[str, ...], capabilities: Mapping[str, str]) -> dict[str, Any]:
    """The subscription gets none of it in the zones that are barred."""
    zones = {"locations": [REGION], "zones": [*barred]}
    rule = {"type": "Zone", "values": [REGION], "reasonCode": "NotAvailableForSubscription", "restrictionInfo": zones}
    return {
        "resourceType": kind,
        "name": name,
        # The usages begin with a small letter.
        "family": family_of(name).replace("standard", "Standard", 1),
        "locations": [REGION],
        "locationInfo": [{"location": REGION, "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": [{"name": key, "value": value} for key, value in capabilities.items()],
        "restrictions": [rule] if barred else [],
    }


def family_of(size: str) -> str:
    """`Standard_F4als_v6` is of `standardFalsv6Family`."""
    letters = "".join(letter for letter in size.removeprefix("Standard_") if not letter.isdigit() or size.endswith(f"v{letter}"))
    return f"standard{letters.replace('_', '')}Family"


def _skus(asked: Asked) -> Any:
    facts = facts_of(asked.world, "azure-native")
    controllers, withdrawn = facts.get("controllers", {}), facts["withdrawn"]
    sizes = []
    for machine in load_machine_types("azure"):
        new = int(machine.name.rpartition("_v")[2]) >= FIRST_WITH_NVME
        told = {"vCPUs": str(machine.vcpus), "DiskControllerTypes": controllers.get(machine.name, "NVMe" if new else "SCSI")}
        sizes.append(_sku(machine.name, "virtualMachines", tuple(withdrawn.get(machine.name, ())), told))
    disks = [_sku(name, "disks", (), {"MaxSizeGiB": "65536"}) for name in DISKS if name not in withdrawn]
    return {"value": [*disks, *sizes]}


def _usages(asked: Asked, usual: Mapping[str, int]) -> Any:
    limits = {**usual, **facts_of(asked.world, "azure-native")["limits"]}
    return {
        "value": [
            {"unit": "Count", "limit": int(limit), "currentValue": 0, "name": {"value": name, "localizedValue": f"Quota {name}"}}
            for name, limit in limits.items()
        ]
    }


def _compute(asked: Asked) -> Any:
    families = {family_of(machine.name) for machine in load_machine_types("azure")}
    return _usages(asked, {**USUAL, **dict.fromkeys(sorted(families), 100)})


def _network(asked: Asked) -> Any:
    return _usages(asked, NETWORK)


def _versions(asked: Asked) -> Any:
    parts = [asked.part(name) for name in ("publishers", "offers", "skus")]
    return [{"name": "0.20261110.2291", "location": REGION}] if parts in IMAGES else None


def _group(asked: Asked) -> Any:
    wanted = asked.part("resourcegroups")
    groups = asked.world.all("azure-native:resources:ResourceGroup")
    return next(({"name": wanted, "location": REGION} for one in groups if one.get("resourceGroupName") == wanted), None)


ANSWERS: Mapping[str, Answer] = {
    "/Microsoft.Compute/skus": _skus,
    "/Microsoft.Compute/locations/[a-z0-9]+/usages": _compute,
    "/Microsoft.Network/locations/[a-z0-9]+/usages": _network,
    "/versions": _versions,
    "/resourcegroups/[^/]+": _group,
    "/subscriptions/[-0-9a-f]+": _account,
}
"""By the end of the call's name in `rest.json`."""
