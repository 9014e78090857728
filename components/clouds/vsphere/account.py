"""VMware vSphere: version, rights, clusters with DRS and hosts, stores, network, template, names; all by vCenter's own interface,
as the provider's functions tell no host's memory, no rule and no right.

Sources: `facts/onprem.md` 4; vSphere Web Services API.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi

from components.clouds.questions import Asked, Questions, once
from components.clouds.vsphere.interface import NAMESPACE, Properties, Ref, Session, open_session, read_ref, value_of
from components.clouds.vsphere.places import Places
from components.model.clouds.offers import Finding
from components.model.planning.sums import Sum, sum_nodes

OLDEST = 8
"""The oldest vCenter that the provider still supports (2.15.2 and later)."""
RIGHTS = (
    "Datastore.AllocateSpace",
    "Datastore.Browse",
    "Datastore.FileManagement",
    "Host.Inventory.EditCluster",
    "Network.Assign",
    "Resource.AssignVMToPool",
    "System.Read",
    "VirtualMachine.Config.AddExistingDisk",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AddRemoveDevice",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.Annotation",
    "VirtualMachine.Config.CPUCount",
    "VirtualMachine.Config.DiskExtend",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.Memory",
    "VirtualMachine.Config.RemoveDisk",
    "VirtualMachine.Config.Rename",
    "VirtualMachine.Config.Resource",
    "VirtualMachine.Config.Settings",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Inventory.CreateFromExisting",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Provisioning.Clone",
    "VirtualMachine.Provisioning.DeployTemplate",
)
"""Of the user, on the datacenter and what is in it."""
GIB, MIB_PER_GIB = 2**30, 1024
DRS = "configurationEx.drsConfig.enabled"
HOST = (
    "name",
    "parent",
    "runtime.connectionState",
    "runtime.inMaintenanceMode",
    "summary.hardware.cpuMhz",
    "summary.hardware.memorySize",
    "summary.hardware.numCpuCores",
    "summary.hardware.numCpuPkgs",
    "summary.quickStats.overallMemoryUsage",
)
REMEDY = "set webitel:{setting} to one that vCenter has: {known}"


@dataclass(frozen=True)
class Host:
    """A host of a cluster that runs machines."""

    name: str
    cluster: Ref
    free_gib: float
    mhz: int
    cpus: int
    cores: int


@dataclass(frozen=True)
class Inventory:
    """What vCenter has. Clusters by name with whether they have DRS, stores with free GiB."""

    version: str
    user: str
    clusters: dict[str, tuple[Ref, bool]]
    hosts: tuple[Host, ...]
    stores: dict[str, float]
    networks: tuple[str, ...]
    machines: dict[str, bool]
    lacking: tuple[str, ...] | None

    def hosts_of(self, cluster: str) -> list[Host]:
        """Return the hosts of a cluster."""
        return [host for host in self.hosts if cluster in self.clusters and host.cluster == self.clusters[cluster][0]]


Ask = Callable[[], Awaitable[Inventory]]


def make_questions(asked: Asked) -> Questions:
    """List what vCenter is asked, in one session."""
    places = Places(asked.plan, asked.site)
    inventory = once(partial(asyncio.to_thread, look, asked, places))
    return Questions(
        partial(ask_account, inventory),
        others={
            "release": partial(ask_release, inventory),
            "rights": partial(ask_rights, inventory, places),
            "clusters": partial(ask_clusters, inventory, asked),
            "hosts": partial(ask_hosts, inventory, asked),
            "stores": partial(ask_stores, inventory, asked, places),
            "network": partial(ask_network, inventory, places),
            "template": partial(ask_template, inventory, asked),
            "names": partial(ask_names, inventory, asked),
        },
    )


def look(asked: Asked, places: Places) -> Inventory:
    """Ask for everything. Raises OSError with vCenter's words."""
    config = pulumi.Config("vsphere")

    def setting(name: str) -> str:
        return (asked.rest if name.endswith(":vsphereServer") else "") or config.get(name.partition(":")[2]) or ""

    with open_session(setting) as session:
        clusters = session.list_all("ClusterComputeResource", "name", DRS)
        return Inventory(
            version=session.version,
            user=session.user,
            clusters={value_of(told, "name"): (ref, value_of(told, DRS) == "true") for ref, told in clusters},
            hosts=tuple(read_hosts(session.list_all("HostSystem", *HOST))),
            stores={
                value_of(told, "name"): float(value_of(told, "summary.freeSpace") or 0) / GIB
                for _, told in session.list_all("Datastore", "name", "summary.accessible", "summary.freeSpace")
                if value_of(told, "summary.accessible") == "true"
            },
            networks=tuple(value_of(told, "name") for _, told in session.list_all("Network", "name")),
            machines={
                value_of(told, "name"): value_of(told, "config.template") == "true"
                for _, told in session.list_all("VirtualMachine", "name", "config.template")
            },
            lacking=list_lacking(session, places.datacenter),
        )


def read_hosts(found: Sequence[tuple[Ref, Properties]]) -> Iterator[Host]:
    """Return hosts of clusters that run machines."""
    for _, told in found:
        works = value_of(told, "runtime.connectionState") == "connected" and value_of(told, "runtime.inMaintenanceMode") != "true"
        if works and "parent" in told:
            total = float(value_of(told, "summary.hardware.memorySize") or 0) / GIB
            used = float(value_of(told, "summary.quickStats.overallMemoryUsage") or 0) / MIB_PER_GIB
            yield Host(
                value_of(told, "name"),
                read_ref(told["parent"]),
                total - used,
                int(value_of(told, "summary.hardware.cpuMhz") or 0),
                int(value_of(told, "summary.hardware.numCpuPkgs") or 0),
                int(value_of(told, "summary.hardware.numCpuCores") or 0),
            )


def list_lacking(session: Session, datacenter: str) -> tuple[str, ...] | None:
    """Return the privileges that the user lacks on a datacenter, None where there is no such."""
    place = session.find_path(datacenter)
    if place is None:
        return None
    asked = f"{place.write('entities')}<userName>{session.user}</userName>"
    answers = session.call("FetchUserPrivilegeOnEntities", session.part("authorizationManager"), asked)
    has = {one.text for answer in answers for one in answer.iter(f"{NAMESPACE}privileges")}
    return tuple(name for name in RIGHTS if name not in has)


async def ask_account(ask: Ask) -> str:
    found = await ask()
    return f"{found.version}, {found.user}"


async def ask_release(ask: Ask) -> list[Finding]:
    version = (await ask()).version
    number = next((word for word in version.split() if word[:1].isdigit()), "")
    if number and int(number.partition(".")[0]) < OLDEST:
        return [Finding("release", version, f"upgrade it to {OLDEST} or later, or the provider refuses it")]
    return [Finding("release", version)]


async def ask_rights(ask: Ask, places: Places) -> list[Finding]:
    """Compare the user's privileges on the datacenter; folders, stores and hosts may have others of their own."""
    lacking = (await ask()).lacking
    if lacking is None:
        return [Finding("rights", f"no datacenter {places.datacenter}", "set webitel:site.datacenter to its name")]
    if lacking:
        return [Finding("rights", f"the user lacks {', '.join(lacking)}", "add them to its role (docs/operate/vsphere.md)")]
    return [Finding("rights", f"the user has all {len(RIGHTS)} privileges on {places.datacenter}")]


async def ask_clusters(ask: Ask, asked: Asked) -> list[Finding]:
    """Find clusters that are not there, or in which nothing keeps members of a role on different hosts."""
    found, clusters = [], (await ask()).clusters
    for zone in dict.fromkeys(node.zone for node in asked.plan.nodes):
        members = max(Counter(node.role for node in asked.plan.nodes if node.zone == zone).values())
        if zone not in clusters:
            remedy = REMEDY.format(setting="zones", known=", ".join(sorted(clusters)) or "none")
            found.append(Finding("clusters", f"no cluster {zone}", remedy))
        elif members < 2:
            found.append(Finding("clusters", zone))
        elif asked.site.drs and not clusters[zone][1]:
            remedy = "turn DRS on, or set webitel:site with drs: false and keep them on different hosts by hand"
            found.append(Finding("DRS", f"{zone} has no DRS: rules keep nothing apart there", remedy, waits=True))
        else:
            found.append(Finding("clusters", zone))
    return found


async def ask_hosts(ask: Ask, asked: Asked) -> list[Finding]:
    """Find clusters with too few hosts or too little memory, and a wrong speed of their cores."""
    found: list[Finding] = []
    inventory = await ask()
    for zone in dict.fromkeys(node.zone for node in asked.plan.nodes):
        if hosts := inventory.hosts_of(zone):
            found += judge_hosts(zone, hosts, asked)
        elif zone in inventory.clusters:
            found.append(Finding("hosts", f"{zone} has no host that runs machines", "connect one, or end its maintenance"))
    return found


def judge_hosts(zone: str, hosts: Sequence[Host], asked: Asked) -> Iterator[Finding]:
    """Say whether the hosts of a cluster bear what is still to be made there."""
    nodes = [node for node in asked.plan.nodes if node.zone == zone]
    needed: Sum = sum_nodes([node for node in asked.missing if node.zone == zone])
    free, per_cpu = sum(host.free_gib for host in hosts), asked.plan.facts.licence_cores
    licence = sum(max(per_cpu * host.cpus, host.cores) for host in hosts)
    members = max(Counter(node.role for node in nodes).values())
    if members > len(hosts):
        told = f"{zone} has {len(hosts)} hosts, {members} members of a role are to be on different ones"
        yield Finding("hosts", told, "add hosts, or name several clusters in webitel:zones", waits=True)
    if needed.memory_gib > free:
        told = f"{zone} has {free:,.0f} GiB of memory free, its nodes reserve {needed.memory_gib:g}"
        yield Finding("memory", told, "add hosts, or take smaller ones: webitel:machine_types")
    elif (vcpus := needed.vcpus) > (cores := sum(host.cores for host in hosts)):
        told = f"{zone} has {cores} cores, its nodes take {vcpus} vCPU"
        yield Finding("CPU", told, "add hosts; a core that is promised twice is heard in calls", waits=vcpus <= 2 * cores)
    else:
        yield Finding("hosts", f"{zone}: {len(hosts)} hosts, {free:,.0f} GiB free, {licence} cores of licence")
    speeds = sorted({host.mhz for host in hosts})
    if asked.site.core_mhz and speeds != [asked.site.core_mhz]:
        shown = " and ".join(map(str, speeds))
        told = f"webitel:site.core_mhz = {asked.site.core_mhz}, the cores of {zone} have {shown} MHz"
        # Latency sensitivity `high` starts no machine with less than all of its CPU.
        yield Finding("CPU", told, f"set it to {math.ceil(max(speeds))}")


async def ask_stores(ask: Ask, asked: Asked, places: Places) -> list[Finding]:
    """Find stores that are not there, or have less room than the disks take once they are full."""
    found, stores = [], (await ask()).stores
    wanted: Counter[str] = Counter({places.store: 0, places.data_store: 0})
    for node in asked.missing:
        for disk in node.disks:
            if not disk.is_data or not asked.has("vsphere:index/virtualDisk:VirtualDisk", f"{node.key}-{disk.purpose}"):
                wanted[places.data_store if disk.is_data else places.store] += disk.size_gib
    for name, needed in wanted.items():
        if name not in stores:
            remedy = REMEDY.format(setting="site", known=", ".join(sorted(stores)) or "none")
            found.append(Finding("stores", f"no store {name}", remedy))
        elif needed > stores[name]:
            told = f"{name} has {stores[name]:,.0f} GiB free, {needed:,} are needed"
            found.append(Finding("stores", told, "make room there, or set webitel:site to another store"))
        else:
            found.append(Finding("stores", f"{name}: {stores[name]:,.0f} GiB free, {needed:,} GiB needed"))
    return found


async def ask_network(ask: Ask, places: Places) -> list[Finding]:
    networks = (await ask()).networks
    if places.network in networks:
        return [Finding("network", places.network)]
    remedy = REMEDY.format(setting="site.network", known=", ".join(sorted(networks)) or "none")
    return [Finding("network", f"no network {places.network}", remedy)]


async def ask_template(ask: Ask, asked: Asked) -> list[Finding]:
    machines = (await ask()).machines
    name = asked.image.rpartition("/")[2]
    if name not in machines:
        remedy = "make it (docs/operate/vsphere.md), or name another one"
        return [Finding("image", f"webitel:image = {asked.image}: there is no template of that name", remedy)]
    if not machines[name]:
        told = f"webitel:image = {asked.image}: a machine, no template; a copy of one that runs is of a disk in use"
        return [Finding("image", told, "convert it to a template in the vSphere Client", waits=True)]
    return [Finding("image", f"template {asked.image}")]


async def ask_names(ask: Ask, asked: Asked) -> list[Finding]:
    """Find machines of our names that no state of ours knows."""
    machines = (await ask()).machines
    return [
        Finding(
            "names",
            f"vCenter has a machine {node.name} already, which this deployment's state does not know",
            "delete it where nobody needs it, or use another name for the deployment: ./webitel init NAME",
            waits=True,
        )
        for node in asked.missing
        if node.name in machines
    ]
