"""Google Cloud's billing catalogue; needs an API key. Shape: cloud.google.com, Cloud Billing API v1, `services.skus.list`.

A machine type has no price of its own there: its family's core and memory have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from components.clouds.gcp.facts import FACTS
from components.clouds.price_documents import NotAsked, fetch
from components.model.clouds.price_list import Found

ADDRESS = "https://cloudbilling.googleapis.com"
COMPUTE_ENGINE = "6F81-5844-456A"
HOURS = 730

RATE = re.compile(r"(?P<family>[A-Z]\d+[A-Z]?)(?: AMD)? Instance (?P<part>Core|Ram) running in .*")
OTHERS = {
    "SSD backed PD Capacity": (("disk", "pd-ssd"), 1),
    "Balanced PD Capacity": (("disk", "pd-balanced"), 1),
    "Hyperdisk Balanced Capacity": (("disk", "hyperdisk-balanced"), 1),
    "External IP Charge on a Standard VM": (("address",), HOURS),
}
"""By what a description begins with: where it stands in our list, and how many units make a month."""


def find_prices(names: Sequence[str], regions: Sequence[str], address: str = ADDRESS) -> Found:
    """Prices of machine types from core and memory, of disks and addresses in use. Raises NotAsked."""
    key = os.environ.get("GOOGLE_API_KEY")
    if not key:
        raise NotAsked("needs an API key of a project with the Cloud Billing API: export GOOGLE_API_KEY=...")
    rates: dict[tuple[str, str, str], float] = {}
    others: dict[tuple[str, ...], dict[str, float]] = {}
    for sku in list_skus(address, key):
        if sku["category"]["usageType"] != "OnDemand":
            continue
        everywhere = "global" in sku["serviceRegions"]
        for region in regions if everywhere else [one for one in sku["serviceRegions"] if one in regions]:
            if found := RATE.fullmatch(sku["description"]):
                rates[found["family"].lower(), found["part"], region] = read_price(sku)
            for words, (path, units) in OTHERS.items():
                if re.match(rf"{words}( in .*)?$", sku["description"]):
                    others.setdefault(path, {})[region] = round(read_price(sku) * units, 4)
    machines: dict[str, dict[str, float]] = {}
    for machine in (one for one in FACTS.machine_types if one.name in names):
        for region in regions:
            parts = [rates.get((machine.family, part, region)) for part in ("Core", "Ram")]
            if parts[0] is not None and parts[1] is not None:
                hour = machine.vcpus * parts[0] + machine.memory_gib * parts[1]
                machines.setdefault(machine.name, {})[region] = round(hour, 6)
    return Found("Google Cloud billing catalogue", "hourly", machines, others)


def list_skus(address: str, key: str) -> Iterator[Mapping[str, Any]]:
    """All of Compute Engine's, page by page."""
    page = ""
    while True:
        document = fetch(f"{address}/v1/services/{COMPUTE_ENGINE}/skus?key={quote(key)}&pageSize=5000&pageToken={quote(page)}")
        yield from document["skus"]
        page = document.get("nextPageToken") or ""
        if not page:
            return


def read_price(sku: Mapping[str, Any]) -> float:
    """Return the price of a unit: the last step, since the first ones may be free."""
    price = sku["pricingInfo"][-1]["pricingExpression"]["tieredRates"][-1]["unitPrice"]
    return int(price.get("units") or 0) + float(price.get("nanos", 0)) / 1e9
