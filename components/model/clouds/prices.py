"""What machines, disks, addresses, a NAT gateway and traffic cost a month, without tax.

Figures and their dates come from the data file only. What has no dated price is named, never guessed; what was made from other
prices is marked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from components.model.clouds.facts import CloudFacts, load_prices
from components.model.machine import Disk, MachineType, Public

CURRENCY_OF_NOTHING = "EUR"


@dataclass(frozen=True)
class Figure:
    """A price of the list. `derived`: made from other prices (the list says how)."""

    price: float
    as_of: str
    derived: bool = False

    def times(self, number: float) -> Figure:
        """Return the price of so many."""
        return replace(self, price=self.price * number)


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
    return str(load_prices()["currency"][facts.name]) if facts.priced else CURRENCY_OF_NOTHING


def price_date(facts: CloudFacts) -> str:
    """Return the date of a cloud's price list, `2026-07-20`; "" where nothing is paid."""
    if not facts.priced:
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
    if not facts.priced:
        return NodePrice(0.0, ())
    machine_price = price_machine(facts, region, machine)
    parts = [(f"machine type {machine.name}", machine_price), *price_node_disks(facts, region, machine, disks)]
    if public is Public.NO and not nat_nodes:
        """The way out is the company's, and its price too."""
    elif public is Public.NO:
        whole = price_nat(facts, region, nat_nodes)
        parts.append(("the NAT gateway", whole.times(1 / nat_nodes) if whole else None))
    else:
        parts.append(("public addresses", price_address(facts, region)))
    return sum_parts(parts)


def price_disks(facts: CloudFacts, region: str, machine: MachineType, disks: Sequence[Disk]) -> NodePrice:
    """Return the price of data disks of which nothing else is there, of the type that the machine would have."""
    return sum_parts(price_node_disks(facts, region, machine, disks)) if facts.priced else NodePrice(0.0, ())


def sum_parts(parts: Sequence[tuple[str, Figure | None]]) -> NodePrice:
    """Return the sum of parts by name."""
    return NodePrice(
        sum(figure.price for _, figure in parts if figure),
        tuple(dict.fromkeys(what for what, figure in parts if figure is None)),
    )


def price_node_disks(
    facts: CloudFacts, region: str, machine: MachineType, disks: Sequence[Disk]
) -> list[tuple[str, Figure | None]]:
    """Return the price of every disk that is paid apart, by `gp3 disks` and the like."""
    types = [
        (facts.disk_type_for(machine, data=disk.is_data), disk.size_gib)
        for disk in disks
        if disk.is_data or not machine.root_disk_gib
    ]
    return [(f"{kind} disks", price_disk(facts, region, kind, gib)) for kind, gib in types]


def price_machine(facts: CloudFacts, region: str, machine: MachineType) -> Figure | None:
    """Return the price of a machine."""
    price = machine.price_in(region)
    return None if price is None else Figure(price, price_date(facts))


def price_disk(facts: CloudFacts, region: str, disk_type: str, gib: int) -> Figure | None:
    """Return the price of a disk by the GiB, or where disks are sold in steps that of the smallest one that it fits in."""
    steps = sorted(map(int, load_prices()["clouds"][facts.name]["disk"][disk_type].get("tiers", ())))
    if not steps:
        per_gib = find_figure(facts, region, "disk", disk_type)
        return per_gib.times(gib) if per_gib else None
    step = next((step for step in steps if step >= gib), None)
    return None if step is None else find_figure(facts, region, "disk", disk_type, "tiers", str(step))


def price_address(facts: CloudFacts, region: str) -> Figure | None:
    """Return the price of a public address."""
    return find_figure(facts, region, "address")


def price_nat(facts: CloudFacts, region: str, nodes: float) -> Figure | None:
    """Return the price of the gateway for so many nodes (on average, of several), without the data that goes through it."""
    data = load_prices()
    whole, per_hour = find_figure(facts, region, "nat"), data["clouds"][facts.name]["nat"].get("per_vm_hour")
    if whole is None or per_hour is None:
        return whole
    # Google's: by machine up to a cap, the cap being the gateway's whole price.
    return replace(whole, price=min(float(per_hour) * float(data["hours_per_month"][facts.name]) * nodes, whole.price))


def price_nat_data(facts: CloudFacts, region: str, gib: float) -> Figure | None:
    """Return the price of data through the gateway, in and out."""
    entry = _find_entry(facts, region, "nat")
    return _read(facts, {**entry, "price": entry.get("per_gb")}, gib)


def price_traffic(facts: CloudFacts, region: str, gib: float) -> Figure | None:
    """Return the price of data out to the internet that no machine includes, step by step."""
    entry = _find_entry(facts, region, "traffic")
    if not entry.get("steps"):
        return None
    amount, before = 0.0, 0.0
    for step in entry["steps"]:
        upto = float("inf") if step["up_to_gib"] is None else float(step["up_to_gib"])
        amount += max(0.0, min(gib, upto) - before) * float(step["price"])
        before = upto
    return _read(facts, {**entry, "price": amount})


def free_traffic_gib(facts: CloudFacts, region: str) -> float:
    """Return what the cloud takes no price for in a month, whatever the machines."""
    first = (_find_entry(facts, region, "traffic").get("steps") or [{"price": 1}])[0]
    return 0.0 if first["price"] else float(first["up_to_gib"])


def is_transfer_pooled(facts: CloudFacts) -> bool:
    """Return whether what machines include counts for all of them together, and not for each alone."""
    return bool(load_prices()["clouds"][facts.name].get("traffic", {}).get("pooled"))


def find_figure(facts: CloudFacts, region: str, *path: str) -> Figure | None:
    """Return the price that stands there in the list, None where none does."""
    return _read(facts, _find_entry(facts, region, *path))


def _read(facts: CloudFacts, entry: Mapping[str, Any], number: float = 1.0) -> Figure | None:
    if entry.get("price") is None:
        return None
    return Figure(float(entry["price"]) * number, entry.get("as_of") or price_date(facts), bool(entry.get("derived")))


def _find_entry(facts: CloudFacts, region: str, *path: str) -> Mapping[str, Any]:
    row = load_prices()["clouds"][facts.name]
    for key in path:
        row = row.get(key, {})
    regions = row.get("regions", {})
    entry: Mapping[str, Any] = regions.get(region) or regions.get("any") or {}
    return entry
