"""vCenter: functions of its provider that find by name what its owner has (`facts/onprem.md` 4; data_source_vsphere_*.go of
vmware/terraform-provider-vsphere@b45b5b4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, facts_of, read_facts
from tests.simulator.call import Account
from tests.simulator.vsphere.resources import CLUSTERS, DATACENTERS, NETWORKS, PACKAGE, find_template, stores_of
from tests.simulator.world import World

PLACES = tuple(CLUSTERS)
FIRST = next(iter(DATACENTERS.values()))


def clusters_of(world: World) -> Mapping[str, str]:
    """The clusters that there are."""
    return CLUSTERS


def networks_of(world: World) -> Mapping[str, str]:
    """The networks that there are: `tell(world, "vsphere", networks=[...])` names others."""
    named = facts_of(world, PACKAGE).get("networks")
    return NETWORKS if named is None else {name: f"network-{number}" for number, name in enumerate(named, 50)}


def _datacenter(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    name = arguments.get("name")
    if name not in DATACENTERS:
        raise ProviderError(f"datacenter '{name}' not found")
    return {**arguments, "id": DATACENTERS[name], "virtualMachines": []}


def _make(what: str, find: Callable[[World], Mapping[str, str]]) -> Function:
    def look_up(account: Account, arguments: Properties) -> Properties:
        read_facts(account)
        found = find(account.world).get(arguments["name"])
        if found is None or arguments.get("datacenterId", FIRST) != FIRST:
            raise ProviderError(f"{what} '{arguments['name']}' not found")
        more = {"resourcePoolId": f"{found}-pool"} if what == "cluster" else {}
        more |= {"type": "Network"} if what == "network" else {}
        return {**arguments, "id": found, **more}

    return look_up


def _machine(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    template = find_template(str(arguments.get("name") or ""))
    if template is None or arguments.get("datacenterId", FIRST) != FIRST:
        raise ProviderError(f"error fetching virtual machine: vm '{arguments.get('name')}' not found")
    disk = {"label": "disk0", "size": template.disk_gib, "thinProvisioned": True, "eagerlyScrub": False, "unitNumber": 0}
    return {
        **arguments,
        "id": template.uuid,
        "uuid": template.uuid,
        "guestId": template.guest,
        "firmware": template.firmware,
        "scsiType": "pvscsi",
        "disks": [{**disk, "unitNumber": number} for number in range(template.disks)],
    }


FUNCTIONS: Mapping[str, Function] = {
    f"{PACKAGE}:index/getDatacenter:getDatacenter": _datacenter,
    f"{PACKAGE}:index/getComputeCluster:getComputeCluster": _make("cluster", clusters_of),
    f"{PACKAGE}:index/getDatastore:getDatastore": _make("datastore", stores_of),
    f"{PACKAGE}:index/getNetwork:getNetwork": _make("network", networks_of),
    f"{PACKAGE}:index/getVirtualMachine:getVirtualMachine": _machine,
}
"""By token."""
