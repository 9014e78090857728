"""KVM's machines: what the guest makes of its disc, and nothing that filters before it."""

from __future__ import annotations

import json

from tests.simulator.case import Seen
from tests.simulator.libvirt.machines import RUNNING
from tests.simulator.libvirt.resources import DISC, DOMAIN, GIB, HOSTS, VOLUME, endpoint_of
from tests.simulator.reach import Machine
from tests.simulator.world import Thing, World

NOWHERE = "0.0.0.0"


def read_address(world: World, machine: Thing) -> str:
    """The address that the guest gives the interface whose MAC address its disc names; of no network without one."""
    disc = world.find(DISC, str(machine.inputs.get("cloudinit")))
    if disc is None:
        return NOWHERE
    # One without a network has QEMU's own, where nobody reaches it.
    macs = {one.get("mac", "").lower() for one in machine.inputs.get("networkInterfaces") or [] if one.get("networkName")}
    interfaces = json.loads(disc.inputs.get("networkConfig") or "{}").get("ethernets", {})
    return next(
        (one["addresses"][0].partition("/")[0] for one in interfaces.values() if one["match"]["macaddress"] in macs), NOWHERE
    )


def look(world: World) -> list[Machine]:
    """Every machine."""
    return [
        Machine(
            id=one.id,
            name=one.inputs["name"],
            network=one.inputs["networkInterfaces"][0].get("networkName") or "",
            private=read_address(world, one),
            public="",
            reachable=False,
            way_out=True,
            ingress=(),
            egress=(),
            filters_private=False,
        )
        for one in world.all(DOMAIN)
    ]


def see(world: World) -> list[Seen]:
    """Machines with what is on their disc and their volumes."""
    return [_see(world, one) for one in world.all(DOMAIN)]


def _see(world: World, machine: Thing) -> Seen:
    disc = world.find(DISC, str(machine.inputs.get("cloudinit")))
    boot, *data = machine.inputs["disks"]
    volumes = {disk["volumeId"]: world.find(VOLUME, disk["volumeId"]) for disk in machine.inputs["disks"]}
    base = volumes[boot["volumeId"]]
    address = read_address(world, machine)
    return Seen(
        name=machine.inputs["name"],
        machine_type=f"{machine.inputs['vcpu']:g}x{machine.inputs['memory'] / 1024:g}",
        image=base.inputs.get("baseVolumeName", "") if base else "",
        user_data=disc.inputs.get("userData", "") if disc else "",
        place=next(f"host-{name}" for name, endpoint in HOSTS.items() if endpoint == endpoint_of(machine)),
        private_address=address,
        public_address=None,
        firewalls=(),
        disks={found.inputs["name"]: _gib(found) for disk in data if (found := volumes[disk["volumeId"]])},
        boot_gib=_gib(base) if base else 0,
        apart=None,
        devices={
            found.inputs["name"]: f"/dev/disk/by-id/wwn-0x{disk['wwn']}"
            for disk in data
            if (found := volumes[disk["volumeId"]]) and disk.get("scsi") and disk.get("wwn")
        },
        lets_in=bool(disc and json.loads(disc.inputs.get("metaData") or "{}").get("public-keys")),
        runs=machine.outputs["state"] == RUNNING,
        labels=(machine.inputs["name"],),
    )


def _gib(volume: Thing) -> int:
    return int(volume.get("size")) // GIB
