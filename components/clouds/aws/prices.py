"""AWS's price list: public, no key, a CSV of some hundred MB a region that is read as it comes.

Shape: docs.aws.amazon.com, "Reading service price list files": five lines of metadata, a head, a row a price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from components.clouds.price_documents import stream_rows
from components.model.clouds.price_list import Found

ADDRESS = "https://pricing.us-east-1.amazonaws.com"
METADATA_LINES = 5
HOURS = 730

INSTANCE = {
    "TermType": "OnDemand",
    "Operating System": "Linux",
    "Tenancy": "Shared",
    "Pre Installed S/W": "NA",
    "CapacityStatus": "Used",
    "operation": "RunInstances",
    "Unit": "Hrs",
}
"""The one row of many that is what a plain instance costs."""


def find_prices(names: Sequence[str], regions: Sequence[str], address: str = ADDRESS) -> Found:
    """Prices of instances, gp3, addresses in use and the NAT gateway. Raises NotAsked."""
    machines: dict[str, dict[str, float]] = {}
    others: dict[tuple[str, ...], dict[str, float]] = {}
    for region in regions:
        for row in rows(address, "AmazonEC2", region):
            price = float(row["PricePerUnit"])
            usage = row.get("usageType", "")
            if row.get("Instance Type") in names and all(row.get(key) == value for key, value in INSTANCE.items()):
                machines.setdefault(row["Instance Type"], {})[region] = price
            elif row.get("Volume API Name") == "gp3" and row["Unit"] == "GB-Mo":
                others.setdefault(("disk", "gp3"), {})[region] = price
            elif usage.endswith("NatGateway-Hours") and row["Unit"] == "Hrs":
                others.setdefault(("nat",), {})[region] = round(price * HOURS, 2)
        for row in rows(address, "AmazonVPC", region):
            if row.get("usageType", "").endswith("PublicIPv4:InUseAddress"):
                others.setdefault(("address",), {})[region] = round(float(row["PricePerUnit"]) * HOURS, 2)
    return Found("AWS price list", "hourly", machines, others)


def rows(address: str, offer: str, region: str) -> Iterator[Mapping[str, str]]:
    """Yield the rows of an offer in a region."""
    return stream_rows(f"{address}/offers/v1.0/aws/{offer}/current/{region}/index.csv", skip=METADATA_LINES)
