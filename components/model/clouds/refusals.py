"""Why a cloud made no machine, in words a person can act on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from components.model.clouds.facts import CLOUDS, Cloud
from components.model.clouds.machines import describe_machine_type, fits
from components.model.plan import MachineType, Node, Plan, Size
from components.model.problems import setting_problem


class Refusal(StrEnum):
    """`CAPACITY`: none of the type is free there. `QUOTA`: the account may have no more. `RATE`: asked too often."""

    CAPACITY = "capacity"
    QUOTA = "quota"
    RATE = "rate"


WORDS: Mapping[str, Mapping[Refusal, str]] = {
    # EC2's table of error codes.
    "aws": {
        Refusal.CAPACITY: "InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity",
        Refusal.QUOTA: "LimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded",
        Refusal.RATE: "RequestLimitExceeded|Throttling",
    },
    # Compute Engine, Troubleshooting resource availability and quota errors.
    "gcp": {
        Refusal.CAPACITY: "RESOURCE_POOL_EXHAUSTED|does not have enough resources|STOCKOUT",
        Refusal.QUOTA: "quotaExceeded|QUOTA_EXCEEDED",
        Refusal.RATE: "rateLimitExceeded|RATE_LIMIT_EXCEEDED",
    },
    # Azure Resource Manager, Troubleshoot SKU, allocation, quota and throttling errors.
    "azure": {
        Refusal.CAPACITY: "SkuNotAvailable|AllocationFailed|OverconstrainedAllocationRequest|OverconstrainedZonalAllocation",
        Refusal.QUOTA: "QuotaExceeded|exceeding approved|LimitExceeded|CountLimitReached",
        Refusal.RATE: "TooManyRequests|OperationPreempted|RequestsThrottled",
    },
    # The API answers in sentences.
    "digitalocean": {
        Refusal.CAPACITY: r"(?i)size .*not available in (the selected )?region|size is not available|currently unavailable",
        Refusal.QUOTA: r"(?i)will exceed your .*limit|limit (was )?exceeded for|reached .*limit",
        Refusal.RATE: r"\b429\b|(?i:too many requests)",
    },
    # Hetzner Cloud API, Errors.
    "hetzner": {
        Refusal.CAPACITY: "resource_unavailable|placement_error",
        Refusal.QUOTA: "resource_limit_exceeded|limit_reached",
        Refusal.RATE: "rate_limit_exceeded",
    },
}
"""By cloud, a regular expression for its errors. Asked in the order rate, capacity, quota: some words contain others."""

QUOTAS: Mapping[str, str] = {
    "aws": "https://console.aws.amazon.com/servicequotas (EC2, Running On-Demand Standard instances)",
    "gcp": "https://console.cloud.google.com/iam-admin/quotas (Compute Engine, CPUs)",
    "azure": "https://portal.azure.com (Subscriptions, Usage + quotas)",
    "digitalocean": "https://cloud.digitalocean.com/account/team (Resource limits)",
    "hetzner": "https://console.hetzner.com (Limits)",
}
"""Where more is asked for."""

ORDER = (Refusal.RATE, Refusal.CAPACITY, Refusal.QUOTA)


def find_refusal(cloud: str, text: str) -> Refusal | None:
    """Which refusal a cloud's error is, None = another error."""
    words = WORDS.get(cloud, {})
    return next((kind for kind in ORDER if kind in words and re.search(words[kind], text)), None)


def explain_refusal(plan: Plan, node: Node | None, text: str) -> str:
    """What a cloud's error means for a node, or for the deployment as a whole, and what to do; "" where it is another one."""
    refusal, cloud = find_refusal(plan.cloud, text), CLOUDS.get(plan.cloud)
    if refusal is None or cloud is None:
        return ""
    place = f"{cloud.title} {plan.region}"
    if refusal is Refusal.RATE:
        what = f" for {node.key} ({node.machine_type.name})" if node else ""
        return f"{place} was asked too often{what}, also by others who use your account: wait some minutes"
    if node is None:
        return (f"{place} lets your account have no more of it: ask for a higher limit at {QUOTAS[plan.cloud]}"
                if refusal is Refusal.QUOTA else f"{place} has none free: wait, or take another webitel:region")
    key, name = f"machine_types.{node.role}", node.machine_type.name
    if refusal is Refusal.QUOTA:
        needed = sum(one.machine_type.vcpus for one in plan.nodes)
        return str(setting_problem(
            key, name, f"{place} lets your account have no more for {node.key}: this deployment has {needed} vCPU in "
            f"{len(plan.nodes)} nodes; ask for a higher limit at {QUOTAS[plan.cloud]}"))
    other = choose_other(cloud, node.machine_type, plan.region)
    take = f"take another type, such as {describe_machine_type(cloud, other, plan.region)}, " if other else "wait, "
    zone = f"zone {plan.zone} of " if plan.zone else ""
    # Another zone or region is another deployment: its disks stand where they are.
    return str(setting_problem(
        key, name, f"{zone}{place} has none free for {node.key}: {take}or, as long as there is no data, another "
        f"{'webitel:zone or ' if plan.zone else ''}webitel:region"))


def choose_other(cloud: Cloud, machine: MachineType, region: str) -> MachineType | None:
    """The cheapest other type that is at least as large, another family first: what is short is often the whole family."""
    size = Size(machine.vcpus, machine.memory_gib, machine.root_disk_gib, 0, "")
    fit = [one for one in cloud.machine_types
           if one.name != machine.name and fits(one, size) and one.family not in cloud.closed_families]
    return min(fit, default=None, key=lambda one: (
        one.family == machine.family,
        one.price_in(region) or one.price_in(cloud.default_region) or float("inf"), one.vcpus, one.name))
