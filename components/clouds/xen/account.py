"""Xen Orchestra: whether it answers, hosts with their memory, stores, network, template, and names that are taken.

Source: `facts/onprem.md` 5. What the token may is told by a refusal only, and whether a template has guest tools by nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

from pulumi_xenorchestra import (
    get_xoa_host_output,
    get_xoa_network_output,
    get_xoa_pool_output,
    get_xoa_storage_repository_output,
    get_xoa_template_output,
    get_xoa_vms_output,
)

from components.clouds.questions import Asked, Questions, known
from components.clouds.xen.places import BYTES_PER_GIB, HOST, Places
from components.model.clouds.offers import Finding
from components.model.planning.sums import sum_nodes

NOTHING = ("could not find", "found `")
"""What the provider says of a name that nothing has, or several have."""
PAGE = "docs/operate/xen.md"


def make_questions(asked: Asked) -> Questions:
    """List what Xen Orchestra is asked."""
    places = Places(asked.plan, asked.site)
    return Questions(
        partial(ask_account, asked),
        others={
            "hosts": partial(ask_hosts, asked),
            "stores": partial(ask_stores, asked, places),
            "network": partial(ask_network, asked, places),
            "image": partial(ask_image, asked),
            "names": partial(ask_names, asked),
            "tools": ask_tools,
        },
    )


async def find(answer: Awaitable[Any]) -> Any:
    """Return what has a name, or None where nothing has it alone. Raises every other error."""
    try:
        return await answer
    except Exception as error:  # a provider's refusal has no class of its own
        if not any(words in str(error).lower() for words in NOTHING):
            raise
        return None


async def find_pool(asked: Asked) -> str | None:
    """Return the id of the pool that the settings name."""
    return (await known(get_xoa_pool_output(name_label=asked.site.pool))).id if asked.site.pool else None


def list_hosts(asked: Asked) -> list[str]:
    """Return the hosts of the plan."""
    return list(dict.fromkeys(node.zone for node in asked.plan.nodes))


async def ask_account(asked: Asked) -> str:
    found = await asyncio.gather(*(find(known(get_xoa_host_output(name_label=name))) for name in list_hosts(asked)))
    number = sum(one is not None for one in found)
    return f"Xen Orchestra, {number} host{'' if number == 1 else 's'}"


async def ask_hosts(asked: Asked) -> list[Finding]:
    """Find hosts that are not there, or have less free than their nodes take: dedicated means that nothing is promised twice."""
    findings = []
    for name in list_hosts(asked):
        host = await find(known(get_xoa_host_output(name_label=name)))
        if host is None:
            told = f"webitel:zones: no host {name}, or several"
            findings.append(Finding("hosts", told, "name hosts as Xen Orchestra does, each once"))
            continue
        needed = sum_nodes([node for node in asked.missing if node.zone == name])
        free, cores = (host.memory - host.memory_usage) / BYTES_PER_GIB, host.cpus.get("cores", 0)
        if needed.memory_gib > free:
            told = f"{name} has {free:.0f} GiB of memory free, its nodes take {needed.memory_gib:g}"
            findings.append(Finding("memory", told, "name further hosts in webitel:zones, or take a smaller webitel:tier"))
        elif needed.vcpus > cores:
            told = f"{name} has {cores} cores, its nodes take {needed.vcpus} vCPU of them alone"
            findings.append(Finding("CPU", told, "name further hosts in webitel:zones; shared CPU is heard in calls"))
        else:
            told = f"{name}: {free:.0f} GiB of memory free for {needed.memory_gib:g}, {cores} cores"
            findings.append(Finding("hosts", told))
    return findings


async def ask_stores(asked: Asked, places: Places) -> list[Finding]:
    """Find stores that are not there, or have too little room for disks that are still to be made."""
    wanted: dict[str, int] = {}
    for node in asked.plan.nodes:
        for disk in node.disks:
            name = places.store(node, data=disk.is_data)
            wanted[name] = wanted.get(name, 0) + (disk.size_gib if node in asked.missing else 0)
    findings, pool = [], await find_pool(asked)
    for name, needed in wanted.items():
        store = await find(known(get_xoa_storage_repository_output(name_label=name, pool_id=pool)))
        if store is None:
            told = f"no store {name}, or several"
            remedy = f"give stores names of their own, such as local-xcp1, and set webitel:site with store: local-{HOST} ({PAGE})"
            findings.append(Finding("stores", told, remedy))
        elif needed > (free := (store.size - store.physical_usage) / BYTES_PER_GIB):
            told = f"{name} has {free:,.0f} GiB free, {needed:,} GiB are needed once disks are full"
            findings.append(Finding("disk", told, "make room there, or set webitel:site to another store"))
        else:
            findings.append(Finding("stores", f"{name}: {free:,.0f} GiB free, {needed:,} GiB needed"))
    return findings


async def ask_network(asked: Asked, places: Places) -> list[Finding]:
    found = await find(known(get_xoa_network_output(name_label=places.network, pool_id=await find_pool(asked))))
    if found is None:
        remedy = "name one in webitel:site.network, and the pool in webitel:site.pool where several have it"
        return [Finding("network", f"no network {places.network}, or several", remedy)]
    return [Finding("network", places.network)]


async def ask_image(asked: Asked) -> list[Finding]:
    found = await find(known(get_xoa_template_output(name_label=asked.image, pool_id=await find_pool(asked))))
    if found is None:
        told = f"webitel:image = {asked.image}: no template of that name, or several"
        return [Finding("image", told, f"make it ({PAGE}), or set webitel:image to another one")]
    return [Finding("image", f"template {asked.image}, started by {found.boot_firmware or 'bios'}")]


async def ask_names(asked: Asked) -> list[Finding]:
    """Find machines of our names that no state of ours knows: a start that failed leaves one, and a second would have the same
    address."""
    hosts = await asyncio.gather(*(find(known(get_xoa_host_output(name_label=name))) for name in list_hosts(asked)))
    pools = {host.pool_id for host in hosts if host is not None}
    answers = await asyncio.gather(*(known(get_xoa_vms_output(pool_id=pool)) for pool in pools))
    there = {vm.name_label for answer in answers for vm in answer.vms}
    return [
        Finding(
            "names",
            f"there is a machine {node.name} already, which this deployment's state does not know",
            "delete it in Xen Orchestra where nobody needs it, or use another name for the deployment: ./webitel init NAME",
        )
        for node in asked.missing
        if node.name in there
    ] or [Finding("names", "those of the nodes are free")]


async def ask_tools() -> list[Finding]:
    """Say what nothing tells."""
    told = "nobody tells whether the template has guest tools, and what the token may"
    return [Finding("tools", told, f"without guest tools no machine or disk is made larger ({PAGE})", waits=True)]
