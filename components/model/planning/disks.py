"""Which disks a node has, and those of nodes that are gone: they stay part of the deployment, for a node of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.model.catalogue.tiers import Role, Tier
from components.model.clouds.prices import NodePrice, price_disks
from components.model.machine import Disk, Public
from components.model.naming import node_name
from components.model.plan import Node
from components.model.planning.addresses import MAX_NODES_PER_ROLE
from components.model.planning.check_shape import count_nodes
from components.model.planning.draft import Draft
from components.model.planning.placement import place_services
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings
from components.model.share import RECORDINGS, read_share


def choose_disks(draft: Draft, role: Role, n: int, services: Sequence[str]) -> tuple[Disk, ...]:
    """Return the disks of a role's n-th node, the boot disk first.

    It has a data disk only where one of its services keeps data on it; with a share the first node keeps the one it had where
    a disk size says so. Where a boot disk's size decides its speed, it is as large as what services write there asks for.
    """
    machine = draft.machines[role.name]
    fast_boot_gib = draft.facts.boot_gib_for(max((draft.catalogue[name].boot_iops for name in services), default=0))
    return tuple(
        Disk(
            purpose,
            machine.root_disk_gib
            if purpose == "boot" and machine.root_disk_gib
            else draft.settings.disk_sizes.get(f"{role.name}.{purpose}", max(gib, fast_boot_gib) if purpose == "boot" else gib),
        )
        for purpose, gib in draft.disks_of(role).items()
        if purpose == "boot"
        or any(data.disk == purpose for name in services for data in draft.catalogue[name].data)
        or (n == 1 and keeps_disk(draft.settings, role.name, purpose))
    )


def keeps_disk(settings: Settings, role: str, purpose: str) -> bool:
    """Return whether a disk that nothing writes to any more stays, with what is to be copied from it."""
    return purpose == RECORDINGS and read_share(settings) is not None and f"{role}.{purpose}" in settings.disk_sizes


def check_kept(draft: Draft) -> Iterator[Problem]:
    """Find kept disks of what can be no node that left some."""
    keeping = [
        role.name
        for role in draft.tier.roles
        if any(data.disk in draft.disks_of(role) for name in role.services for data in draft.catalogue[name].data)
    ]
    for name in draft.settings.kept_disks:
        if draft.facts.disks_in_machine:
            why = f"on {draft.facts.title} a data disk goes with its machine, so that none is kept; remove the setting"
            yield setting_problem("kept_disks", name, why)
            continue
        role, _, number = name.removeprefix(f"{draft.stack}-").rpartition("-")
        if role not in keeping or not number.isdecimal() or not 1 <= int(number) <= MAX_NODES_PER_ROLE:
            yield setting_problem(
                "kept_disks",
                name,
                (f"not a node of tier {draft.tier.name} that could have left data disks; use a name such as {keeping[0]}-3"),
            )


def list_kept(settings: Settings, stack: str, tier: Tier, back: bool = False) -> list[tuple[str, int]]:
    """Return role and number of the nodes whose disks are kept and that are gone, or of those that are `back`."""
    counts = count_nodes(tier, settings)
    found = (name.removeprefix(f"{stack}-").rpartition("-") for name in settings.kept_disks)
    return sorted({(role, int(n)) for role, _, n in found if (int(n) <= counts[role]) is back})


def make_kept(draft: Draft) -> tuple[tuple[Node, ...], list[NodePrice]]:
    """Return the nodes that are gone, each with the data disks it left, and the price of those."""
    nodes, prices = [], []
    for name, n in list_kept(draft.settings, draft.stack, draft.tier):
        role, machine = draft.tier.role(name), draft.machines[name]
        services = place_services(draft.tier, {**draft.counts, name: n}, draft.catalogue)[name, n]
        disks = tuple(disk for disk in choose_disks(draft, role, n, services) if disk.is_data)
        price = price_disks(draft.facts, draft.region, machine, disks)
        prices.append(price)
        nodes.append(
            Node(
                name=node_name(draft.stack, name, n),
                role=name,
                n=n,
                services=(),
                machine_type=machine,
                disks=disks,
                private_address=None,
                public=Public.NO,
                monthly_price=price.amount,
                zone=draft.zone_of(name, n),
            )
        )
    return tuple(nodes), prices
