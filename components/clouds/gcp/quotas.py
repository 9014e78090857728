"""Google Cloud: quotas of the region, of the project and of families of machine types.

Sources: `facts/clouds.md` 2, `facts/real-clouds.md` B15; REST compute v1, field `quotas` of a project and a region (`metric`,
`limit`, `usage`), and Cloud Quotas for families without one there. An adapter's resources are counted as they are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from pulumi_gcp import cloudquota, organizations

from components.clouds.gcp.facts import FACTS
from components.clouds.gcp.mover import INSIDE, OUTSIDE
from components.clouds.questions import Asked, fetch, known
from components.model.catalogue.standby import ADDRESS as SIP_ADDRESS
from components.model.clouds.offers import Finding, Quota
from components.model.machine import Public
from components.model.naming import SIP
from components.model.plan import Plan

REST = "https://compute.googleapis.com"
COMPUTE = "gcp:compute"
ADDRESS, DISK, FIREWALL, NETWORK = (
    f"{COMPUTE}/{name}" for name in ("address:Address", "disk:Disk", "firewall:Firewall", "network:Network")
)
RULE, TARGET = f"{COMPUTE}/forwardingRule:ForwardingRule", f"{COMPUTE}/targetInstance:TargetInstance"
DISK_METRICS = {"pd-ssd": "SSD_TOTAL_GB", "hyperdisk-balanced": "HDB_TOTAL_GB"}
"""The metric that counts a kind of disk."""
FAMILIES = "CPUS-PER-VM-FAMILY-per-project-region"
"""The quota of vCPUs by region and family, in Cloud Quotas."""

Document = Callable[[], Awaitable[Mapping[str, Any]]]


async def get(asked: Asked, path: str) -> Mapping[str, Any]:
    """Fetch a document of the project."""
    client = await known(organizations.get_client_config_output())
    return await fetch(f"{asked.rest or REST}/compute/v1/projects/{client.project}{path}", client.access_token)


async def ask_quotas(asked: Asked, region: Document, project: Document) -> list[Quota]:
    client = await known(organizations.get_client_config_output())
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={client.project}"
    found = []
    for place, document, needed in (
        (f"in {asked.plan.region}", await region(), count_in_region(asked)),
        ("in the project", await project(), count_in_project(asked)),
    ):
        found += [
            Quota(f"{one['metric']} {place}", one["limit"], amount, f"ask for more: {page}", one.get("usage", 0))
            for one in document["quotas"]
            if (amount := needed[one["metric"]]) > 0
        ]
    return found


def count_in_region(asked: Asked) -> Counter[str]:
    """Count what is still to be made by the metric of a region's quota. What it has no quota of is asked for elsewhere."""
    needed: Counter[str] = Counter()
    for node in asked.missing:
        needed["INSTANCES"] += 1
        needed[f"{node.machine_type.family.upper()}_CPUS"] += node.machine_type.vcpus
    for node in asked.plan.nodes:
        kept = {disk.purpose for disk in node.disks if disk.is_data and asked.has(DISK, f"{node.key}-{disk.purpose}")}
        sizes = [disk.size_gib for disk in node.disks if (disk.purpose not in kept if disk.is_data else node in asked.missing)]
        needed[DISK_METRICS.get(FACTS.disk_type_for(node.machine_type), "")] += sum(sizes)
    public = [node for node in asked.plan.nodes if node.public is Public.SERVICE]
    own = asked.count(ADDRESS) - asked.has(ADDRESS, f"{SIP}-inside")
    needed["STATIC_ADDRESSES"] = len(public) + asked.plan.gateways + bool(asked.plan.sip_address) - own
    if asked.plan.sip_address:  # each rule leads to a target of its own on every node
        rules, turns = len((OUTSIDE, *INSIDE)), len(asked.plan.nodes_with(SIP_ADDRESS))
        needed["FORWARDING_RULES"] = rules - asked.count(RULE)
        needed["TARGET_INSTANCES"] = rules * turns - asked.count(TARGET)
    return needed


def count_in_project(asked: Asked) -> Counter[str]:
    """Count what is still to be made by the metric of a project's quota."""
    return Counter(
        NETWORKS=0 if asked.plan.existing else 1 - asked.count(NETWORK),
        FIREWALLS=count_firewalls(asked.plan) - asked.count(FIREWALL),
        CPUS_ALL_REGIONS=sum(node.machine_type.vcpus for node in asked.missing),
    )


def count_firewalls(plan: Plan) -> int:
    """How many the adapter makes: a role's by source and by destination, and two for all."""
    sources = {(one.role, one.audience, one.networks) for one in plan.openings if one.networks}
    peers = {(one.role, peer) for one in plan.openings for peer in one.roles}
    return len(sources) + len(peers) + len({(rule.role, rule.destinations) for rule in plan.egress}) + 2


async def ask_families(asked: Asked, region: Document) -> list[Finding]:
    """Ask for the quotas of families without one of the region's: Cloud Quotas tells the limit, and nobody what is used."""
    metrics = {one["metric"] for one in (await region())["quotas"]}
    needed: Counter[str] = Counter()
    for node in asked.plan.nodes if asked.missing else ():
        needed[node.machine_type.family.upper()] += node.machine_type.vcpus
    wanted = {family: amount for family, amount in needed.items() if f"{family}_CPUS" not in metrics}
    if not wanted:
        return []
    client = await known(organizations.get_client_config_output())
    page = f"https://console.cloud.google.com/iam-admin/quotas?project={client.project} (CPUS_PER_VM_FAMILY)"
    try:
        info = await known(
            cloudquota.get_s_quota_info_output(
                parent=f"projects/{client.project}", service="compute.googleapis.com", quota_id=FAMILIES
            )
        )
    except Exception as error:  # mostly: the interface is not enabled in the project
        text = f"not compared: {', '.join(f'{amount} vCPUs of {family}' for family, amount in wanted.items())} needed ({error})"
        return [Finding("quota by family", text, f"look at {page}", waits=True)]
    return [judge_family(asked, family, amount, info.dimensions_infos, page) for family, amount in wanted.items()]


def judge_family(asked: Asked, family: str, amount: int, told: Iterable[Any], page: str) -> Finding:
    """Whether a family's quota of the region is enough for the whole plan."""
    region = asked.plan.region
    name = f"vCPUs of {family} in {region}"
    fit = [
        one
        for one in told
        if one.details
        and region in (*one.applicable_locations, one.dimensions.get("region"))
        and one.dimensions.get("vm_family", family) == family
    ]
    if not fit:
        return Finding("quota by family", f"{name}: not told, {amount} needed", f"look at {page}", waits=True)
    # One without a family or region is that of all families and regions without their own.
    limit = float(max(fit, key=lambda one: ("vm_family" in one.dimensions, "region" in one.dimensions)).details[0].value)
    enough = limit < 0 or amount <= limit  # -1 is no limit
    return Finding("quota by family", f"{name}: {limit:g}, {amount} needed", "" if enough else f"ask for more: {page}")
