"""Azure: the subscription, VM sizes by zone with their disk controllers, disks, quotas of cores and addresses, the image.

Sources: `facts/clouds.md` 3, `facts/real-clouds.md` B1, B3, B19; REST as documented: `Microsoft.Compute/skus`, `usages` of
Compute and Network by location, `vmimage`. Pulumi's provider has none of them, but hands out the token that it uses itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from pulumi_azure_native import authorization, network

from components.clouds.azure.facts import FACTS
from components.clouds.azure.machines import IMAGE, name_controller
from components.clouds.questions import Asked, Questions, SubnetFound, fetch, find_given, find_image, known, once
from components.model.catalogue.tiers import TIERS, is_voice
from components.model.clouds.machines import choose_machine_type
from components.model.clouds.offers import Finding, Offers, Quota
from components.model.machine import Public
from components.model.planning.draft import tier_size

REST = "https://management.azure.com"
SUBSCRIPTIONS, SKUS, USAGES, NETWORK_USAGES, IMAGES = "2022-12-01", "2021-07-01", "2024-07-01", "2024-05-01", "2024-07-01"
"""Versions of the interfaces."""

NETWORK, ADDRESS, GROUP = (
    f"azure-native:{name}" for name in ("network:VirtualNetwork", "network:PublicIPAddress", "network:NetworkSecurityGroup")
)
MORE = "ask for more: https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade"

Sku = Mapping[str, Any]
Skus = Callable[[], Awaitable[list[Sku]]]


def make_questions(asked: Asked) -> Questions:
    """List what Azure is asked."""
    # Long, and several questions need it.
    skus = once(partial(list_skus, asked))
    return Questions(
        partial(ask_account, asked),
        partial(ask_offers, asked, skus),
        partial(ask_quotas, asked, skus),
        {
            "disks": partial(ask_disks, asked, skus),
            "image": partial(ask_image, asked),
            "addresses": partial(ask_network_limits, asked),
            "names": partial(ask_names, asked),
            **({"network": partial(ask_network, asked)} if asked.plan.existing else {}),
        },
    )


async def get(asked: Asked, path: str) -> Any:
    """Fetch a document of the subscription; of a list in pages, all pages."""
    client, token = await asyncio.gather(
        known(authorization.get_client_config_output()), known(authorization.get_client_token_output())
    )
    found: Any = await fetch(f"{asked.rest or REST}/subscriptions/{client.subscription_id}{path}", token.token)
    page = found
    while isinstance(page, dict) and (following := page.get("nextLink")):
        page = await fetch(following, token.token)
        found["value"] += page["value"]
    return found


async def ask_account(asked: Asked) -> str:
    found = await get(asked, f"?api-version={SUBSCRIPTIONS}")
    if found["state"] != "Enabled":
        raise ValueError(f"subscription {found['displayName']} is {found['state']}")
    return f"subscription {found['displayName']}, {found['subscriptionId']}"


async def list_skus(asked: Asked) -> list[Sku]:
    """Ask for the VM sizes of our list, and the kinds of disks, that the region has for the subscription."""
    names = {machine.name for machine in FACTS.machine_types}
    wish = quote(f"location eq '{asked.plan.region}'")
    found = await get(asked, f"/providers/Microsoft.Compute/skus?api-version={SKUS}&$filter={wish}")
    kinds = [sku for sku in found["value"] if sku["resourceType"] == "disks"]
    return [*kinds, *(sku for sku in found["value"] if sku["resourceType"] == "virtualMachines" and sku["name"] in names)]


def list_machines(skus: list[Sku]) -> list[Sku]:
    """Those that are VM sizes."""
    return [sku for sku in skus if sku["resourceType"] == "virtualMachines"]


def list_zones(sku: Sku) -> Iterator[str]:
    """List the zones that offer a size."""
    barred = {
        zone for rule in sku["restrictions"] if rule["type"] == "Zone" for zone in rule["restrictionInfo"].get("zones") or ()
    }
    if not is_barred(sku):
        yield from (zone for place in sku["locationInfo"] for zone in place.get("zones") or () if zone not in barred)


def is_barred(sku: Sku) -> bool:
    """Whether the subscription may not have it anywhere in the region."""
    return any(rule["type"] == "Location" for rule in sku["restrictions"])


async def ask_offers(asked: Asked, skus: Skus) -> Offers:
    types: dict[str, list[str]] = {}
    for sku in list_machines(await skus()):
        for zone in list_zones(sku):
            types.setdefault(zone, []).append(sku["name"])
    return Offers("zone", asked.plan.zone, types)


async def ask_disks(asked: Asked, skus: Skus) -> list[Finding]:
    """Whether the sizes take the controller that we ask for, and the region has our kinds of disks."""
    found, known_skus = [], await skus()
    told_of = {
        sku["name"]: {one["name"]: one["value"] for one in sku.get("capabilities") or ()} for sku in list_machines(known_skus)
    }
    for name, node in {node.machine_type.name: node for node in asked.missing}.items():
        told = told_of.get(name, {})
        wanted = name_controller(node.machine_type)
        if (offered := told.get("DiskControllerTypes")) and wanted not in [one.strip() for one in offered.split(",")]:
            text = (
                f"webitel:machine_types.{node.role} = {name}: its disks need a controller {wanted}, and Azure has {offered} there"
            )
            found.append(Finding("disks", text, "use another machine type, and report it: this is our mistake"))
    offered_disks = [sku for sku in known_skus if sku["resourceType"] == "disks" and not is_barred(sku)]
    for kind in sorted({FACTS.disk_type_for(node.machine_type) for node in asked.missing}):
        if offered_disks and not any(sku["name"] == kind for sku in offered_disks):
            text = f"webitel:region = {asked.plan.region}: the subscription gets no disks {kind} there"
            found.append(Finding("disks", text, "use another region, such as webitel:region: swedencentral"))
    return found


async def ask_quotas(asked: Asked, skus: Skus) -> list[Quota]:
    found, usages = await asyncio.gather(
        skus(), get(asked, f"/providers/Microsoft.Compute/locations/{asked.plan.region}/usages?api-version={USAGES}")
    )
    # Spelled with large and small letters in more than one way.
    families = {sku["name"]: sku["family"].lower() for sku in list_machines(found)}
    needed: Counter[str] = Counter()
    for node in asked.missing:
        needed["virtualmachines"] += 1
        # A size that the subscription may not use has no family here; the machine types say that.
        for name in ("cores", families.get(node.machine_type.name)):
            if name:
                needed[name] += node.machine_type.vcpus
    told = {one["name"]["value"].lower(): one for one in usages["value"]}
    titles = {name: str(one["name"]["localizedValue"]) for name, one in told.items()}
    room = {name: one["limit"] - one["currentValue"] - needed[name] for name, one in told.items()}
    return [
        Quota(
            f"{one['name']['localizedValue']} in {asked.plan.region}",
            one["limit"],
            needed[name],
            explain_family(asked, name, families, room, titles) if name in families.values() else MORE,
            one["currentValue"],
        )
        for name, one in told.items()
        if name in needed
    ]


def explain_family(
    asked: Asked,
    family: str,
    families: Mapping[str, str],
    room: Mapping[str, float],
    titles: Mapping[str, str],
) -> str:
    """How more of a family is had, and the cheapest machine types of families with room for all that would move there."""
    ticket = (
        f"support ticket, Service and subscription limits (quotas), Compute-VM, {asked.plan.region}, {titles[family]}; {MORE}"
    )
    moving = {node.role: node for node in asked.missing if families.get(node.machine_type.name) == family}
    amount = sum(node.machine_type.vcpus for node in asked.missing if node.role in moving)
    for other in sorted({one for one in families.values() if one != family and room.get(one, 0) >= amount}):
        among = [name for name, one in families.items() if one == other]
        try:
            fit = {
                role: choose_machine_type(
                    FACTS,
                    tier_size(TIERS[asked.plan.tier].role(role), FACTS),
                    asked.plan.region,
                    is_voice(TIERS[asked.plan.tier].role(role)),
                    among,
                )
                for role in moving
            }
        except LookupError:
            continue
        if sum(fit[node.role].vcpus for node in asked.missing if node.role in moving) <= room[other]:
            types = ", ".join(f"{role}: {machine.name}" for role, machine in fit.items())
            return f"webitel:machine_types: {{{types}}} ({titles[other]}: room for them), or a {ticket}"
    return ticket


async def ask_network_limits(asked: Asked) -> list[Finding]:
    """Whether there is room for what the deployment's network still needs."""
    region, nodes = asked.plan.region, asked.plan.nodes
    usages = await get(asked, f"/providers/Microsoft.Network/locations/{region}/usages?api-version={NETWORK_USAGES}")
    addresses = sum(node.public is Public.SERVICE for node in nodes) + asked.plan.gateways
    needed = {
        "VirtualNetworks": 0 if asked.plan.existing else 1 - asked.count(NETWORK),
        "NetworkSecurityGroups": len(asked.plan.roles) - asked.count(GROUP),
        "PublicIPAddresses": addresses - asked.count(ADDRESS),
        "StandardSkuPublicIpAddresses": addresses - asked.count(ADDRESS),
    }
    return [
        Finding(
            "quota",
            f"{one['name']['localizedValue']} in {region}: {one['limit']:g}, {one['currentValue']:g} used, {more} needed",
            MORE,
        )
        for one in usages["value"]
        if (more := needed.get(one["name"]["value"], 0)) > 0 and one["currentValue"] + more > one["limit"]
    ]


async def ask_network(asked: Asked) -> list[Finding]:
    """Whether the company's subnets are there, and have the ways out that their nodes need."""
    given = asked.plan.existing
    assert given
    parts = given.id.split("/")
    ask = once(lambda: known(network.get_virtual_network_output(resource_group_name=parts[4], virtual_network_name=parts[8])))

    async def tell(id: str) -> SubnetFound:
        found = await ask()
        subnet = next((one for one in found.subnets or () if str(one.id).lower() == id.lower()), None)
        if subnet is None:
            raise LookupError(f"NotFound: {given.id} has no such subnet")
        ranges = [*(subnet.address_prefixes or ()), *([subnet.address_prefix] if subnet.address_prefix else ())]
        region = str(found.location).replace(" ", "").lower()
        wrong = "" if region == asked.plan.region else f"its network is in {region}, not in {asked.plan.region}"
        if given.subnets[id].public and subnet.nat_gateway:
            wrong = wrong or "nodes that are reached from outside would go out by its NAT gateway, not by their own address"
        lost = not given.subnets[id].public and not subnet.nat_gateway and not subnet.route_table
        doubt = "it has no NAT gateway and no route table, and its nodes fetch their packages from outside" if lost else ""
        return SubnetFound(ranges, wrong, doubt)

    return await find_given(asked.plan, tell, "(?i)not ?found")


async def ask_image(asked: Asked) -> list[Finding]:
    image = asked.image or IMAGE
    parts = image.split(":")
    if len(parts) != 4:  # an id, of which there are several kinds
        return []
    publisher, offer, sku, version = map(quote, parts)
    path = (
        f"/providers/Microsoft.Compute/locations/{asked.plan.region}/publishers/{publisher}/artifacttypes/vmimage/offers/{offer}"
        f"/skus/{sku}/versions"
    )
    return await find_image(image, IMAGE, find_version(asked, path, version), "(?i): 404 |no version")


async def find_version(asked: Asked, path: str, version: str) -> None:
    """Find a version of an image, or any. Raises a LookupError where there is none."""
    if version != "latest":
        await get(asked, f"{path}/{version}?api-version={IMAGES}")
    elif not await get(asked, f"{path}?api-version={IMAGES}&$top=1"):
        raise LookupError("no version of it")


async def ask_names(asked: Asked) -> list[Finding]:
    """Find a resource group of the deployment's name, which is another's before the first `up`."""
    if asked.has("azure-native:resources:ResourceGroup", "group"):
        return []
    try:
        await get(asked, f"/resourcegroups/{asked.plan.stack}?api-version=2021-04-01")
    except OSError as error:
        if ": 404 " in str(error):
            return []
        raise
    text = f"the subscription has a resource group {asked.plan.stack} already, which this deployment's state does not know"
    return [Finding("names", text, "delete it, or use another name for the deployment: ./webitel init NAME")]
