"""`prices`: brings the price list up to date from the clouds' own price interfaces, where they can be asked."""

from __future__ import annotations

import datetime
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cli.console import Failure, format_count, out
from cli.help import DEVELOP
from components.clouds.registry import CLOUDS
from components.model.clouds.facts import MACHINES_FILE, load_prices
from components.model.clouds.price_list import format_list, list_regions, merge
from components.model.clouds.prices import price_date


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEVELOP)(prices)


def prices(
    clouds: Annotated[list[str] | None, typer.Argument(metavar="[CLOUD]...", help="Only these clouds; all by default.")] = None,
) -> None:
    """Update the price list from the clouds' own interfaces. What cannot be asked keeps its prices and date."""
    known = [cloud.name for cloud in CLOUDS.values() if cloud.priced]
    for name in clouds or ():
        if name not in known:
            raise Failure(f"{name}: not a cloud with prices; those are {', '.join(known)}")
    renewed = renew(clouds or known, MACHINES_FILE)
    if not renewed:
        raise Failure("No cloud could be asked; the list is unchanged.")
    out.print("Next: git diff components/model/clouds/machines.json, then PYTHONPATH=. .venv/bin/python -m tools.pages")


def renew(clouds: list[str], file: Path, addresses: Mapping[str, str] | None = None) -> list[str]:
    """Ask each cloud and write the list after each that answered; returns those. `addresses` are other ones by cloud."""
    from components.clouds.price_documents import NotAsked

    data = dict(load_prices())
    renewed = []
    for name in clouds:
        names = [machine.name for machine in CLOUDS[name].machine_types]
        module = importlib.import_module(f"components.clouds.{name}.prices")
        try:
            found = module.find_prices(names, list_regions(data, name), (addresses or {}).get(name, module.ADDRESS))
        except NotAsked as why:
            out.print(f"{name}: keeps its prices of {price_date(CLOUDS[name])}; {why}")
            continue
        if not found.machines:
            out.print(f"{name}: keeps its prices of {price_date(CLOUDS[name])}; {found.source} has none of our machine types")
            continue
        data = merge(data, name, found, datetime.date.today().isoformat())
        file.write_text(format_list(data))
        renewed.append(name)
        lost = len(names) - len(found.machines)
        out.print(
            f"{name}: {format_count(len(found.machines), 'machine type')} and {len(found.others)} other prices from "
            f"{found.source}" + (f"; {lost} no longer have a price" if lost else "")
        )
    return renewed
