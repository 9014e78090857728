"""Google Cloud: the project, machine types by zone, the region's quotas.

Sources: `facts/clouds.md` 2; quotas: REST `compute/v1/projects/P/regions/R`, field `quotas` of `metric`, `limit`,
`usage`. Pulumi's provider has limits only, by an interface that each project has to enable first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial

from pulumi_gcp import compute, organizations

from components.clouds.gcp.facts import FACTS
from components.clouds.questions import Asked, Questions, fetch, known
from components.model.clouds.offers import Offers, Quota
from components.model.machine import Public

REST = "https://compute.googleapis.com"


def make_questions(asked: Asked) -> Questions:
    """What Google Cloud is asked."""
    return Questions(ask_account, partial(ask_offers, asked), partial(ask_quotas, asked))


async def ask_account() -> str:
    project = await known(organizations.get_project_output())
    return f"project {project.project_id}, number {project.number}"


async def ask_offers(asked: Asked) -> Offers:
    region = asked.plan.region
    zones = (await known(compute.get_zones_output(region=region, status="UP"))).names
    found = await asyncio.gather(*(known(compute.get_machine_types_output(zone=zone)) for zone in zones))
    names = {machine.name for machine in FACTS.machine_types}
    return Offers(
        "zone",
        asked.plan.zone,
        {
            zone.removeprefix(f"{region}-"): sorted(names.intersection(machine.name for machine in types.machine_types))
            for zone, types in zip(zones, found, strict=True)
        },
    )


async def ask_quotas(asked: Asked) -> list[Quota]:
    client = await known(organizations.get_client_config_output())
    region = await fetch(
        f"{asked.rest or REST}/compute/v1/projects/{client.project}/regions/{asked.plan.region}?fields=quotas",
        client.access_token,
    )
    needed: Counter[str] = Counter()
    for node in asked.missing:
        needed["INSTANCES"] += 1
        needed["STATIC_ADDRESSES"] += node.public is Public.SERVICE
        needed[f"{node.machine_type.family.upper()}_CPUS"] += node.machine_type.vcpus
        if FACTS.disk_type_for(node.machine_type) == "pd-ssd":
            needed["SSD_TOTAL_GB"] += sum(disk.size_gib for disk in node.disks)
    # What the region tells no quota of is not compared: some families count elsewhere.
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={client.project}"
    return [
        Quota(
            f"{one['metric']} in {asked.plan.region}",
            one["limit"],
            needed[one["metric"]],
            f"ask for more: {page}",
            one.get("usage", 0),
        )
        for one in region["quotas"]
        if one["metric"] in needed
    ]
