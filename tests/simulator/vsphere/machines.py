"""vCenter's machines (`facts/onprem.md` 4; vmware/terraform-provider-vsphere@b45b5b4, resource_vsphere_virtual_machine.go,
internal/virtualdevice/virtual_machine_disk_subresource.go, internal/vmworkflow/virtual_machine_clone_subresource.go)."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

from provider.server import UNKNOWN, Failure, Properties, Request
from tests.simulator.call import Call
from tests.simulator.resource import Simulated
from tests.simulator.vsphere.resources import (
    CLUSTERS,
    CORE_MHZ,
    DISK,
    FOLDERS,
    HOST_MEMORY_MIB,
    HOSTS_PER_CLUSTER,
    LARGEST_DISK_GIB,
    NETWORKS,
    VM,
    cluster_of,
    find_template,
    stores_of,
)
from tests.simulator.world import Refused, Thing

ON, OFF = "poweredOn", "poweredOff"
MOST_VCPUS = 768
"""vSphere 8's configuration maximums."""
UNITS_PER_CONTROLLER = 15
STATIC_MAC = re.compile(r"00:50:56:[0-3][0-9A-F](:[0-9A-F]{2}){2}")
"""What VMware leaves to who chooses one (`facts/onprem.md` 7)."""


class VirtualMachine(Simulated):
    """A whole copy of a template that is reconfigured and started. Its own disks go with it, attached ones stay."""

    type = VM
    references: ClassVar = {"disks[].path": DISK}

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if not inputs.get("networkInterfaces"):
            yield Failure("networkInterfaces", "network_interface parameter is required when not deploying from ovf template")
        disks: list[Properties] = inputs.get("disks") or []
        if not disks:
            yield Failure("disks", "there must be at least one disk specified")
        labels, units = [one.get("label") for one in disks], [one.get("unitNumber", 0) for one in disks]
        paths = [one.get("path") for one in disks if one.get("path") not in (None, UNKNOWN)]
        for what, values in (("name", labels), ("SCSI unit_number", units), ("path", paths)):
            if len(values) != len({str(value) for value in values}):
                yield Failure("disks", f"disk: duplicate {what}")
        if disks and 0 not in units:
            yield Failure("disks", "at least one disk must have a unit_number of 0 for SATA, SCSI, NVMe or 1 for IDE")
        if inputs.get("datastoreId") is None and old is None:
            yield Failure("datastoreId", "one of datastore_id datastore_cluster_id must be specified")
        most = UNITS_PER_CONTROLLER * inputs.get("scsiControllerCount", 1) - 1
        for disk in disks:
            yield from check_disk(disk, most)
        yield from check_shrunk(disks, (old or {}).get("disks") or [])
        if old is None:
            yield from check_copy(inputs, disks)

    def make_id(self, call: Call) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{VM} {call.number()}"))

    def find_imported(self, id: str) -> str:
        """The UUID of the machine at a path, such as /Datacenter/vm/telephony/edge-1."""
        if not id.startswith("/"):
            return id
        machines = self.account.world.all(VM)
        return next((one.id for one in machines if id == path_of(one)), id)

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        found = super().read(request, id if outputs else self.find_imported(id), inputs, outputs)
        if found is None and id.startswith("/"):
            raise Refused(f"error fetching virtual machine: vm '{id}' not found")
        return found

    def preview_create(self, request: Request, inputs: Properties) -> Properties:
        return {**super().preview_create(request, inputs), "disks": UNKNOWN}  # with UUIDs that nobody knows yet

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        self._place(call, inputs)
        self._size(call, inputs)
        return {
            "uuid": call.id,
            "moid": f"vm-{call.id}",
            "powerState": ON,
            "disks": [self._put(call, disk) for disk in inputs["disks"]],
            "networkInterfaces": [self._plug(one) for one in inputs["networkInterfaces"]],
            "defaultIpAddress": "",
            "guestIpAddresses": [],
            "vmxPath": f"{inputs['name']}/{inputs['name']}.vmx",
            "changeVersion": "1",
            "imported": False,
            "rebootRequired": False,
            "vmwareToolsStatus": "guestToolsRunning",
            "vappTransports": [],
        }

    def _place(self, call: Call, inputs: Properties) -> None:
        folder = str(inputs.get("folder") or "").strip("/")
        if inputs["resourcePoolId"] not in {f"{id}-pool" for id in CLUSTERS.values()}:
            raise Refused(f'could not find resource pool ID "{inputs["resourcePoolId"]}"')
        if inputs.get("datastoreId") not in stores_of(call.world).values():
            raise Refused(f"error locating datastore for VM: {inputs.get('datastoreId')}")
        if folder not in FOLDERS:
            raise Refused(f"folder '{folder}' not found")
        call.hold(f"name '{inputs['name']}' in folder {folder or 'vm'}")
        if call.old is None and (clone := inputs.get("clone")) and not find_template(clone["templateUuid"]):
            raise Refused(f'cannot locate virtual machine or template with UUID "{clone["templateUuid"]}"')

    def _size(self, call: Call, inputs: Properties) -> None:
        cpus, memory, reserved = inputs["numCpus"], inputs["memory"], inputs.get("memoryReservation") or 0
        if not 0 < cpus <= MOST_VCPUS or inputs["numCoresPerSocket"] < 1 or cpus % inputs["numCoresPerSocket"]:
            raise Refused("A specified parameter was not correct: configSpec.numCoresPerSocket")
        if memory < 4 or memory % 4 or memory > HOST_MEMORY_MIB:
            raise Refused("A specified parameter was not correct: configSpec.memoryMB")
        if reserved > memory:
            raise Refused("A specified parameter was not correct: configSpec.memoryAllocation.reservation")
        others = [one for one in call.world.all(VM) if one.id != call.id and cluster_of(one) == inputs["resourcePoolId"][:-5]]
        taken = sum(one.inputs.get("memoryReservation") or 0 for one in others)
        if taken + reserved > HOSTS_PER_CLUSTER * HOST_MEMORY_MIB:
            raise Refused(
                "error powering on virtual machine: The available Memory resources in the parent resource pool are insufficient "
                "for the operation."
            )
        mhz = inputs.get("cpuReservation") or 0
        if mhz > cpus * CORE_MHZ:
            raise Refused("A specified parameter was not correct: configSpec.cpuAllocation.reservation")
        if inputs["latencySensitivity"] == "high" and (mhz < cpus * CORE_MHZ or reserved != memory):
            raise Refused(
                "error powering on virtual machine: Invalid CPU reservation for the latency-sensitive VM, (sched.cpu.min) should "
                f"be at least {cpus * CORE_MHZ} MHz."
            )

    def _put(self, call: Call, disk: Properties) -> Properties:
        before = next((one for one in call.outputs.get("disks") or [] if one["label"] == disk["label"]), None)
        if disk.get("attach"):
            found = call.world.find(DISK, disk["path"])
            if found is None or stores_of(call.world).get(found.inputs["datastore"]) != disk["datastoreId"]:
                raise Refused(f"File {disk['path']} was not found")
            call.hold(f"lock of [{found.inputs['datastore']}] {disk['path']}")
            number = found.outputs["simulatedNumber"]
        else:
            if disk["size"] > LARGEST_DISK_GIB:
                raise Refused("A specified parameter was not correct: configSpec.deviceChange.device.capacityInKB")
            number = f"{call.id} {disk['label']}"
        made = uuid.uuid5(uuid.NAMESPACE_OID, f"disk {number}")
        return {
            **disk,
            "uuid": before["uuid"] if before else f"6000c29{str(made)[7:]}",
            "path": disk.get("path") or f"{call.inputs['name']}/{call.inputs['name']}.vmdk",
            "datastoreId": disk.get("datastoreId") or call.inputs["datastoreId"],
            "key": 2000 + disk.get("unitNumber", 0),
            "deviceAddress": f"scsi:0:{disk.get('unitNumber', 0)}",
        }

    def _plug(self, device: Properties) -> Properties:
        if device["networkId"] not in NETWORKS.values():
            raise Refused(f'could not find network with ID "{device["networkId"]}"')
        mac = str(device.get("macAddress") if device.get("useStaticMac") else "00:50:56:80:00:01").upper()
        if device.get("useStaticMac") and not STATIC_MAC.fullmatch(mac):
            raise Refused(f"Invalid configuration for device '0': the address {mac} is reserved by VMware")
        return {**device, "macAddress": mac, "key": 4000, "deviceAddress": "pci:0:7"}

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        with self.account.world.change() as world:
            if there := world.find(VM, id):
                # Shut down, or powered off after a while, and so it stays, whatever follows.
                world.put(replace(there, outputs={**there.outputs, "powerState": OFF}))
        super().delete(request, id, inputs, outputs)
        if there is None:
            raise Refused(f'cannot locate virtual machine with UUID "{id}": virtual machine with UUID "{id}" not found')


def check_disk(disk: Properties, most: int) -> Iterator[Failure]:
    """What the provider says of one disk: of an attached one nothing may be said that the file knows."""
    name = disk.get("label")
    if str(name).startswith("orphaned_disk_"):
        yield Failure("disks", f'disk label "{name}" cannot start with "orphaned_disk_"')
    if disk.get("unitNumber", 0) > most:
        yield Failure("disks", f'unit_number on disk "{name}" too high ({disk["unitNumber"]}) - maximum value is {most}')
    if disk.get("attach"):
        if disk.get("datastoreId") is None:
            yield Failure("disks", f'datastore_id for disk "{name}" is required when attach is set')
        if not disk.get("path"):
            yield Failure("disks", "path or name cannot be empty when using attach")
        for input in ("size", "eagerlyScrub"):
            if disk.get(input):
                yield Failure("disks", f'{input} for disk "{name}" cannot be defined when attach is set')
        if disk.get("keepOnRemove"):
            yield Failure("disks", f'keep_on_remove for disk "{name}" is implicit when attach is set, please remove this setting')
    elif disk.get("size") is None:
        yield Failure("disks", f'size for disk "{name}": required option not set')
    elif disk.get("path"):
        yield Failure("disks", f'path for disk "{name}" can only be given when attach is set')
    if disk.get("eagerlyScrub") and disk.get("thinProvisioned"):
        yield Failure("disks", f"{name}: eagerly_scrub and thin_provisioned cannot both be set to true")


def check_shrunk(disks: list[Properties], before: list[Properties]) -> Iterator[Failure]:
    """What may not change of a disk that is there."""
    olds = {one.get("label"): one for one in before}
    for disk in disks:
        old = olds.get(disk.get("label"), {})
        if old and (disk.get("size") or 0) < (old.get("size") or 0):
            yield Failure("disks", f'virtual disk "{disk["label"]}": virtual disks cannot be shrunk')
        if old and bool(disk.get("attach")) != bool(old.get("attach")):
            yield Failure("disks", f'virtual disk "{disk["label"]}": cannot change the value of "attach"')


def check_copy(inputs: Properties, disks: list[Properties]) -> Iterator[Failure]:
    """What has to be as in the template."""
    wanted: Any = (inputs.get("clone") or {}).get("templateUuid")
    template = find_template(wanted) if isinstance(wanted, str) else None
    if template is None:
        return
    guest = inputs.get("guestId")
    if guest is not UNKNOWN and guest != template.guest:
        yield Failure("guestId", f'invalid guest ID "{guest}" for clone. Please set it to "{template.guest}"')
    if len(disks) < template.disks:
        yield Failure("disks", f"not enough disks in configuration - you need at least {template.disks} to use this template")
    first = min(disks, key=lambda one: int(one.get("unitNumber", 0)), default={})
    if isinstance(size := first.get("size"), (int, float)) and size < template.disk_gib:
        yield Failure(
            "disks",
            f"disk name {first['label']} must be at least the same size of source when cloning (expected: >= "
            f"{template.disk_gib} GiB)",
        )


def path_of(machine: Thing) -> str:
    """Where a machine is in the inventory."""
    parts = ("Datacenter", "vm", str(machine.inputs.get("folder") or "").strip("/"), machine.inputs["name"])
    return "/" + "/".join(part for part in parts if part)


def start(thing: Thing) -> Thing:
    """The machine after its start."""
    return replace(thing, outputs={**thing.outputs, "powerState": ON})


TYPES = (VirtualMachine,)
