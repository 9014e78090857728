"""Azure's retail prices: public, no key. Shape: learn.microsoft.com, "Azure Retail Prices REST API"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from components.clouds.price_documents import fetch
from components.model.clouds.price_list import Found

ADDRESS = "https://prices.azure.com"
TIERS = {"P4": 32, "P6": 64, "P10": 128, "P15": 256, "P20": 512, "P30": 1024, "P40": 2048, "P50": 4096}
"""GiB of Premium SSD's steps (learn.microsoft.com, Azure managed disk types)."""
HOURS = 730

Item = Mapping[str, Any]


def find_prices(names: Sequence[str], regions: Sequence[str], address: str = ADDRESS) -> Found:
    """Prices of VM sizes, Premium SSD and its v2, addresses and the NAT gateway. Raises NotAsked."""
    machines: dict[str, dict[str, float]] = {}
    others: dict[tuple[str, ...], dict[str, float]] = {}
    for region in regions:
        for item in list_items(address, f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}'"):
            # One size has a meter for Windows, for spot and for low priority too.
            plain = not re.search("Windows|Spot|Low Priority", f"{item['productName']} {item['skuName']}")
            if item["armSkuName"] in names and plain and item["unitOfMeasure"] == "1 Hour":
                machines.setdefault(item["armSkuName"], {})[region] = item["retailPrice"]
        for item in list_items(address, f"productName eq 'Premium SSD Managed Disks' and armRegionName eq '{region}'"):
            found = re.fullmatch(r"(P\d+) LRS Disk", item["meterName"])
            if found and found[1] in TIERS and item["unitOfMeasure"] == "1/Month":
                others.setdefault(("disk", "Premium_LRS", "tiers", str(TIERS[found[1]])), {})[region] = item["retailPrice"]
        for item in list_items(address, f"productName eq 'Azure Premium SSD v2' and armRegionName eq '{region}'"):
            # IOPS and throughput beyond what is included are meters of their own, which no disk of ours has.
            if item["meterName"] == "Premium LRS Provisioned Capacity" and item["unitOfMeasure"] == "1 GiB/Hour":
                others.setdefault(("disk", "PremiumV2_LRS"), {})[region] = round(item["retailPrice"] * HOURS, 4)
        for path, wish in {
            ("address",): "meterName eq 'Standard IPv4 Static Public IP'",
            ("nat",): "meterName eq 'Standard Gateway'",
        }.items():
            for item in list_items(address, f"{wish} and armRegionName eq '{region}'"):
                if item["unitOfMeasure"] == "1 Hour":
                    others.setdefault(path, {})[region] = round(item["retailPrice"] * HOURS, 2)
    return Found("Azure retail prices", "hourly", machines, others)


def list_items(address: str, wish: str) -> Iterator[Item]:
    """All items of a filter, page by page."""
    wish = quote(f"priceType eq 'Consumption' and {wish}")
    page = f"{address}/api/retail/prices?$filter={wish}"
    while page:
        document = fetch(page)
        yield from document["Items"]
        following = document.get("NextPageLink") or ""
        # The next page is named with the public address, with a port.
        page = f"{address}{urlsplit(following).path}?{urlsplit(following).query}" if following else ""
