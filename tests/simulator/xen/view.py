"""Machines of Xen Orchestra as they boot (`facts/onprem.md` 5): what is on the drive that was written when they were made."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from typing import Any

from tests.simulator.case import Seen
from tests.simulator.reach import Machine
from tests.simulator.world import Thing, World
from tests.simulator.xen.machines import RUNNING, firmware_of
from tests.simulator.xen.resources import GIB, HOSTS, VM, id_of

NOWHERE = "0.0.0.0"
"""The address of a machine that has none."""


def look(world: World) -> list[Machine]:
    """Every machine, with nothing filtered: the nodes do it."""
    return [
        Machine(
            one.id,
            one.inputs["nameLabel"],
            one.inputs["networks"][0]["networkId"],
            address_of(one),
            address_of(one),
            True,
            True,
            (),
            (),
            filters_private=False,
        )
        for one in world.all(VM)
    ]


def address_of(machine: Thing) -> str:
    """The address that it gives itself: of version 1, to the interface with that MAC address; else it has none."""
    try:
        told = json.loads(machine.outputs["booted"].get("cloudNetworkConfig") or "{}")
    except ValueError:
        return NOWHERE
    mac = str(machine.outputs["networks"][0]["macAddress"]).lower()
    found: dict[str, Any] = next((one for one in told.get("config") or () if one.get("mac_address") == mac), {})
    subnets = found.get("subnets") or [{}]
    return str(subnets[0].get("address") or NOWHERE).partition("/")[0] if told.get("version") == 1 else NOWHERE


def lets_in(machine: Thing) -> bool:
    """Whether its user data names a key: nothing else tells it one."""
    packed = re.findall(r"(?:^[A-Za-z0-9+/=]+$\n?)+", str(machine.outputs["booted"].get("cloudConfig")), re.MULTILINE)
    try:
        text = gzip.decompress(base64.b64decode(max(packed, key=len, default=""))).decode()
    except (EOFError, OSError, ValueError, zlib.error):
        return False
    return re.search(r"^ssh_authorized_keys:\n  - ssh-", text, re.MULTILINE) is not None


def see(world: World) -> list[Seen]:
    """Machines."""
    return [see_one(one) for one in world.all(VM)]


def see_one(machine: Thing) -> Seen:
    """A machine as the node finds itself."""
    inputs, outputs = machine.inputs, machine.outputs
    host = next((name for name in HOSTS if id_of("host", name) == inputs.get("affinityHost")), "")
    disks = outputs["disks"]
    measure = f"{inputs['cpus']:g}x{inputs['memoryMax'] / GIB:g}"
    whole = outputs["memoryMin"] == inputs["memoryMax"] and not inputs.get("cpuCap")
    booted = outputs["booted"]
    starts = booted["hvmBootFirmware"] == firmware_of(booted["template"])
    return Seen(
        name=inputs["nameLabel"],
        machine_type=measure if whole else "less",
        image=str(booted["template"]),
        # A drive that is deleted after the boot is deleted before it is read (onprem.md 5.2).
        user_data="" if inputs.get("destroyCloudConfigVdiAfterBoot") else str(booted.get("cloudConfig") or ""),
        place=f"pool-{host}",
        private_address=address_of(machine),
        public_address=None,
        firewalls=(),
        disks={disk["nameLabel"]: int(disk["size"] / GIB) for disk in disks[1:] if disk.get("attached", True)},
        boot_gib=int(disks[0]["size"] / GIB),
        apart=None,
        devices={disk["nameLabel"]: f"/dev/xvd{chr(ord('a') + int(disk['position']))}" for disk in disks[1:]},
        lets_in=lets_in(machine),
        runs=outputs["powerState"] == RUNNING and starts and inputs["networks"][0].get("attached", True),
        labels=tuple(inputs.get("tags") or ()),
    )
