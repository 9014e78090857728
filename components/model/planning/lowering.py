"""Nodes that a running deployment would lose by a changed setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.problems import PlanError, Problem, setting_problem


def refuse_lowering(plan: Plan, running: Mapping[str, Any]) -> None:
    """Raise a PlanError where nodes that are up are no longer planned and have not left yet, or would lose a data disk.

    `running` are the nodes of the last `up` by key, with whether they were leaving and GiB by purpose of their data disks.
    Machines go last: until then the others would go on calling them, a cluster would lose members unasked, calls would drop,
    and at their protected disks and addresses the run would fail half way.
    """
    planned = {node.key for node in plan.nodes}
    lost = sorted(key for key, node in running.items() if key not in planned and not node.get("leaving"))
    if problems := [*list_problems(plan, lost), *keep_disks(plan, running)]:
        raise PlanError(problems)


def list_problems(plan: Plan, lost: list[str]) -> list[Problem]:
    """Find roles that would lose nodes: how many each would have, and the command that lets the others leave."""
    counts = {role: sum(node.role == role for node in plan.nodes) for role in plan.roles}
    by_role: dict[str, list[str]] = {}
    for key in lost:
        by_role.setdefault(key.rpartition("-")[0], []).append(key)
    problems = []
    for role, keys in by_role.items():
        nodes = ", ".join(keys)
        if role in counts:
            problems.append(
                setting_problem(
                    f"counts.{role}",
                    counts[role],
                    f"{nodes} {'is' if len(keys) == 1 else 'are'} up and would be lost with "
                    f"calls and data; set it back to {counts[role] + len(keys)}, then ./webitel scale {role} {counts[role]} "
                    f"{plan.stack}",
                )
            )
        else:
            before = next((tier.name for tier in TIERS.values() if any(one.name == role for one in tier.roles)), "")
            problems.append(
                setting_problem(
                    "tier",
                    plan.tier,
                    f"{nodes} {'is' if len(keys) == 1 else 'are'} up and would have no place in it; "
                    f"set it back to {before}, or ./webitel destroy {plan.stack} first",
                )
            )
    return problems


def keep_disks(plan: Plan, running: Mapping[str, Any]) -> list[Problem]:
    """Find disks that nothing writes to any more, since a share takes their place; they would go with what is on them."""
    return [
        setting_problem(
            "recordings_share.source",
            plan.share,
            (
                f"the disk {purpose} of {node.key} would go with what is on it; keep it with "
                f"webitel:disk_sizes: {{{node.role}.{purpose}: {int(gib)}}}, then copy its files to the share "
                "(docs/operate/availability.md)"
            ),
        )
        for node in plan.nodes
        for purpose, gib in running.get(node.key, {}).get("disks", {}).items()
        if purpose not in {disk.purpose for disk in node.disks}
    ]
