"""Proxmox VE's machines as they boot (`facts/onprem.md` 2.5, 3): what cloud-init finds, what the kernel has drivers for."""

from __future__ import annotations

import json
from typing import Any

from tests.simulator.case import Seen
from tests.simulator.proxmox.resources import SNIPPET, VM
from tests.simulator.reach import Machine
from tests.simulator.world import Thing, World

MIB = 1024


def list_machines(world: World) -> list[Thing]:
    """Machines that run, or are to: those that keep a disk never do."""
    return [one for one in world.all(VM) if one.inputs.get("started", True)]


def look(world: World) -> list[Machine]:
    """Every machine, with nothing filtered: the nodes do it."""
    return [
        Machine(
            one.id,
            one.inputs["name"],
            bridge_of(one),
            address_of(one),
            address_of(one),
            True,
            True,
            (),
            (),
            filters_private=False,
        )
        for one in list_machines(world)
    ]


def bridge_of(machine: Thing) -> str:
    """The bridge and VLAN of its first interface."""
    device: dict[str, Any] = next(iter(machine.inputs.get("networkDevices") or []), {})
    return f"{device.get('bridge')} {device.get('vlanId') or 0}"


def address_of(machine: Thing) -> str:
    """The address that it gives itself."""
    configs = (machine.inputs.get("initialization") or {}).get("ipConfigs") or [{}]
    return str((configs[0].get("ipv4") or {}).get("address") or "").partition("/")[0]


def find_text(world: World, machine: Thing, name: str) -> str:
    """A file that the machine is handed, "" where cloud-init of a cloud kernel finds no drive: `q35` has IDE on AHCI."""
    drive = machine.inputs.get("initialization") or {}
    hidden = str(machine.inputs.get("machine") or "pc").startswith("q35") and not str(drive.get("interface")).startswith("scsi")
    hidden |= str(drive.get("interface")).startswith("sata")
    found = [one for one in world.all(SNIPPET) if one.id == drive.get(name) and one.inputs["nodeName"] == machine.get("nodeName")]
    return "" if hidden or not found else str(found[0].inputs["sourceRaw"]["data"])


def lets_in(world: World, machine: Thing) -> bool:
    """Whether cloud-init is told a key: with user data of one's own Proxmox VE tells it none itself."""
    try:
        told = json.loads(find_text(world, machine, "metaDataFileId") or "{}")
    except ValueError:
        return False
    # An identity that is made of the text would have a machine begin anew when it is started after the text changed.
    return bool(told.get("public-keys")) and told.get("instance-id") == machine.inputs["name"]


def see(world: World) -> list[Seen]:
    """Machines."""
    owners = {
        disk["pathInDatastore"]: one for one in world.all(VM) for disk in one.outputs["disks"] if one.get("started") is False
    }
    return [see_one(world, one, owners) for one in list_machines(world)]


def see_one(world: World, machine: Thing, owners: dict[str, Thing]) -> Seen:
    """A machine as the node finds itself."""
    inputs = machine.inputs
    cpu, memory, device = (inputs.get(name) or {} for name in ("cpu", "memory", "agent"))
    disks = {disk["interface"]: disk for disk in machine.outputs["disks"]}
    used = {name: owners[disk["pathInDatastore"]] for name, disk in disks.items() if disk["pathInDatastore"] in owners}
    plugged: dict[str, Any] = next(iter(inputs.get("networkDevices") or []), {})
    boots = "virtio0" in disks and plugged.get("model", "virtio") in ("virtio", "vmxnet3") and plugged.get("enabled", True)
    measure = f"{cpu.get('cores', 1) * cpu.get('sockets', 1):g}x{memory.get('dedicated', 512) / MIB:g}"
    return Seen(
        name=inputs["name"],
        # A balloon, a limit or a CPU of twenty years ago is not what the plan says.
        machine_type=measure if not memory.get("floating") and not cpu.get("limit") and cpu.get("type") != "qemu64" else "less",
        image=str(disks.get("virtio0", {}).get("importFrom") or (inputs.get("clone") or {}).get("vmId") or ""),
        user_data=find_text(world, machine, "userDataFileId"),
        place=f"cluster-{inputs['nodeName']}",
        private_address=address_of(machine),
        public_address=None,
        firewalls=(),
        disks={owner.inputs["name"]: disks[name]["size"] for name, owner in used.items()},
        boot_gib=disks.get("virtio0", {}).get("size"),
        apart=None,
        devices={
            owner.inputs["name"]: f"/dev/disk/by-id/virtio-{serial}"
            for name, owner in used.items()
            if (serial := disks[name].get("serial")) and name.startswith("virtio")
        },
        lets_in=lets_in(world, machine),
        # Waiting for an agent that is not in the image ends with an error after a quarter of an hour.
        runs=boots and machine.outputs.get("status") == "running" and not device.get("enabled"),
        labels=tuple(inputs.get("tags") or ()),
    )
