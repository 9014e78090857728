"""Google Cloud: the project, machine and disk types by zone, the image, quotas, what the organisation forbids, names.

Sources: `facts/clouds.md` 2, `facts/real-clouds.md` B16; REST compute v1, Resource Manager v1 for constraints: Pulumi's provider
has no functions for these.
"""

from __future__ import annotations

import asyncio
from functools import partial

from pulumi_gcp import compute, organizations, storage

from components.clouds.gcp.adapter import IMAGE
from components.clouds.gcp.facts import FACTS
from components.clouds.gcp.quotas import NETWORK, REST, ask_families, ask_quotas, get
from components.clouds.questions import Asked, Questions, SubnetFound, fetch, find_bucket, find_given, find_image, known, once
from components.model.clouds.offers import Finding, Offers
from components.model.machine import Public
from components.model.plan import Node

MANAGER = "https://cloudresourcemanager.googleapis.com"
BUCKET, KEY = "gcp:storage/bucket:Bucket", "gcp:serviceaccount/key:Key"
NO_KEYS = "iam.disableServiceAccountKeyCreation"
"""The constraint that lets nobody make a key of an account; it holds in new organisations unless told otherwise."""


def make_questions(asked: Asked) -> Questions:
    """List what Google Cloud is asked."""
    region = once(partial(get, asked, f"/regions/{asked.plan.region}?fields=quotas"))
    project = once(partial(get, asked, "?fields=quotas"))
    return Questions(
        ask_account,
        partial(ask_offers, asked),
        partial(ask_quotas, asked, region, project),
        {
            "quota by family": partial(ask_families, asked, region),
            "disks": partial(ask_disks, asked),
            "image": partial(ask_image, asked),
            "constraints": partial(ask_constraints, asked),
            "names": partial(ask_names, asked),
            **({"network": partial(ask_network, asked)} if asked.plan.existing else {}),
            **({"bucket": partial(ask_buckets, asked), "key": partial(ask_keys, asked)} if asked.buckets else {}),
        },
    )


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


async def ask_network(asked: Asked) -> list[Finding]:
    """Whether the company's subnets are there."""
    given = asked.plan.existing
    assert given

    async def tell(id: str) -> SubnetFound:
        _, project, _, region, _, name = id.split("/")
        found = await known(compute.get_subnetwork_output(name=name, region=region, project=project))
        elsewhere = f"it is in {found.network}, not in webitel:existing_network.id = {given.id}"
        return SubnetFound([found.ip_cidr_range], "" if found.network.endswith(given.id) else elsewhere)

    return await find_given(asked.plan, tell, "(?i)not ?found")


async def ask_disks(asked: Asked) -> list[Finding]:
    """Whether the zones have the kinds of disks that the machine types take."""
    region, found = asked.plan.region, []
    for zone in list_zones(asked):
        wanted = {FACTS.disk_type_for(node.machine_type): node for node in asked.missing if zone_of(asked, node) == zone}
        told = await get(asked, f"/zones/{region}-{zone}/diskTypes?fields=items(name)")
        offered = {one["name"] for one in told.get("items", ())}
        found += [
            Finding(
                "disks",
                f"webitel:zone = {zone}: no disks {kind} in {region}-{zone}, and {node.machine_type.name} needs them",
                "use another zone, or a machine type of another family",
            )
            for kind, node in wanted.items()
            if kind not in offered
        ]
    return found


def zone_of(asked: Asked, node: Node) -> str:
    """Return the letter of the zone in which a node stands."""
    return node.zone or asked.plan.zone


def list_zones(asked: Asked) -> list[str]:
    """List the letters of the zones in which something is to be made."""
    return list(dict.fromkeys(zone_of(asked, node) for node in asked.missing))


async def ask_image(asked: Asked) -> list[Finding]:
    image, client = asked.image or IMAGE, await known(organizations.get_client_config_output())
    if not image.startswith("projects/"):  # spelled in one of the other ways that the provider takes
        return []
    answer = fetch(f"{asked.rest or REST}/compute/v1/{image}?fields=name", client.access_token)
    return await find_image(image, IMAGE, answer, ": 404 ")


async def ask_constraints(asked: Asked) -> list[Finding]:
    """Find what an organisation forbids in its projects, and every node of ours needs."""
    client = await known(organizations.get_client_config_output())
    address = f"{asked.rest or MANAGER}/v1/projects/{client.project}:getEffectiveOrgPolicy"
    login, outside = await asyncio.gather(
        *(
            fetch(address, client.access_token, {"constraint": f"constraints/compute.{name}"})
            for name in ("requireOsLogin", "vmExternalIpAccess")
        )
    )
    found = []
    if login.get("booleanPolicy", {}).get("enforced"):
        found.append(
            Finding(
                "constraints",
                f"constraints/compute.requireOsLogin holds for the project {client.project}: nodes take keys of their own",
                "have your organisation's administrator except the project: gcloud resource-manager org-policies "
                f"disable-enforce compute.requireOsLogin --project {client.project}",
            )
        )
    public = [node for node in asked.missing if node.public is Public.SERVICE]
    rule = outside.get("listPolicy", {})
    place = f"projects/{client.project}/zones/{asked.plan.region}"
    names = [f"{place}-{zone_of(asked, node)}/instances/{node.name}" for node in public]
    allowed = {one.removeprefix("is:") for one in rule.get("allowedValues", ())}
    barred = {one.removeprefix("is:") for one in rule.get("deniedValues", ())}
    # A rule for whole folders tells nothing of an instance.
    lacking = (
        {name for name in names if name not in allowed} if allowed and not any("under:" in one for one in allowed) else set()
    )
    refused = [name for name in names if rule.get("allValues") == "DENY" or name in barred or name in lacking]
    if refused:
        found.append(
            Finding(
                "constraints",
                f"constraints/compute.vmExternalIpAccess of the project {client.project} lets no public address to "
                f"{', '.join(refused)}",
                "have your organisation's administrator allow these instances",
            )
        )
    return found


async def ask_buckets(asked: Asked) -> list[Finding]:
    """Ask whether the names of buckets that are not made yet are free."""
    return [
        await find_bucket(name, known(storage.get_bucket_output(name=name)), "Error 404", "Error 403")
        for name in asked.buckets
        if not asked.has(BUCKET, name)
    ]


async def ask_keys(asked: Asked) -> list[Finding]:
    """Ask whether the organisation lets somebody make the key by which nodes reach their bucket, where there is none yet."""
    if asked.count(KEY):
        return []
    client = await known(organizations.get_client_config_output())
    address = f"{asked.rest or MANAGER}/v1/projects/{client.project}:getEffectiveOrgPolicy"
    told = await fetch(address, client.access_token, {"constraint": f"constraints/{NO_KEYS}"})
    if not told.get("booleanPolicy", {}).get("enforced"):
        return []
    return [
        Finding(
            "key",
            f"constraints/{NO_KEYS} holds for the project {client.project}: nobody makes the key by which nodes reach "
            "webitel:backup.bucket",
            "have your organisation's administrator except the project: gcloud resource-manager org-policies disable-enforce "
            f"{NO_KEYS} --project {client.project}",
        )
    ]


async def ask_names(asked: Asked) -> list[Finding]:
    """Names that are another's in the project."""
    plan = asked.plan
    remedy = "delete it, or use another name for the deployment: ./webitel init NAME"
    taken = set[str]()
    for zone in list_zones(asked):
        found = await get(asked, f"/zones/{plan.region}-{zone}/instances?fields=items(name)")
        taken |= {one["name"] for one in found.get("items", ())}
    told = [f"an instance {node.name}" for node in asked.missing if node.name in taken]
    if not asked.count(NETWORK):
        networks = (await get(asked, "/global/networks?fields=items(name)")).get("items", ())
        told += [f"a network {one['name']}" for one in networks if one["name"] == plan.stack]
    return [
        Finding("names", f"the project has {one} already, which this deployment's state does not know", remedy) for one in told
    ]
