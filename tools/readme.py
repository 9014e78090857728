"""The README's tables, made from the model: `python -m tools.readme` writes them, a test says that they are current."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from components.model.catalogue.service import Audience, OnChange, Service
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.clouds.facts import CLOUDS
from components.model.clouds.prices import price_date
from components.model.machine import Size
from stacks.load import load_deployment

README = Path(__file__).resolve().parent.parent / "README.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def describe_size(size: Size) -> str:
    """A size in a few words, with where it comes from."""
    return f"{size.vcpus} vCPU, {size.memory_gib:g} GiB, {size.boot_gib} GiB ({size.source})"


def describe_role(tier: Tier, role: Role) -> tuple[str, ...]:
    """A row of the tiers' table."""
    disks = [f"{purpose} {size}" for purpose, size in vars(role.disks).items() if size]
    load = f"{tier.calls_per_day:,}".replace(",", " ")
    first = role is tier.roles[0]
    return (f"`{tier.name}`" if first else "", load if first else "", role.name, str(role.count), describe_size(role.size),
            ", ".join(disks) or "-", role.public.value)


def tiers_table() -> str:
    """Tiers with their roles, and the clouds."""
    rows = [describe_role(tier, role) for tier in TIERS.values() for role in tier.roles]
    head = ("tier", "calls a day", "role", "nodes", "size of a node (whose figure)", "data disks, GiB", "public")
    clouds = ", ".join(f"`{cloud.name}` ({cloud.title})" for cloud in CLOUDS.values())
    return f"Clouds: {clouds}.\n\n{table(head, rows)}"


def describe_listeners(service: Service) -> str:
    """Ports by who may connect; what only this node uses is left out."""
    parts = []
    for listener in service.listeners:
        audiences = [audience.value for audience in listener.audiences if audience is not Audience.NODE]
        if audiences:
            parts.append(f"{listener.ports}/{listener.protocol} {' and '.join(audiences)}")
    return ", ".join(parts) or "-"


def services_table() -> str:
    """Services with units, open ports, and what they do when a file of theirs or their program's version changes."""
    rows = []
    for service in CATALOGUE.values():
        roles = [f"{tier.name}: {role.name}" for tier in TIERS.values() for role in tier.roles
                 if service.name in role.services and tier.name != "single"]
        place = ", ".join(roles) if roles else service.placement.value
        rows.append((service.title, ", ".join(f"`{unit}`" for unit in service.units) or "-", place,
                     describe_listeners(service), service.on_change.value, describe_new_version(service)))
    return table(("service", "units", "where", "open to", "a changed file", "a new version"), rows)


def describe_new_version(service: Service) -> str:
    """What a new version of its program does, and whether it waits for `--disruptive`."""
    if not service.packages:
        return "-"
    restarts = service.on_new_version is OnChange.RESTART
    return service.on_new_version.value + (", `--disruptive`" if restarts and service.drops_calls else "")


RUN_FOR_REAL = {f"local-{tier}" for tier in TIERS}
"""Stacks that somebody brought up on the real thing; the others came up on simulated clouds only."""


def describe_price(cloud: str, tier: str) -> str:
    """A stack's monthly price as `plan` shows it, and whether somebody ran it."""
    stack = f"{cloud}-{tier}"
    price = load_deployment(stack).plan.monthly_price
    status = "run for real" if stack in RUN_FOR_REAL else "simulated"
    if not price.as_of:
        return status
    return f"{status}, {'price unknown' if price.amount is None else f'{price.currency} {price.amount:,.0f}'.replace(',', ' ')}"


def stacks_table() -> str:
    """Clouds by tiers: how far each was tried, what it costs a month, how old that price is."""
    rows = [
        (f"`{cloud.name}`", cloud.default_region, *(describe_price(cloud.name, tier) for tier in TIERS),
         price_date(cloud) or "-")
        for cloud in CLOUDS.values()
    ]
    return table(("cloud", "region", *(f"`{tier}`" for tier in TIERS), "prices of"), rows)


def buckets_table() -> str:
    """How the state gets into a bucket, by cloud."""
    return table(("cloud", "a bucket for the state"),
                 [(f"`{cloud.name}`", f"`{cloud.shared_state}`") for cloud in CLOUDS.values() if cloud.shared_state])


BLOCKS = {"tiers": tiers_table, "stacks": stacks_table, "buckets": buckets_table, "services": services_table}


def renew(text: str) -> str:
    """The README with every generated block as the model has it now."""
    for name, make in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = pattern.search(text)
        if not found:
            raise ValueError(f"README.md has no block <!-- {name} -->")
        text = f"{text[:found.start()]}{found[1]}{make()}\n{found[2]}{text[found.end():]}"
    return text


if __name__ == "__main__":
    README.write_text(renew(README.read_text()))
    sys.exit(0)
