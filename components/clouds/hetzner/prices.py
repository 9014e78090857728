"""Hetzner Cloud's prices; needs a token. Shape: docs.hetzner.cloud, "Get all prices" (net is without VAT)."""

from __future__ import annotations

import os
from collections.abc import Sequence

from components.clouds.price_documents import NotAsked, fetch
from components.model.clouds.price_list import Found

ADDRESS = "https://api.hetzner.cloud"


def find_prices(names: Sequence[str], regions: Sequence[str], address: str = ADDRESS) -> Found:
    """Net prices of servers, volumes and primary IPv4 by location. Raises NotAsked."""
    token = os.environ.get("HCLOUD_TOKEN")
    if not token:
        raise NotAsked("needs a token: export HCLOUD_TOKEN=...")
    pricing = fetch(f"{address}/v1/pricing", token)["pricing"]
    machines = {
        one["name"]: {price["location"]: float(price["price_monthly"]["net"]) for price in one["prices"]}
        for one in pricing["server_types"]
        if one["name"] in names
    }
    volume = float(pricing["volume"]["price_per_gb_month"]["net"])
    addresses = {
        price["location"]: float(price["price_monthly"]["net"])
        for one in pricing["primary_ips"]
        if one["type"] == "ipv4"
        for price in one["prices"]
        if price["location"] in regions
    }
    return Found(
        "Hetzner pricing", "monthly", machines, {("disk", "volume"): dict.fromkeys(regions, volume), ("address",): addresses}
    )
