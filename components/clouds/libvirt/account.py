"""KVM by libvirt: whether each host answers, what it has room for, its pools, network and image, and the programs that the
provider starts on this machine.

Source: `facts/onprem.md` 6; what the provider's one function does not tell, `virsh` does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_libvirt import get_node_info_output

from components.clouds.libvirt.adapter import GIB, IMAGE, USUAL
from components.clouds.libvirt.adoption import domain_id
from components.clouds.libvirt.virsh import ask, list_volumes, read_fields
from components.clouds.questions import Asked, Questions, known
from components.model.clouds.offers import Finding
from components.model.plan import Node
from components.model.planning.sums import sum_nodes

KIB_PER_GIB = 1024**2
PROGRAMS = {
    "mkisofs": "the disc with a machine's user data is made here: apt install genisoimage",
    "xsltproc": "the definition of a machine is made here: apt install xsltproc",
    "virsh": "pools, networks and the state of machines are asked by it: apt install libvirt-clients",
}
"""What has to be on this machine, why, and where it comes from."""
RESERVE_GIB = 2
"""Memory that the host keeps for itself."""


def make_questions(asked: Asked) -> Questions:
    """List what the hosts are asked."""
    return Questions(
        partial(ask_account, asked),
        others={
            "programs": ask_programs,
            "stores": on_each(ask_stores, asked),
            "network": on_each(ask_network, asked),
            "image": on_each(ask_image, asked),
            "memory": on_each(ask_memory, asked),
            "names": on_each(ask_names, asked),
        },
    )


@dataclass(frozen=True)
class Place:
    """A host of the deployment: its name, "" where there is one only, the address that the provider uses too, and the nodes that
    are to come to it."""

    name: str
    uri: str
    missing: tuple[Node, ...]

    async def tell(self, *words: str) -> str:
        """Return what `virsh` prints."""
        return await asyncio.to_thread(ask, self.uri, *words)

    def find(self, check: str, told: str, remedy: str = "", *, waits: bool = False) -> Finding:
        """Make a finding that says on which host."""
        return Finding(check, f"{self.name}: {told}" if self.name else told, remedy, waits=waits)


def read_uri() -> str:
    """Return the address of the host that has none of its own in `webitel:site`."""
    return pulumi.Config("libvirt").get("uri") or os.environ.get("LIBVIRT_DEFAULT_URI", "")


def list_places(asked: Asked) -> list[Place]:
    """List the hosts on which nodes of the plan stand."""
    zones = asked.plan.zones
    return [
        Place(
            zone if len(zones) > 1 else "",
            asked.site.hosts.get(zone) or read_uri(),
            tuple(node for node in asked.missing if node.zone == zone),
        )
        for zone in zones
    ]


def on_each(question: Callable[[Asked, Place], Awaitable[list[Finding]]], asked: Asked) -> Callable[[], Awaitable[list[Finding]]]:
    """Return a question to every host, all at the same time."""

    async def ask_each() -> list[Finding]:
        told = await asyncio.gather(*(question(asked, place) for place in list_places(asked)))
        return [one for findings in told for one in findings]

    return ask_each


async def ask_account(asked: Asked) -> str:
    """Say what the hosts are: by the provider's own function where the default one is used, else by `virsh`."""
    told = []
    for place in list_places(asked):
        if place.uri == read_uri():
            info = await known(get_node_info_output())
            cpus, kib = info.cpu_cores_total, info.memory_total_kb
        else:
            fields = read_fields(await place.tell("nodeinfo"))
            cpus, kib = int(fields["CPU(s)"]), int(fields["Memory size"].split()[0])
        told.append(f"a host with {cpus} CPUs and {kib // KIB_PER_GIB} GiB" + (f" ({place.name})" if place.name else ""))
    return ", ".join(told)


async def ask_programs() -> list[Finding]:
    return [
        Finding("programs", f"{name} is not on this machine", why) for name, why in PROGRAMS.items() if not shutil.which(name)
    ] or [Finding("programs", ", ".join(PROGRAMS))]


async def ask_stores(asked: Asked, place: Place) -> list[Finding]:
    """Find pools that are missing or off, and those with less room than the disks would take once they are full."""
    there = (await place.tell("pool-list", "--name")).split()
    boot = asked.site.store or USUAL
    wanted: dict[str, int] = {}
    for node in place.missing:
        for disk in node.disks:
            if not disk.is_data or not asked.has("libvirt:index/volume:Volume", f"{node.key}-{disk.purpose}"):
                pool = asked.site.data_store or boot if disk.is_data else boot
                wanted[pool] = wanted.get(pool, 0) + disk.size_gib
    found = []
    for pool in dict.fromkeys((boot, asked.site.data_store or boot, asked.site.files_store or boot)):
        if pool not in there:
            remedy = f"on the host: virsh pool-define-as {pool} dir --target /var/lib/libvirt/{pool}, then pool-build, pool-start"
            found.append(place.find("stores", f"no pool {pool} that is started; there are {', '.join(there) or 'none'}", remedy))
            continue
        free = int(read_fields(await place.tell("pool-info", "--bytes", pool))["Available"]) // GIB
        needed = wanted.get(pool, 0)
        if needed > free:
            # Data disks have all of it at once (onprem.md 6.1), boot disks as they fill: nothing refuses those now.
            now = sum_data(asked, place) if pool == (asked.site.data_store or boot) else 0
            told = f"{pool} has {free:,} GiB free; {now:,} GiB are taken at once, {needed:,} GiB once boot disks are full"
            found.append(place.find("stores", told, "make it larger, or webitel:disk_sizes smaller", waits=now <= free))
        else:
            found.append(place.find("stores", f"{pool}: {free:,} GiB free, {needed:,} GiB needed"))
    return found


def sum_data(asked: Asked, place: Place) -> int:
    """Return the GiB of a host's data disks that are missing."""
    return sum(
        disk.size_gib
        for node in place.missing
        for disk in node.disks
        if disk.is_data and not asked.has("libvirt:index/volume:Volume", f"{node.key}-{disk.purpose}")
    )


async def ask_network(asked: Asked, place: Place) -> list[Finding]:
    there = (await place.tell("net-list", "--name")).split()
    network = asked.site.network or USUAL
    if network in there:
        return [place.find("network", network)]
    remedy = "define one on the host's bridge (docs/operate/libvirt.md), and name it in webitel:site.network"
    return [place.find("network", f"no network {network} that is started; there are {', '.join(there) or 'none'}", remedy)]


async def ask_image(asked: Asked, place: Place) -> list[Finding]:
    image = asked.image or IMAGE
    pool = asked.site.files_store or asked.site.store or USUAL
    if (pool, image) in await asyncio.to_thread(list_volumes, place.uri):
        return [place.find("image", f"{image} in {pool}")]
    remedy = "fetch it, compare its checksum and put it there as docs/operate/libvirt.md says"
    return [place.find("image", f"webitel:image = {image}: no such volume in the pool {pool}", remedy)]


async def ask_memory(asked: Asked, place: Place) -> list[Finding]:
    """Compare what the machines that are missing get with what is free: a host that swaps makes audio stutter."""
    stats = read_fields(await place.tell("nodememstats"))
    # `freecell` takes what holds files that were read for taken: a host that has run for a week would have next to nothing.
    kib = sum(int(stats[name].split()[0]) for name in ("free", "buffers", "cached"))
    free = max(kib / KIB_PER_GIB - RESERVE_GIB, 0)
    needed = sum_nodes(place.missing).memory_gib
    told = f"{int(free):,} GiB free, {needed:g} GiB needed"
    if needed > free:
        remedy = "free some, name further hosts in webitel:zones, or take smaller machines: webitel:machine_types"
        return [place.find("memory", told, remedy)]
    return [place.find("memory", told)]


async def ask_names(asked: Asked, place: Place) -> list[Finding]:
    """Find machines of our names that no state of ours knows: those of another deployment, or of an `up` that was cut. Not what
    a start of ours that failed has left: the next `up` defines it anew (`facts/onprem.md` 6.4)."""
    taken = set((await place.tell("list", "--all", "--name")).split())
    left = set((await place.tell("list", "--inactive", "--uuid")).split())
    return [
        place.find(
            "names",
            f"the host has a machine {node.name} already, which this deployment's state does not know",
            f"virsh undefine {node.name} where nobody needs it, or use another name for the deployment: ./webitel init NAME",
            waits=True,
        )
        for node in asked.missing
        if node.name in taken and domain_id(node.name) not in left
    ]
