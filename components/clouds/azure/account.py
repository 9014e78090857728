"""Azure: the subscription, VM sizes by zone, quotas of cores.

Sources: `facts/clouds.md` 3; REST `Microsoft.Compute/skus` and `.../locations/L/usages` as documented: Pulumi's
provider has neither, but hands out the token that it uses itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from pulumi_azure_native import authorization

from components.clouds.azure.facts import FACTS
from components.clouds.questions import Asked, Questions, fetch, known
from components.model.clouds.offers import Offers, Quota

REST = "https://management.azure.com"
SUBSCRIPTIONS, SKUS, USAGES = "2022-12-01", "2021-07-01", "2024-07-01"
"""Versions of the interfaces."""

Sku = Mapping[str, Any]


def make_questions(asked: Asked) -> Questions:
    """What Azure is asked."""
    return Questions(partial(ask_account, asked), partial(ask_offers, asked), partial(ask_quotas, asked))


async def get(asked: Asked, path: str) -> Mapping[str, Any]:
    """A document of the subscription."""
    client, token = await asyncio.gather(
        known(authorization.get_client_config_output()), known(authorization.get_client_token_output())
    )
    return await fetch(f"{asked.rest or REST}/subscriptions/{client.subscription_id}{path}", token.token)


async def ask_account(asked: Asked) -> str:
    found = await get(asked, f"?api-version={SUBSCRIPTIONS}")
    if found["state"] != "Enabled":
        raise ValueError(f"subscription {found['displayName']} is {found['state']}")
    return f"subscription {found['displayName']}, {found['subscriptionId']}"


async def list_skus(asked: Asked) -> list[Sku]:
    """The VM sizes of our list that the subscription may use in the region, as the interface tells them."""
    names = {machine.name for machine in FACTS.machine_types}
    wish = quote(f"location eq '{asked.plan.region}'")
    found = await get(asked, f"/providers/Microsoft.Compute/skus?api-version={SKUS}&$filter={wish}")
    return [sku for sku in found["value"] if sku["resourceType"] == "virtualMachines" and sku["name"] in names]


def list_zones(sku: Sku) -> Iterator[str]:
    """The zones that offer a size."""
    barred = {zone for rule in sku["restrictions"] if rule["type"] == "Zone" for zone in rule["restrictionInfo"]["zones"]}
    if not any(rule["type"] == "Location" for rule in sku["restrictions"]):
        yield from (zone for place in sku["locationInfo"] for zone in place["zones"] if zone not in barred)


async def ask_offers(asked: Asked) -> Offers:
    types: dict[str, list[str]] = {}
    for sku in await list_skus(asked):
        for zone in list_zones(sku):
            types.setdefault(zone, []).append(sku["name"])
    return Offers("zone", asked.plan.zone, types)


async def ask_quotas(asked: Asked) -> list[Quota]:
    skus, usages = await asyncio.gather(
        list_skus(asked), get(asked, f"/providers/Microsoft.Compute/locations/{asked.plan.region}/usages?api-version={USAGES}")
    )
    families = {sku["name"]: sku["family"] for sku in skus}
    needed: Counter[str] = Counter()
    for node in asked.missing:
        needed["virtualMachines"] += 1
        # A size that the subscription may not use has no family here; the machine types say that.
        for name in ("cores", families.get(node.machine_type.name)):
            if name:
                needed[name] += node.machine_type.vcpus
    return [
        Quota(
            f"{one['name']['localizedValue']} in {asked.plan.region}",
            one["limit"],
            needed[one["name"]["value"]],
            "ask for more: https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade",
            one["currentValue"],
        )
        for one in usages["value"]
        if one["name"]["value"] in needed
    ]
