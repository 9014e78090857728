"""Whether Prometheus' figures have room on the boot disks of the nodes that keep them."""

from __future__ import annotations

from collections.abc import Iterator

from components.model.catalogue.monitoring import PROMETHEUS
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem

PARTS = 2
"""Of the boot disk they get one: the rest is for the system, programs, logs and packages."""


def check_metrics(draft: Draft) -> Iterator[Problem]:
    """Find more room for figures than a boot disk has to spare: a full one stops services."""
    given = draft.settings
    for role in draft.tier.roles if given.monitoring else ():
        machine = draft.machines.get(role.name)
        wanted = given.disk_sizes.get(f"{role.name}.boot", draft.disks_of(role)["boot"])
        boot = max(wanted, machine.root_disk_gib if machine else 0)
        if PROMETHEUS.name in role.services and given.metrics_gib > boot // PARTS:
            what = f"more than half of the boot disk of {role.name}, {boot} GiB; use {boot // PARTS} or less"
            yield setting_problem("metrics_gib", given.metrics_gib, what)
