"""DigitalOcean's sizes with their prices; needs a token. Shape: docs.digitalocean.com, API v2, "List All Droplet Sizes"."""

from __future__ import annotations

import os
from collections.abc import Sequence

from components.clouds.price_documents import NotAsked, fetch
from components.model.clouds.price_list import Found

ADDRESS = "https://api.digitalocean.com"


def find_prices(names: Sequence[str], regions: Sequence[str], address: str = ADDRESS) -> Found:
    """Prices of droplets, the same in every region. Volumes and NAT have no interface. Raises NotAsked."""
    token = os.environ.get("DIGITALOCEAN_TOKEN") or os.environ.get("DIGITALOCEAN_ACCESS_TOKEN")
    if not token:
        raise NotAsked("needs a token: export DIGITALOCEAN_TOKEN=...")
    sizes = fetch(f"{address}/v2/sizes?per_page=200", token)["sizes"]
    return Found(
        "DigitalOcean sizes", "monthly", {size["slug"]: {"any": size["price_monthly"]} for size in sizes if size["slug"] in names}
    )
