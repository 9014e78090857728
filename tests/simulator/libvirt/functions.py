"""KVM by libvirt: the only function that tells anything of a host (`pulumi_libvirt.get_node_info`), and what `virsh` answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from provider.server import Properties
from tests.simulator.account import Function, facts_of, read_facts
from tests.simulator.call import Account
from tests.simulator.libvirt.machines import HOST_MEMORY_MIB, NETWORKS, RUNNING, start
from tests.simulator.libvirt.resources import DISC, DOMAIN, GIB, HOSTS, IMAGES, POOLS, VOLUME, endpoint_of
from tests.simulator.world import Thing, World

PLACES = tuple(HOSTS)
KIB_PER_GIB = 1 << 20


def _node_info(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {
        "id": "1",
        "cpuModel": "x86_64",
        "cpuCoresTotal": 64,
        "cpuCoresPerSocket": 16,
        "cpuSockets": 2,
        "cpuThreadsPerCore": 2,
        "memoryTotalKb": HOST_MEMORY_MIB * 1024,
        "numaNodes": 2,
    }


FUNCTIONS: Mapping[str, Function] = {"libvirt:index/getNodeInfo:getNodeInfo": _node_info}
"""By token."""


class VirshError(Exception):
    """What `virsh` says behind `error: `."""


def answer(world: World, words: Sequence[str], uri: str = "") -> str:
    """What `virsh --quiet --connect URI` prints for a command (virsh 9.0, seen in Debian 12; its columns and words)."""
    host = uri or HOSTS["kvm-1"]
    if host not in HOSTS.values():
        raise VirshError(f"failed to connect to the hypervisor\nerror: Cannot recv data: Could not resolve hostname: {host}")
    command, *rest = words
    told = facts_of(world, "libvirt")
    if told["refused"]:
        raise VirshError(f"failed to connect to the hypervisor\nerror: {told['refused']}")
    pools, networks = told.get("pools", POOLS), told.get("networks", NETWORKS)
    if command == "pool-list":
        return "".join(f"{pool}\n" for pool in pools)
    if command == "net-list":
        return "".join(f"{network}\n" for network in networks)
    if command == "vol-list":
        return "".join(f" {name:<40} {path}\n" for name, path in _list_files(world, rest[0], host))
    if command == "pool-info":
        free = told.get("free_gib", 4000)
        return f"Name: {rest[0]}\nState: running\nCapacity: {8000 * GIB}\nAvailable: {free * GIB}\n"
    if command in ("freecell", "nodememstats"):
        return _tell_memory(command, told.get("memory_gib", 400) * KIB_PER_GIB)
    if command == "list":
        here = [one for one in world.all(DOMAIN) if endpoint_of(one) == host]
        if rest == ["--inactive", "--uuid"]:
            return "".join(f"{one.id}\n" for one in here if one.outputs["state"] != RUNNING)
        assert rest == ["--all", "--name"], f"virsh list {' '.join(rest)} is not simulated"
        return "".join(f"{one.inputs['name']}\n" for one in here)
    if command == "nodeinfo":
        return f"CPU model: x86_64\nCPU(s): 64\nMemory size: {HOST_MEMORY_MIB * 1024} KiB\n"
    machine = world.find(DOMAIN, rest[0])
    if machine is None or endpoint_of(machine) != host:
        raise VirshError(f"failed to get domain '{rest[0]}'")
    if command == "domstate":
        return f"{machine.outputs['state']}\n"
    assert command == "start", f"virsh {command} is not simulated"
    if machine.outputs["state"] == RUNNING:
        raise VirshError("Domain is already active")
    with world.change():
        world.put(start(machine))
    return f"Domain '{machine.inputs['name']}' started\n"


def _tell_memory(command: str, kib: int) -> str:
    """What the host could give. Most of it holds files that were read (`facts/onprem.md` 6.9), which `freecell` calls taken."""
    free = kib // 4
    if command == "freecell":
        return f"Total: {free} KiB\n"
    stats = {"total": HOST_MEMORY_MIB * 1024, "free": free, "buffers": kib // 8, "cached": kib - free - kib // 8}
    return "".join(f"{name:<7}: {value:>20} KiB\n" for name, value in stats.items())


def _list_files(world: World, pool: str, host: str) -> Iterator[tuple[str, str]]:
    if pool == POOLS[0]:
        yield from ((name, f"/var/lib/libvirt/{pool}/{name}") for name in IMAGES)
    for thing in (*world.all(VOLUME), *world.all(DISC)):
        if thing.inputs["pool"] == pool and endpoint_of(thing) == host:
            yield thing.inputs["name"], _path(thing)


def _path(thing: Thing) -> str:
    return thing.id.partition(";")[0]
