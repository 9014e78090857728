"""What a deployment costs a month: machines, disks, addresses, the share of the NAT gateway; no tax, no traffic.

Figures and their dates come from the data file only. What has no dated price is named, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from components.model.clouds.facts import CloudFacts, load_prices
from components.model.machine import Disk, MachineType, Public
from components.model.plan import Price

CURRENCY_OF_NOTHING = "EUR"


@dataclass(frozen=True)
class NodePrice:
    """A node's month: `priced` is the sum of what has a dated price, `unpriced` names what has none."""

    priced: float
    unpriced: tuple[str, ...]

    @property
    def amount(self) -> float | None:
        """The whole price, None when a part of it is unknown."""
        return None if self.unpriced else round(self.priced, 2)


def currency_of(facts: CloudFacts) -> str:
    """Return the currency of a cloud's prices, `EUR` or `USD`."""
    return CURRENCY_OF_NOTHING if facts.trial else str(load_prices()["currency"][facts.name])


def price_date(facts: CloudFacts) -> str:
    """Return the date of a cloud's price list, `2026-07-20`; "" where nothing is paid."""
    if facts.trial:
        return ""
    found = re.search(r"\d{4}-\d{2}-\d{2}", load_prices()["as_of"][facts.name])
    if found is None:
        raise ValueError(f"the price list of {facts.name} has no date")
    return found.group()


def price_node(
    facts: CloudFacts,
    region: str,
    machine: MachineType,
    disks: Sequence[Disk],
    public: Public,
    nat_nodes: float,
) -> NodePrice:
    """Return the price of one node, where so many nodes share a NAT gateway, on average where every zone has one."""
    if facts.trial:
        return NodePrice(0.0, ())
    disk_type = facts.disk_type_for(machine)
    sizes = [disk.size_gib for disk in disks if disk.is_data or not machine.root_disk_gib]
    parts = [(f"machine type {machine.name}", machine.price_in(region))]
    if sizes:
        parts.append((f"{disk_type} disks", _price_disks(facts, region, disk_type, sizes)))
    if public is Public.NO:
        parts.append(("the NAT gateway", _price_nat_share(facts, region, nat_nodes)))
    else:
        parts.append(("public addresses", _lookup(facts, region, "address")))
    return NodePrice(
        sum(price for _, price in parts if price is not None),
        tuple(what for what, price in parts if price is None),
    )


def price_disks(facts: CloudFacts, region: str, machine: MachineType, disks: Sequence[Disk]) -> NodePrice:
    """Return the price of data disks of which nothing else is there, of the type that the machine would have."""
    if facts.trial or not disks:
        return NodePrice(0.0, ())
    disk_type = facts.disk_type_for(machine)
    price = _price_disks(facts, region, disk_type, [disk.size_gib for disk in disks])
    return NodePrice(price or 0.0, () if price is not None else (f"{disk_type} disks",))


def sum_prices(facts: CloudFacts, region: str, prices: Sequence[NodePrice]) -> tuple[Price, str]:
    """Return the price of all nodes, and a warning that names what has no dated price ("" when everything has one)."""
    priced = round(sum(price.priced for price in prices), 2)
    unpriced = sorted({what for price in prices for what in price.unpriced})
    currency, as_of = currency_of(facts), price_date(facts)
    if not unpriced:
        return Price(priced, currency, as_of), ""
    warning = (
        f"monthly price unknown: no dated price in {region} of {', '.join(unpriced)}; the rest comes to {currency} {priced:.0f}"
    )
    return Price(None, currency, as_of), warning


def _price_disks(facts: CloudFacts, region: str, disk_type: str, sizes: Sequence[int]) -> float | None:
    """Return the price of disks by the GiB, or where disks are sold in steps by the smallest step that a disk fits in."""
    steps = sorted(map(int, load_prices()["clouds"][facts.name]["disk"][disk_type].get("tiers", ())))
    if not steps:
        per_gib = _lookup(facts, region, "disk", disk_type)
        return None if per_gib is None else per_gib * sum(sizes)
    paid = [next((step for step in steps if step >= size), None) for size in sizes]
    prices = [None if step is None else _lookup(facts, region, "disk", disk_type, "tiers", str(step)) for step in paid]
    return None if None in prices else sum(filter(None, prices))


def _price_nat_share(facts: CloudFacts, region: str, nat_nodes: float) -> float | None:
    data = load_prices()
    nat = data["clouds"][facts.name]["nat"]
    whole = _lookup(facts, region, "nat")
    if whole is None:
        return None
    if "per_vm_hour" in nat:  # Google: by machine up to a cap, the cap being the gateway's whole price
        return min(float(nat["per_vm_hour"]) * float(data["hours_per_month"][facts.name]), whole / nat_nodes)
    return whole / nat_nodes


def _lookup(facts: CloudFacts, region: str, *path: str) -> float | None:
    row = load_prices()["clouds"][facts.name]
    for key in path:
        row = row[key]
    regions = row.get("regions", {})
    price = regions.get(region, regions.get("any", {})).get("price")
    return None if price is None else float(price)
