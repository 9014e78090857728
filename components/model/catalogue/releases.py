"""Releases of the vendor's packages, which of them can follow which, and what else forbids an upgrade."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args

from components.model.catalogue.service import Placement
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Plan
from components.model.report import Reports, list_faults
from components.model.settings import Settings

RELEASES: tuple[str, ...] = get_args(Settings.model_fields["release"].annotation)
"""The releases whose packages, units and schema the catalogue has."""

MIGRATIONS: Mapping[tuple[str, str], str] = {}
"""By release and the one after it, the program that migrates the database. None is public (`facts/webitel.md` 6, question 4)."""


def explain_release(now: str, wanted: str) -> str:
    """Say why a deployment of one release cannot become another one; "" = it can."""
    if not re.fullmatch(r"\d+\.\d+", wanted):
        return f"{wanted} is not a release; use one such as {RELEASES[-1]}"
    if wanted == now:
        return f"{wanted} is running already; leave out --release to look for its patch versions"
    known = f"known {'is' if len(RELEASES) == 1 else 'are'} {', '.join(RELEASES)}"
    if order(wanted) < order(now):
        return (
            f"{wanted} is older than {now}, which is running: its services cannot be expected to read a newer "
            f"release's database, so the only way back is an earlier backup; {known}"
        )
    if wanted not in RELEASES:
        return (
            f"release {wanted} is not known to this version of the project: the catalogue has neither its packages and units "
            f"nor the migration of the database; {known}"
        )
    if (now, wanted) not in MIGRATIONS:
        return f"no migration of the database from {now} to {wanted} is known; known migrations: {describe_migrations()}"
    return ""


def describe_migrations() -> str:
    """Return the migrations there are, in words."""
    return ", ".join(f"{old} to {new}" for old, new in MIGRATIONS) or "none"


def order(release: str) -> tuple[int, ...]:
    """Return a release as numbers: 26.4 is the fourth month, and newer than 25.08."""
    return tuple(map(int, release.split(".")))


def find_obstacles(plan: Plan, reports: Reports) -> list[str]:
    """Say why a deployment is in no state to be upgraded: `reports` is what `status` was told, by key of the node."""
    problems = []
    leaving = [node.key for node in plan.nodes if node.leaving]
    if left := sorted({*leaving, *(key for key, report in reports.items() if report.left is not None)}):
        problems.append(f"nodes are still leaving: {', '.join(left)}; finish with ./webitel scale")
    healthy = {(key, row.name) for key, report in reports.items() for row in report.services if row.healthy}
    for service in CATALOGUE.values():
        nodes = plan.serving(service.name) if service.cluster_sizes or service.placement is Placement.QUORUM else ()
        working = [node.key for node in nodes if (node.key, service.name) in healthy]
        if len(nodes) > 1 and 2 * len(working) <= len(nodes):
            problems.append(f"{service.title} has no quorum: of {len(nodes)} members only {', '.join(working) or 'none'} work")
    problems += [f"{node.key} was never configured" for node in plan.nodes if node.key not in reports]
    for key, report in reports.items():
        if not report.healthy and key not in left:
            problems.append(f"{key} is not healthy: {', '.join(fault.part or fault.why for fault in list_faults(report))}")
    return problems
