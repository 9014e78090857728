"""vCenter's machines as they boot (`facts/onprem.md` 3, 4): what cloud-init finds in guestinfo, what a kernel has drivers for."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

from tests.simulator.case import Seen
from tests.simulator.reach import Machine
from tests.simulator.vsphere.machines import ON
from tests.simulator.vsphere.resources import CLUSTERS, DISK, RULE, TEMPLATES, VM, cluster_of
from tests.simulator.world import Thing, World

NOWHERE = "0.0.0.0"


def read_guestinfo(machine: Thing, name: str) -> str:
    """A text as cloud-init decodes it, "" where it cannot (DataSourceVMware of cloud-init 22.4.2)."""
    told: dict[str, str] = machine.inputs.get("extraConfig") or {}
    text, encoding = told.get(f"guestinfo.{name}") or "", told.get(f"guestinfo.{name}.encoding") or ""
    try:
        if encoding in ("gzip+base64", "gz+b64"):
            return gzip.decompress(base64.b64decode(text, validate=True)).decode()
        return base64.b64decode(text, validate=True).decode() if encoding in ("base64", "b64") else text
    except (OSError, EOFError, ValueError, zlib.error):
        return ""


def read_metadata(machine: Thing) -> dict[str, Any]:
    """The metadata, {} where it is none."""
    try:
        found = json.loads(read_guestinfo(machine, "metadata") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_address(machine: Thing) -> str:
    """The address that the guest gives the interface whose MAC address its metadata names; of no network without one."""
    macs = {one["macAddress"].lower() for one in machine.outputs["networkInterfaces"]}
    interfaces = (read_metadata(machine).get("network") or {}).get("ethernets", {})
    return next(
        (one["addresses"][0].partition("/")[0] for one in interfaces.values() if one["match"]["macaddress"] in macs), NOWHERE
    )


def look(world: World) -> list[Machine]:
    """Every machine, with nothing filtered: the nodes do it."""
    return [
        Machine(
            id=one.id,
            name=one.inputs["name"],
            network=one.inputs["networkInterfaces"][0]["networkId"],
            private=read_address(one),
            public="",
            reachable=False,
            way_out=True,
            ingress=(),
            egress=(),
            filters_private=False,
        )
        for one in world.all(VM)
    ]


def see(world: World) -> list[Seen]:
    """Machines."""
    return [_see(world, one) for one in world.all(VM)]


def find_group(world: World, machine: Thing) -> str:
    """The rule that keeps a machine from hosts of others, "" without one."""
    rules = [one for one in world.all(RULE) if machine.id in one.inputs["virtualMachineIds"] and one.inputs["enabled"]]
    return ", ".join(one.id for one in rules)


def measure(machine: Thing) -> str:
    """The size that is a machine's alone: memory that is reserved, a CPU that nothing limits."""
    inputs = machine.inputs
    taken = inputs.get("memoryReservation") != inputs["memory"] or inputs.get("cpuLimit", -1) >= 0
    return "less" if taken else f"{inputs['numCpus']:g}x{inputs['memory'] / 1024:g}"


def _see(world: World, machine: Thing) -> Seen:
    inputs = machine.inputs
    names = {id: name for name, id in CLUSTERS.items()}
    disks = {one["label"]: one for one in machine.outputs["disks"]}
    data = {
        str(found.inputs["vmdkPath"]).rpartition("/")[2].removesuffix(".vmdk"): (one, found)
        for one in disks.values()
        if one.get("attach") and (found := world.find(DISK, one["path"]))
    }
    metadata, uuid = read_metadata(machine), (inputs.get("clone") or {}).get("templateUuid")
    # A controller or a card that a kernel has no driver for: nothing boots, nobody answers.
    boots = inputs["scsiType"] == "pvscsi" and inputs["networkInterfaces"][0]["adapterType"] == "vmxnet3"
    user_data = (inputs.get("extraConfig") or {}).get("guestinfo.userdata") or ""
    return Seen(
        name=inputs["name"],
        machine_type=measure(machine),
        image=next((one.name for one in TEMPLATES if one.uuid == uuid), ""),
        user_data=user_data if read_guestinfo(machine, "userdata") else "",
        place=f"vcenter-{names.get(cluster_of(machine), '')}",
        private_address=read_address(machine),
        public_address=None,
        firewalls=(),
        disks={name: int(found.inputs["size"]) for name, (_, found) in data.items()},
        boot_gib=int(disks["boot"]["size"]) if "boot" in disks else 0,
        apart=find_group(world, machine),
        devices={
            name: f"/dev/disk/by-id/wwn-0x{one['uuid'].replace('-', '')}"
            for name, (one, _) in data.items()
            if inputs.get("enableDiskUuid")
        },
        lets_in=bool(metadata.get("public-keys")) and metadata.get("instance-id") == inputs["name"],
        runs=boots and machine.outputs["powerState"] == ON,
        labels=(inputs["name"],),
    )
