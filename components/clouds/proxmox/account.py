"""Proxmox VE: version, rights of the token, hosts with their memory, stores with what they may hold, the template, numbers.

Sources: `facts/onprem.md` 2.2 (what only root may), 2.5 (content types), 2.6 (anti-affinity); pulumi_proxmoxve 8.6.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pulumi
from pulumi_proxmoxve import get_datastores_output, get_nodes_legacy_output, get_version_output, get_vms_legacy_output

from components.clouds.proxmox.interface import call
from components.clouds.proxmox.places import Places
from components.clouds.questions import Asked, Questions, known, once
from components.model.clouds.offers import Finding
from components.model.plan import Node
from components.model.planning.sums import Sum, sum_nodes

OLDEST, APART_FROM = 8, 9
"""The oldest release that the provider still supports, and the first that keeps machines apart by rules."""
RIGHTS = (
    "Datastore.AllocateSpace",
    "Datastore.AllocateTemplate",
    "Datastore.Audit",
    "SDN.Use",
    "Sys.Audit",
    "VM.Allocate",
    "VM.Audit",
    "VM.Clone",
    "VM.Config.CPU",
    "VM.Config.Cloudinit",
    "VM.Config.Disk",
    "VM.Config.HWType",
    "VM.Config.Memory",
    "VM.Config.Network",
    "VM.Config.Options",
    "VM.PowerMgmt",
)
"""Of the token; loading an image by its address takes Sys.Modify as well."""
LOADING = "Sys.Modify"
GIB = 2**30
Vms = Callable[[], Awaitable[Mapping[int, Any]]]


def make_questions(asked: Asked) -> Questions:
    """List what Proxmox VE is asked."""
    places, vms = Places(asked.plan, asked.site, asked.image), once(list_vms)
    return Questions(
        ask_account,
        others={
            "release": ask_release,
            "rights": partial(ask_rights, asked, places),
            "hosts": partial(ask_hosts, asked),
            "stores": partial(ask_stores, asked, places),
            "template": partial(ask_template, places, vms),
            "numbers": partial(ask_numbers, asked, places, vms),
            "affinity": ask_affinity,
        },
    )


async def ask_account() -> str:
    version, nodes = await asyncio.gather(known(get_version_output()), known(get_nodes_legacy_output()))
    number = len(nodes.names)
    return f"Proxmox VE {version.version}, {number} host{'' if number == 1 else 's'}"


async def ask_release() -> list[Finding]:
    release = (await known(get_version_output())).release
    first = int(release.partition(".")[0])
    if first < OLDEST:
        return [Finding("release", f"Proxmox VE {release}", f"upgrade the hosts to {OLDEST} or later")]
    if first < APART_FROM:
        why = "nothing keeps members of a role on different hosts when machines move by themselves (high availability)"
        return [Finding("release", f"Proxmox VE {release}: {why}", "name several hosts in webitel:zones", waits=True)]
    return [Finding("release", f"Proxmox VE {release}")]


async def ask_rights(asked: Asked, places: Places) -> list[Finding]:
    """Compare the token's privileges with those that are needed; on which paths it has them is for its owner to choose."""
    config = pulumi.Config("proxmoxve")
    if config.get("password") and not config.get("apiToken"):
        return [Finding("rights", "not asked: logged in by a password, which may all that its user may")]

    def setting(name: str) -> str:
        return (asked.rest if name.endswith(":endpoint") else "") or config.get(name.partition(":")[2]) or ""

    data = await asyncio.to_thread(call, setting, "GET", "/access/permissions")
    has = {name for granted in data.values() for name, given in granted.items() if given}
    wanted = (*RIGHTS, *(() if places.template else (LOADING,)))
    if lacking := [name for name in wanted if name not in has]:
        remedy = "give the token's role these privileges (docs/operate/proxmox.md), and the token without privilege separation"
        return [Finding("rights", f"the token lacks {', '.join(lacking)}", remedy)]
    return [Finding("rights", f"the token has all {len(wanted)} privileges")]


async def ask_hosts(asked: Asked) -> list[Finding]:
    """Find hosts that are not there, or have less free than their nodes take: dedicated means that nothing is promised twice."""
    nodes = await known(get_nodes_legacy_output())
    total = dict(zip(nodes.names, nodes.memory_availables, strict=True))
    used = dict(zip(nodes.names, nodes.memory_useds, strict=True))
    online, cores = (dict(zip(nodes.names, many, strict=True)) for many in (nodes.onlines, nodes.cpu_counts))
    found = []
    for host in dict.fromkeys(node.zone for node in asked.plan.nodes):
        if host not in total:
            found.append(Finding("hosts", f"webitel:zones: no host {host}", f"name one of {', '.join(sorted(total))}"))
        elif not online[host]:
            found.append(Finding("hosts", f"{host} is not online", "start it, or name another host in webitel:zones"))
        else:
            found += judge_host(host, sum_on(asked, host), cores[host], (total[host] - used[host]) / GIB)
    return found


def sum_on(asked: Asked, host: str) -> Sum:
    """Return what the nodes that are still to be made on a host take."""
    return sum_nodes([node for node in asked.missing if node.zone == host])


def judge_host(host: str, needed: Sum, cores: int, free_gib: float) -> Iterator[Finding]:
    """Say whether a host bears what is still to be made on it."""
    if needed.memory_gib > free_gib:
        told = f"{host} has {free_gib:.0f} GiB of memory free, its nodes take {needed.memory_gib:g}"
        yield Finding("memory", told, "name further hosts in webitel:zones, or take a smaller webitel:tier")
    elif needed.vcpus > cores:
        told = f"{host} has {cores} threads, its nodes take {needed.vcpus} vCPU of them alone"
        yield Finding("CPU", told, "name further hosts in webitel:zones; shared CPU is heard in calls")
    else:
        yield Finding("hosts", f"{host}: {free_gib:.0f} GiB of memory free for {needed.memory_gib:g}, {cores} threads")


async def ask_stores(asked: Asked, places: Places) -> list[Finding]:
    """Find stores that are not there, that may not hold what is put there, or have too little room."""
    found = []
    for host in dict.fromkeys(node.zone for node in asked.plan.nodes):
        answer = await known(get_datastores_output(node_name=host))
        stores = {store.id: store for store in answer.datastores or () if store.enabled is not False}
        wanted: dict[str, set[str]] = {}
        for store, content in list_contents(places):
            wanted.setdefault(store, set()).add(content)
        for name, contents in wanted.items():
            if name not in stores:
                known_ones = ", ".join(sorted(stores)) or "none"
                found.append(
                    Finding("stores", f"{host} has no store {name}", f"set webitel:site to one that it has: {known_ones}")
                )
            elif lacking := sorted(contents - set(stores[name].content_types)):
                allowed = ",".join(sorted({*stores[name].content_types, *lacking}))
                remedy = f"on a host: pvesm set {name} --content {allowed}"
                found.append(Finding("stores", f"{name} on {host} may not hold {' and '.join(lacking)}", remedy))
            elif (needed := disks_on(asked, places, host, name)) > (free := (stores[name].space_available or 0) / GIB):
                told = f"{name} on {host} has {free:,.0f} GiB free, {needed:,} are needed"
                found.append(Finding("disk", told, "make room there, or set webitel:site to another store"))
            else:
                found.append(Finding("stores", f"{name} on {host}: {free:,.0f} GiB free"))
    return found


def list_contents(places: Places) -> Iterator[tuple[str, str]]:
    """Return what each store has to be able to hold."""
    yield places.store, "images"
    yield places.data_store, "images"
    yield places.files_store, "snippets"
    if not places.template:
        yield places.files_store, "import"


def disks_on(asked: Asked, places: Places, host: str, store: str) -> int:
    """Return GiB of disks that are still to be made in a store for the nodes of a host."""

    def is_made(node: Node, purpose: str) -> bool:
        return asked.has(asked.plan.facts.machine_resource, node.key if purpose == "boot" else f"{node.key}-{purpose}")

    return sum(
        disk.size_gib
        for node in (*asked.plan.nodes, *asked.plan.kept)
        for disk in node.disks
        if node.zone == host
        and (places.data_store if disk.is_data else places.store) == store
        and not is_made(node, disk.purpose)
    )


async def list_vms() -> Mapping[int, Any]:
    """Return the cluster's machines by number."""
    return {vm.vm_id: vm for vm in (await known(get_vms_legacy_output())).vms}


async def ask_template(places: Places, vms: Vms) -> list[Finding]:
    if not places.template:
        return [Finding("image", f"{places.image}, loaded by each host")]
    host, number = places.template
    found = (await vms()).get(number)
    make = "make it (docs/operate/proxmox.md), or set webitel:image to another one"
    if found is None:
        return [Finding("image", f"webitel:image = {places.image}: there is no machine {number}", make)]
    if not found.template:
        return [
            Finding("image", f"webitel:image = {places.image}: {found.name} is a machine, no template", f"qm template {number}")
        ]
    if host and found.node_name != host:
        return [
            Finding("image", f"webitel:image = {places.image}: it is on {found.node_name}", f"write {found.node_name}/{number}")
        ]
    return [Finding("image", f"template {found.name} on {found.node_name}")]


async def ask_numbers(asked: Asked, places: Places, vms: Vms) -> list[Finding]:
    """Find machines of others that have numbers of ours."""
    there, found = await vms(), []
    for node in asked.plan.nodes:
        for purpose in ("", *(disk.purpose for disk in node.disks if disk.is_data)):
            key, number = f"{node.key}-{purpose}" if purpose else node.key, places.vm_id(node, purpose)
            if number in there and not asked.has(asked.plan.facts.machine_resource, key):
                told = f"{number} is {there[number].name}, which this deployment's state does not know"
                remedy = "delete it, or set webitel:site with another first_id before the first `up`"
                found.append(Finding("numbers", told, remedy))
    return found or [Finding("numbers", f"{places.first_id} and following are free")]


async def ask_affinity() -> list[Finding]:
    """Say what a token may not set, whosever it is."""
    told = "an API token may not tie machines to cores (only root@pam with a password may)"
    remedy = "for the steadiest audio, on the host: qm set NUMBER --affinity 2-5, with cores that nothing else has"
    return [Finding("affinity", told, remedy, waits=True)]
