"""DigitalOcean: the account, sizes by region, how many droplets there may be.

Source: `facts/clouds.md` 4.
"""

from __future__ import annotations

from functools import partial

from pulumi_digitalocean import get_account_output, get_droplets_output, get_sizes_output

from components.clouds.digitalocean.facts import FACTS
from components.clouds.questions import Asked, Questions, known
from components.model.clouds.offers import Offers, Quota


def make_questions(asked: Asked) -> Questions:
    """What DigitalOcean is asked."""
    return Questions(ask_account, partial(ask_offers, asked), partial(ask_quotas, asked))


async def ask_account() -> str:
    account = await known(get_account_output())
    if account.status != "active":
        raise ValueError(f"the account of {account.email} is {account.status}: {account.status_message}")
    return f"account of {account.email}"


async def ask_offers(asked: Asked) -> Offers:
    found = await known(get_sizes_output())
    known_types = {machine.name for machine in FACTS.machine_types}
    types: dict[str, list[str]] = {}
    for size in found.sizes:
        if size.slug in known_types and size.available:
            for region in size.regions:
                types.setdefault(region, []).append(size.slug)
    return Offers("region", asked.plan.region, types)


async def ask_quotas(asked: Asked) -> list[Quota]:
    account = await known(get_account_output())
    droplets = await known(get_droplets_output())
    return [
        Quota(
            "droplets",
            account.droplet_limit,
            len(asked.missing),
            "ask for more: https://cloud.digitalocean.com/account/team/droplet_limit_increase",
            len(droplets.droplets),
        )
    ]
