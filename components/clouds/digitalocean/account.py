"""DigitalOcean: the account, sizes by region, how many droplets there may be, the image, networks.

Source: `facts/clouds.md` 4, `facts/real-clouds.md` B8, B17; networks: API v2, `GET /v2/vpcs`, as Pulumi's provider has no
function that lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pulumi
from pulumi_digitalocean import get_account_output, get_droplets_output, get_image_output, get_sizes_output

from components.clouds.digitalocean.adapter import IMAGE
from components.clouds.digitalocean.facts import FACTS
from components.clouds.digitalocean.interface import read_base, read_token
from components.clouds.questions import Asked, Questions, fetch, find_image, known
from components.model.clouds.offers import Finding, Offers, Quota

PAGE = 200
"""Things on one page of a list, at most."""


def make_questions(asked: Asked) -> Questions:
    """List what DigitalOcean is asked."""
    return Questions(
        ask_account,
        partial(ask_offers, asked),
        partial(ask_quotas, asked),
        {"image": partial(ask_image, asked), "network": partial(ask_network, asked)},
    )


async def ask_account() -> str:
    account = await known(get_account_output())
    if account.status != "active":
        raise ValueError(f"the account of {account.email} is {account.status}: {account.status_message}")
    return f"account of {account.email}"


async def ask_offers(asked: Asked) -> Offers:
    found = await known(get_sizes_output())
    known_types = {machine.name for machine in FACTS.machine_types}
    types: dict[str, list[str]] = {}
    for size in found.sizes:
        if size.slug in known_types and size.available:
            for region in size.regions:
                types.setdefault(region, []).append(size.slug)
    return Offers("region", asked.plan.region, types)


async def ask_quotas(asked: Asked) -> list[Quota]:
    account = await known(get_account_output())
    droplets = await known(get_droplets_output())
    return [
        Quota(
            "droplets",
            account.droplet_limit,
            len(asked.missing),
            "ask for more: https://cloud.digitalocean.com/account/team/droplet_limit_increase",
            len(droplets.droplets),
        )
    ]


async def ask_image(asked: Asked) -> list[Finding]:
    image = asked.image or IMAGE
    wish = {"id": int(image)} if image.isdecimal() else {"slug": image}
    return await find_image(image, IMAGE, known(get_image_output(**wish)), "(?i)image not found|no image")


async def ask_network(asked: Asked) -> list[Finding]:
    """Find what the account's networks have to do with ours, before it is made: a region's first one stays for good."""
    if asked.has("digitalocean:index/vpc:Vpc", "network"):
        return []
    plan, networks = asked.plan, await list_networks()
    found = []
    if any(one["name"] == plan.stack for one in networks):
        remedy = "delete or rename it, or use another name for the deployment: ./webitel init NAME"
        found.append(
            Finding("names", f"the account has a VPC {plan.stack} already, which this deployment's state does not know", remedy)
        )
    for one in networks:
        if one["name"] != plan.stack and IPv4Network(one["ip_range"]).overlaps(IPv4Network(plan.network)):
            told = f"webitel:network = {plan.network}: the VPC {one['name']} ({one['region']}) has {one['ip_range']}"
            found.append(Finding("network", told, f"use a range that no VPC of the account has, such as {find_range(networks)}"))
    if not any(one["region"] == plan.region and one["default"] for one in networks):
        name = f"default-{plan.region}"
        found.append(
            Finding(
                "network",
                f"{plan.region} has no default VPC: the deployment's own would become it, and could never be deleted",
                f"make another one first: doctl vpcs create --name {name} --region {plan.region}; else `destroy` leaves it",
                waits=True,
            )
        )
    return found


def find_range(networks: Iterable[Mapping[str, Any]]) -> str:
    """Find a private range that none of these networks has."""
    taken = [IPv4Network(one["ip_range"]) for one in networks]
    free = (f"10.{second}.0.0/16" for second in range(20, 200))
    return next(text for text in free if not any(IPv4Network(text).overlaps(one) for one in taken))


async def list_networks() -> list[Mapping[str, Any]]:
    """List the account's VPCs, by its token: the provider's own."""

    def read(name: str) -> str:
        package, _, key = name.partition(":")
        return pulumi.Config(package).get(key) or ""

    token, base = read_token(read), read_base(read)
    networks: list[Mapping[str, Any]] = []
    while True:
        page = await fetch(f"{base}/v2/vpcs?per_page={PAGE}&page={len(networks) // PAGE + 1}", token)
        networks += page["vpcs"]
        if len(page["vpcs"]) < PAGE:
            return networks
