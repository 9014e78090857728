"""vCenter: what its owner has, disks and rules (`facts/onprem.md` 4; vmware/terraform-provider-vsphere@b45b5b4,
resource_vsphere_virtual_disk.go, resource_vsphere_compute_cluster_vm_anti_affinity_rule.go)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from provider.server import Properties, ProviderError, Request
from tests.simulator.account import facts_of
from tests.simulator.call import Call
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing, World

PACKAGE = "vsphere"
ERRORS: Mapping[str, str] = {
    "capacity": "error powering on virtual machine: The available Memory resources in the parent resource pool are insufficient "
    "for the operation.",
    "quota": "Permission to perform this operation was denied.",
    "rate": "Another task is already in progress.",
    "error": "A general system error occurred: Internal error",
}
VM, DISK = "vsphere:index/virtualMachine:VirtualMachine", "vsphere:index/virtualDisk:VirtualDisk"
RULE = "vsphere:index/computeClusterVmAntiAffinityRule:ComputeClusterVmAntiAffinityRule"

DATACENTERS = {"Datacenter": "datacenter-2", "Frankfurt": "datacenter-3"}
CLUSTERS = {"cluster": "domain-c8", "cluster-2": "domain-c9", "cluster-3": "domain-c10"}
STORES = {"datastore1": "datastore-11", "ssd": "datastore-12"}
NETWORKS = {"VM Network": "network-13", "telephony": "dvportgroup-14"}
FOLDERS = ("", "telephony")
"""Names in vCenter, and ids; all of them in the first datacenter."""
HOSTS_PER_CLUSTER = 6
HOST_MEMORY_MIB = 512 * 1024
CORE_MHZ = 2600
CORES = 32
"""Of each of a host's two CPUs."""
STORE_GIB = 40_000
"""Room of each store."""
LARGEST_DISK_GIB = 62 * 1024
"""vSphere's configuration maximums, 6 to 8."""


@dataclass(frozen=True)
class Template:
    """A template of the owner's."""

    name: str
    guest: str = "debian12_64Guest"
    firmware: str = "bios"
    disk_gib: int = 10
    disks: int = 1

    @property
    def uuid(self) -> str:
        """Its UUID."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.template.invalid"))


TEMPLATES = (
    Template("debian-12"),
    Template("debian-12-new", guest="other5xLinux64Guest", firmware="efi"),
    Template("two-disks", disks=2),
)


def find_template(text: str) -> Template | None:
    """A template by its name, path or UUID."""
    return next((one for one in TEMPLATES if text.rpartition("/")[2] == one.name or text == one.uuid), None)


def check_settings(settings: Properties) -> None:
    """The provider takes user, password and server from the environment where they are not given."""
    if settings.get("user") == "" or settings.get("password") == "":
        raise ProviderError("user and password must be provided")


def stores_of(world: World) -> Mapping[str, str]:
    """The stores that there are: `tell(world, "vsphere", stores=[...])` names others."""
    named = facts_of(world, PACKAGE).get("stores")
    return STORES if named is None else {name: f"datastore-{number}" for number, name in enumerate(named, 50)}


class VirtualDisk(Simulated):
    """A file, whose id is its path, without the store. It is locked while a machine uses it."""

    type = DISK

    def make_id(self, call: Call) -> str:
        return str(call.inputs["vmdkPath"])

    def find_imported(self, id: str) -> str:
        """The id of what an import names as /DATACENTER/[STORE]PATH in JSON; its provider keeps a blank before the path."""
        place = json.loads(id)["virtual_disk_path"] if id.startswith("{") else ""
        datacenter, _, path = place.removeprefix("/").partition("/[")
        return path.partition("]")[2] if datacenter in DATACENTERS else id

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = super().read(request, id if outputs else self.find_imported(id), inputs, outputs)
        if found is None and id.startswith("{"):
            raise Refused(f"error querying virtual disk: File {id} was not found")
        return found

    def make(self, call: Call) -> Properties:
        store, size = call.inputs["datastore"], call.inputs["size"]
        if call.inputs.get("datacenter", next(iter(DATACENTERS))) not in DATACENTERS:
            raise Refused(f"error finding datacenter: {call.inputs.get('datacenter')}: datacenter not found")
        if store not in stores_of(call.world):
            raise Refused(f"error finding datastore: {store}: datastore '{store}' not found")
        if "/" in call.inputs["vmdkPath"] and not call.inputs.get("createDirectories"):
            raise Refused(f"File [{store}] {call.inputs['vmdkPath']} was not found")
        call.hold(f"file [{store}] {call.inputs['vmdkPath']}")
        if not 0 < size <= LARGEST_DISK_GIB:
            raise Refused("A specified parameter was not correct: spec.capacityKb")
        used = sum(one.inputs["size"] for one in call.world.all(DISK) if one.inputs["datastore"] == store and one.id != call.id)
        if call.inputs.get("type") != "thin" and used + size > STORE_GIB:
            raise Refused(f"Insufficient disk space on datastore '{store}'.")
        return {"simulatedNumber": call.lasting("simulatedNumber", str)}

    def change(self, call: Call) -> Properties:
        before, after = (call.old or {}).get("size", 0), call.inputs["size"]
        if after < before:
            raise Refused("shrinking a virtual disk is not supported")
        if call.world.users_of(Thing(DISK, call.id, "", {})):
            raise Refused(f"Failed to lock the file [{call.inputs['datastore']}] {call.id}")
        return super().change(call)

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        there = self.account.world.find(DISK, id)
        super().delete(request, id, inputs, outputs)
        if there is None:
            raise Refused(f"File [{inputs.get('datastore')}] {id} was not found")


class Rule(Simulated):
    """A rule of DRS. A machine that is deleted leaves it; no second one of its name is taken."""

    type = RULE
    mentions: ClassVar = {"virtualMachineIds": VM}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['computeClusterId']}:{call.number()}"

    def find_imported(self, id: str) -> str:
        """The id of what an import names by cluster and name in JSON."""
        if not id.startswith("{"):
            return id
        told = json.loads(id)
        cluster = CLUSTERS.get(told["compute_cluster_path"].rpartition("/")[2], "")
        rules = self.account.world.all(RULE)
        return next(
            (one.id for one in rules if (one.inputs["computeClusterId"], one.inputs["name"]) == (cluster, told["name"])), id
        )

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = super().read(request, id if outputs else self.find_imported(id), inputs, outputs)
        if found is None and id.startswith("{"):
            raise Refused(f"no rule {id}")
        return found

    def make(self, call: Call) -> Properties:
        cluster, machines = call.inputs["computeClusterId"], call.inputs["virtualMachineIds"]
        if cluster not in CLUSTERS.values():
            raise Refused(f"cannot locate cluster: The object 'vim.ClusterComputeResource:{cluster}' has already been deleted")
        if len(set(machines)) < 2:
            raise Refused("A specified parameter was not correct: spec.rulesSpec")
        for id in machines:
            if (machine := call.world.find(VM, id)) and cluster_of(machine) != cluster:
                raise Refused(f"A specified parameter was not correct: spec.rulesSpec: {id} is in another cluster")
        if facts_of(call.world, PACKAGE).get("unlicensed"):
            raise Refused("The license on the cluster does not support the feature DRS.")
        call.hold(f"rule {call.inputs['name']} of {cluster}")
        return {"simulatedNumber": call.lasting("simulatedNumber", str)}


def cluster_of(machine: Thing) -> str:
    """The id of the cluster that a machine is in."""
    return str(machine.inputs["resourcePoolId"]).removesuffix("-pool")


def text_of(value: Any) -> str:
    """A value as text, "" for none."""
    return "" if value is None else str(value)


TYPES = (VirtualDisk, Rule)
