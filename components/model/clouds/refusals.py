"""Why a cloud made no machine, in words a person can act on."""

from __future__ import annotations

import re

from components.model.clouds.facts import CloudFacts, Refusal
from components.model.clouds.machines import describe_machine_type, fits
from components.model.machine import MachineType, Size
from components.model.plan import Node, Plan
from components.model.problems import setting_problem

ORDER = (Refusal.RATE, Refusal.CAPACITY, Refusal.QUOTA)
"""In which order they are asked for: some words contain others."""


def find_refusal(facts: CloudFacts, text: str) -> Refusal | None:
    """Return which refusal a cloud's error is, None for another error."""
    return next((kind for kind in ORDER if kind in facts.refusals and re.search(facts.refusals[kind], text)), None)


def explain_refusal(plan: Plan, node: Node | None, text: str) -> str:
    """Say what a cloud's error means for a node, or for the deployment as a whole, and what to do; "" for another error."""
    facts = plan.facts
    refusal = find_refusal(facts, text)
    if refusal is None:
        return ""
    place = f"{facts.title} {plan.region}"
    if refusal is Refusal.RATE:
        what = f" for {node.key} ({node.machine_type.name})" if node else ""
        return f"{place} got too many requests{what}, perhaps also from others who use your account: wait a few minutes"
    if facts.made_to_measure:
        return explain_own(plan, node, refusal)
    if node is None:
        return (
            f"your account's limit in {place} is reached: ask for a higher limit at {facts.quota_page}"
            if refusal is Refusal.QUOTA
            else f"{place} has none free: wait, or use another webitel:region"
        )
    key, name = f"machine_types.{node.role}", node.machine_type.name
    if refusal is Refusal.QUOTA:
        needed = sum(one.machine_type.vcpus for one in plan.nodes)
        return str(
            setting_problem(
                key,
                name,
                f"{place} gives your account no more for {node.key}: this deployment has {needed} vCPU in "
                f"{len(plan.nodes)} nodes; ask for a higher limit at {facts.quota_page}",
            )
        )
    other = choose_other(facts, node.machine_type, plan.region)
    take = f"take another type, such as {describe_machine_type(facts, other, plan.region)}, " if other else "wait, "
    zone = f"zone {node.zone} of " if node.zone else ""
    # What was made stays where it is: only a deployment from nothing stands elsewhere.
    return str(
        setting_problem(
            key,
            name,
            f"{zone}{place} has none free for {node.key}: {take}or, as long as there is no data, "
            f"./webitel destroy {plan.stack} --with-data and then another "
            f"{'webitel:zone or ' if node.zone else ''}webitel:region",
        )
    )


def explain_own(plan: Plan, node: Node | None, refusal: Refusal) -> str:
    """Say what the error of a hypervisor of one's own means: nobody sells more there."""
    place, what = f"{plan.facts.title} {plan.region}", f"{node.key} ({node.machine_type.name})" if node else "this"
    if refusal is Refusal.QUOTA:
        return f"{place} does not let these credentials make {what}: give them more rights ({plan.facts.quota_page})"
    told = f"{place} has no room for {what}"
    if node is None:
        return f"{told}: make room, or name further hosts in webitel:zones"
    return str(setting_problem("zones", node.zone, f"{told} there: make room, or name further hosts, and run `up` again"))


def choose_other(facts: CloudFacts, machine: MachineType, region: str) -> MachineType | None:
    """Return the cheapest other type that is at least as large, another family first: what is short is often the whole family."""
    size = Size(machine.vcpus, machine.memory_gib, machine.root_disk_gib, 0, "")
    fit = [
        one
        for one in facts.machine_types
        if one.name != machine.name and fits(one, size) and one.family not in facts.closed_families
    ]
    return min(
        fit,
        default=None,
        key=lambda one: (
            one.family == machine.family,
            one.price_in(region) or one.price_in(facts.default_region) or float("inf"),
            one.vcpus,
            one.name,
        ),
    )
