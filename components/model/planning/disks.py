"""Which disks a node has, and those of nodes that are gone: they stay part of the deployment, for a node of the same name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from components.model.catalogue.service import Service
from components.model.catalogue.tiers import Role, Tier
from components.model.clouds.facts import Cloud
from components.model.clouds.prices import NodePrice, price_disks
from components.model.naming import node_name
from components.model.plan import Disk, MachineType, Node, Public
from components.model.planning.addresses import MOST_NODES
from components.model.planning.check_shape import count_nodes, tier_disks
from components.model.planning.placement import place_services
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings
from components.model.share import RECORDINGS, read_share

Catalogue = Mapping[str, Service]


def choose_disks(
    role: Role, n: int, services: Sequence[str], machine: MachineType, settings: Settings, cloud: Cloud, catalogue: Catalogue,
) -> tuple[Disk, ...]:
    """The disks of a role's n-th node, the boot disk first.

    It has a data disk only where one of its services keeps data on it; with a share the first node keeps the one it had where
    a disk size says so.
    """
    return tuple(
        Disk(purpose, machine.root_disk_gib if purpose == "boot" and machine.root_disk_gib
             else settings.disk_sizes.get(f"{role.name}.{purpose}", gib))
        for purpose, gib in tier_disks(role, cloud).items()
        if purpose == "boot" or any(data.disk == purpose for name in services for data in catalogue[name].data)
        or (n == 1 and keeps_disk(settings, role.name, purpose))
    )


def keeps_disk(settings: Settings, role: str, purpose: str) -> bool:
    """Whether a disk that nothing writes to any more stays, with what is to be copied from it."""
    return purpose == RECORDINGS and read_share(settings) is not None and f"{role}.{purpose}" in settings.disk_sizes


def check_kept(settings: Settings, stack: str, tier: Tier, cloud: Cloud, catalogue: Catalogue) -> Iterator[Problem]:
    """Kept disks of what can be no node that left some."""
    keeping = [role.name for role in tier.roles if any(
        data.disk in tier_disks(role, cloud) for name in role.services for data in catalogue[name].data)]
    for name in settings.kept_disks:
        role, _, number = name.removeprefix(f"{stack}-").rpartition("-")
        if role not in keeping or not number.isdecimal() or not 1 <= int(number) <= MOST_NODES:
            yield setting_problem("kept_disks", name, (
                f"no node of tier {tier.name} that could have left data disks; use a name such as {keeping[0]}-3"))


def list_kept(settings: Settings, stack: str, tier: Tier, back: bool = False) -> list[tuple[str, int]]:
    """Role and number of the nodes whose disks are kept and that are gone, or of those that are `back`."""
    counts = count_nodes(tier, settings)
    found = (name.removeprefix(f"{stack}-").rpartition("-") for name in settings.kept_disks)
    return sorted({(role, int(n)) for role, _, n in found if (int(n) <= counts[role]) is back})


def make_kept(
    settings: Settings, stack: str, tier: Tier, cloud: Cloud, region: str, machines: Mapping[str, MachineType],
    catalogue: Catalogue,
) -> tuple[tuple[Node, ...], list[NodePrice]]:
    """The nodes that are gone, each with the data disks it left, and the price of those."""
    nodes, prices = [], []
    for name, n in list_kept(settings, stack, tier):
        role, machine = tier.role(name), machines[name]
        services = place_services(tier, {**count_nodes(tier, settings), name: n}, catalogue)[name, n]
        disks = tuple(disk for disk in choose_disks(role, n, services, machine, settings, cloud, catalogue) if disk.is_data)
        price = price_disks(cloud, region, machine, disks)
        prices.append(price)
        nodes.append(Node(
            name=node_name(stack, name, n), role=name, n=n, services=(), machine_type=machine, disks=disks,
            private_address=None, public=Public.NO, monthly_price=price.amount))
    return tuple(nodes), prices
