"""Proxmox VE's machines and their disks (`facts/onprem.md` 2.3, 2.4): a disk belongs to a machine and goes with it, and another
one may use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from typing import ClassVar

from provider.server import UNKNOWN, Failure, Properties, Request
from tests.simulator.account import facts_of
from tests.simulator.call import Call
from tests.simulator.proxmox.resources import IMAGE, PACKAGE, SNIPPET, TEMPLATES, VM, check_host, check_store
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing, World

ROOT = "root@pam"
ROOT_ONLY = ("cpu.affinity", "cpu.architecture", "memory.hugepages", "kvmArguments", "hookScriptFileId")
"""Inputs that only `root@pam` with a password may set: an API token is refused, whosever it is (the SDK's docstrings)."""
STORE_GIB = 20_000
"""Room of each store."""
VOLUME = re.compile(r"vm-(\d+)-disk-\d+")


class VmLegacy(Simulated):
    """A machine of a number that no other has, with disks of its own and such as belong to another one."""

    type = VM
    untold: ClassVar = ("stopOnDestroy", "timeoutShutdownVm", "rebootAfterUpdate", "deleteUnreferencedDisksOnDestroy")

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        disks = inputs.get("disks") or []
        names = [disk.get("interface") for disk in disks]
        if len(names) != len(set(map(str, names))):
            yield Failure("disks", "two disks on one interface")
        drive = inputs.get("initialization") or {}
        if drive.get("userAccount") and drive.get("userDataFileId"):
            yield Failure("initialization", "userAccount conflicts with userDataFileId")
        if drive.get("networkDataFileId") and drive.get("ipConfigs"):
            yield Failure("initialization", "networkDataFileId conflicts with ipConfigs")
        for one in drive.get("ipConfigs") or []:
            yield from check_address(one.get("ipv4") or {})

    def make_id(self, call: Call) -> str:
        return str(int(call.inputs.get("vmId") or 100 + call.number()))

    def find_imported(self, id: str) -> str:
        return id.rpartition("/")[2]

    def read(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> tuple[Properties, Properties] | None:
        return super().read(request, id if outputs else self.find_imported(id), inputs, outputs)

    def make(self, call: Call) -> Properties:
        inputs, host = call.inputs, call.inputs["nodeName"]
        check_host(host)
        call.hold(f"VM number {call.id} of the cluster")
        if int(call.id) in TEMPLATES:
            raise Refused(f"500 unable to create VM {call.id} - VM {call.id} already exists on node 'pve'")
        self._check_root(call)
        if (clone := inputs.get("clone")) and call.old is None:
            found = (clone.get("vmId"), clone.get("nodeName") or host)
            if found[0] not in TEMPLATES or found[1] != "pve":
                raise Refused(f"500 Configuration file 'nodes/{found[1]}/qemu-server/{found[0]}.conf' does not exist")
        if drive := inputs.get("initialization"):
            check_store(call.world, drive.get("datastoreId") or "local-lvm", "images")
            if call.old is None:
                for name in ("userDataFileId", "metaDataFileId", "vendorDataFileId", "networkDataFileId"):
                    if id := drive.get(name):
                        find_file(call.world, SNIPPET, id, host)
        return {
            "simulatedNumber": call.lasting("simulatedNumber", str),
            "status": "running" if inputs.get("started", True) else "stopped",
            "vmId": int(call.id),
            "disks": [self._place_disk(call, number, disk) for number, disk in enumerate(inputs.get("disks") or [])],
            "networkDevices": (devices := [self._plug(call, device) for device in inputs.get("networkDevices") or []]),
            "macAddresses": [device["macAddress"] for device in devices],
            "ipv4Addresses": [],
            "ipv6Addresses": [],
            "networkInterfaceNames": [],
        }

    def _check_root(self, call: Call) -> None:
        settings = call.account.settings
        if settings.get("username") == ROOT and settings.get("password") and not settings.get("apiToken"):
            return
        for path in ROOT_ONLY:
            value: object = call.inputs
            for part in path.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if value:
                raise Refused(f"500 only root can set '{path.rpartition('.')[2]}' config")

    def _place_disk(self, call: Call, number: int, disk: Properties) -> Properties:
        store, size = disk.get("datastoreId") or "local-lvm", disk.get("size") or 8
        check_store(call.world, store, "images")
        if size > STORE_GIB:
            raise Refused(f"500 lvcreate 'pve/vm-{call.id}-disk-{number}' error: insufficient free space")
        if disk["interface"].startswith("virtio") and disk.get("ssd"):
            raise Refused("400 Parameter verification failed: property is not defined in schema: ssd")
        if (path := disk.get("pathInDatastore")) and not path.startswith(f"vm-{call.id}-"):
            return self._use_disk(call, disk, path)
        if (image := disk.get("importFrom")) and call.old is None:
            find_file(call.world, IMAGE, image, call.inputs["nodeName"])
        before = next((one for one in call.outputs.get("disks") or [] if one["interface"] == disk["interface"]), None)
        if before and size < before["size"]:
            raise Refused(f"disk resize failure: requested size ({size}G) is lower than current size ({before['size']}G)")
        volume = before["pathInDatastore"] if before else f"vm-{call.id}-disk-{number}"
        return {**disk, "size": size, "pathInDatastore": volume, "fileFormat": "raw"}

    def _use_disk(self, call: Call, disk: Properties, path: str) -> Properties:
        found = VOLUME.fullmatch(path)
        owner = call.world.find(VM, found[1]) if found else None
        volumes = {one["pathInDatastore"]: one for one in owner.outputs["disks"]} if owner else {}
        if owner is None or path not in volumes:
            raise Refused(f"500 no such logical volume {path}")
        if owner.get("nodeName") != call.inputs["nodeName"]:
            raise Refused(
                f"500 volume {path} is on {owner.get('nodeName')}, and the store of {call.inputs['nodeName']} is its own"
            )
        if volumes[path].get("datastoreId") != disk.get("datastoreId"):
            raise Refused(f"500 volume '{disk.get('datastoreId')}:{path}' does not exist")
        if (disk.get("size") or 8) < volumes[path]["size"]:
            size = volumes[path]["size"]
            raise Refused(f"disk resize failure: requested size ({disk.get('size') or 8}G) is lower than current size ({size}G)")
        call.use(owner)
        call.hold(f"volume {path}")
        return {**disk, "size": volumes[path]["size"]}

    def _plug(self, call: Call, device: Properties) -> Properties:
        bridges = facts_of(call.world, PACKAGE).get("bridges") or ("vmbr0", "vmbr1")
        if device.get("bridge", "vmbr0") not in bridges:
            raise Refused(f"start failed: bridge '{device.get('bridge')}' does not exist")
        before: Properties = next(iter(call.outputs.get("networkDevices") or []), {})
        mac = device.get("macAddress") or before.get("macAddress") or make_mac(call)
        call.hold(f"MAC address {mac}")
        return {**device, "macAddress": mac}

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        with self.account.world.change() as world:
            if (machine := world.find(self.type, id)) and machine.inputs.get("started", True):
                # Shut down or stopped first, and so it stays, whatever follows.
                world.put(replace(machine, outputs={**machine.outputs, "status": "stopped"}))
        super().delete(request, id, inputs, outputs)

    def end(self, call: Call, thing: Thing) -> None:
        if thing.inputs.get("protection"):
            raise Refused(f"can't remove VM {thing.id} - protection mode enabled")


def check_address(ipv4: Properties) -> Iterator[Failure]:
    """Find an address of `ipConfigs` that is none, or whose router nobody could reach."""
    address, gateway = ipv4.get("address"), ipv4.get("gateway")
    if address in (None, "dhcp", UNKNOWN):
        return
    try:
        interface = IPv4Interface(str(address))
    except ValueError as error:
        yield Failure("initialization.ipConfigs", str(error))
        return
    if "/" not in str(address):
        yield Failure("initialization.ipConfigs", f"{address} has no prefix length")
    elif isinstance(gateway, str) and IPv4Address(gateway) not in interface.network:
        yield Failure("initialization.ipConfigs", f"gateway {gateway} is not in {interface.network}")


def make_mac(call: Call) -> str:
    """A MAC address with Proxmox' own beginning, another one for every new machine."""
    number = call.number()
    return f"BC:24:11:{number // 65536 % 256:02X}:{number // 256 % 256:02X}:{number % 256:02X}"


def find_file(world: World, type: str, id: str, host: str) -> Thing:
    """A file that has to be there, on that very host: a store of its own is not seen by another."""
    found = next((one for one in world.all(type) if one.id == id and one.inputs["nodeName"] == host), None)
    if found is None:
        raise Refused(f"500 volume '{id}' does not exist")
    return found


TYPES = (VmLegacy,)
