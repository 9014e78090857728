"""The price list as a file: one machine type a line, and how newer prices get into it."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Regions = Mapping[str, float]
"""Price by region."""


@dataclass(frozen=True)
class Found:
    """What a cloud's own price interface told, for the regions of our list.

    `machines` by name, in the unit `per` (`hourly` or `monthly`). `others` by where they stand in the list, such as
    ("disk", "gp3"), ("disk", "Premium_LRS", "tiers", "128"), ("address",) or ("nat",). `source` names the interface.
    """

    source: str
    per: str
    machines: Mapping[str, Regions]
    others: Mapping[tuple[str, ...], Regions] = field(default_factory=dict)


def list_regions(data: Mapping[str, Any], cloud: str) -> tuple[str, ...]:
    """Return the regions whose machine types our list prices."""
    found = {region: None for row in data["clouds"][cloud]["machine_types"] for region in (row.get("monthly") or row["hourly"])}
    return tuple(found)


def merge(data: Mapping[str, Any], cloud: str, found: Found, today: str) -> dict[str, Any]:
    """Return the list with a cloud's newer prices. A machine type that the interface does not tell any more has no price in
    that region; what the interface has no words for keeps its price, with the date that it had."""
    merged: dict[str, Any] = copy.deepcopy(dict(data))
    before, row = merged["as_of"][cloud], merged["clouds"][cloud]
    for machine in row["machine_types"]:
        regions = dict.fromkeys(machine.get("monthly") or machine["hourly"])
        prices = found.machines.get(machine["name"], {})
        for name in ("hourly", "monthly"):
            machine.pop(name, None)
        machine[found.per] = {region: prices.get(region, prices.get("any")) for region in regions}
    for path, entry in list_entries(row):
        for region, price in entry.items():
            newer = found.others.get(path, {}).get(region)
            if newer is None:
                price.setdefault("as_of", before)
            else:
                # What it says beside the price stays: what passes through a gateway is paid apart.
                kept = {key: value for key, value in price.items() if key not in ("as_of", "derived", "note")}
                entry[region] = {**kept, "price": newer, "source": found.source}
    for path, prices in found.others.items():
        place = row
        for key in path:
            place = place.setdefault(key, {})
        for region, price in prices.items():
            place.setdefault("regions", {}).setdefault(region, {"price": price, "source": found.source})
    merged["as_of"][cloud] = today
    merged["sources"][found.source] = {
        "name": found.source,
        "date": today,
        "licence": "the cloud's own public prices",
        "use": f"{cloud} prices",
    }
    return merged


def list_entries(row: Mapping[str, Any]) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Return every table of prices by region, machine types left out, with where it stands."""
    found: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def walk(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            if "regions" in value:
                found.append((path, value["regions"]))
            for key, item in value.items():
                if key not in ("regions", "machine_types"):
                    walk(item, (*path, key))

    walk(row, ())
    return found


def format_list(data: Mapping[str, Any]) -> str:
    """Return the list as JSON: a line a machine type and a line a price, so that a change of prices is one line in a review."""
    whole = copy.deepcopy(dict(data))
    rows: dict[str, str] = {}

    def mark(text: str) -> str:
        name = f"@{len(rows)}@"
        rows[json.dumps(name)] = text
        return name

    for row in whole["clouds"].values():
        for _, regions in list_entries(row):
            for region, price in regions.items():
                regions[region] = mark(json.dumps(price))
        machines = ",\n".join(f"    {json.dumps(machine)}" for machine in row["machine_types"])
        row["machine_types"] = mark(f"[\n{machines}\n   ]")
    text = json.dumps(whole, indent=1)
    for name, row_text in rows.items():
        text = text.replace(name, row_text)
    return text + "\n"
