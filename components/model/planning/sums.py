"""What the machines of a plan take of hosts of one's own: vCPU, memory and disk. There it stands in place of a bill."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from components.model.plan import Node, Plan

VCPUS_PER_CORE = 2
"""At most, of a physical core (the vendor's, `facts/webitel.md` 5)."""


@dataclass(frozen=True)
class Sum:
    """What several nodes take together; `memory_gib` and `disk_gib` in GiB, disks that were kept of nodes that are gone too."""

    nodes: int
    vcpus: int
    memory_gib: float
    disk_gib: int


def sum_nodes(nodes: Sequence[Node], kept: Sequence[Node] = ()) -> Sum:
    """Return what nodes take; of `kept` ones only disks are there."""
    return Sum(
        len(nodes),
        sum(node.machine_type.vcpus for node in nodes),
        sum(node.machine_type.memory_gib for node in nodes),
        sum(disk.size_gib for node in (*nodes, *kept) for disk in node.disks),
    )


def sum_by_role(plan: Plan) -> dict[str, Sum]:
    """Return what each role takes, in rollout order."""
    roles = dict.fromkeys((*plan.roles, *(node.role for node in plan.kept)))
    return {role: sum_nodes(*([one for one in nodes if one.role == role] for nodes in (plan.nodes, plan.kept))) for role in roles}


def sum_by_zone(plan: Plan) -> dict[str, Sum]:
    """Return what stands in each zone; none where there are no zones."""
    zones = dict.fromkeys(node.zone for node in (*plan.nodes, *plan.kept) if node.zone)
    return {zone: sum_nodes(*([one for one in nodes if one.zone == zone] for nodes in (plan.nodes, plan.kept))) for zone in zones}


def licence_cores(plan: Plan) -> int:
    """Return how many cores of licence the hosts take at least, 0 where none is counted: a host for each member of a role in a
    zone, with one CPU, which counts for as many cores as its licence says even where it has fewer."""
    per_cpu = plan.facts.licence_cores
    zones = [[node for node in plan.nodes if node.zone == zone] for zone in dict.fromkeys(node.zone for node in plan.nodes)]
    hosts = sum(max(Counter(node.role for node in nodes).values()) for nodes in zones)
    return max(per_cpu * hosts, math.ceil(sum_nodes(plan.nodes).vcpus / VCPUS_PER_CORE)) if per_cpu else 0
