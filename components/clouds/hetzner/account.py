"""Hetzner Cloud: whether the token opens a project, server types by location. Its interface tells no limits.

Source: `facts/clouds.md` 5; `available` of a type's locations: pulumi_hcloud 1.43.3.
"""

from __future__ import annotations

from functools import partial

from pulumi_hcloud import get_server_types_output, get_ssh_keys_output

from components.clouds.hetzner.facts import FACTS
from components.clouds.questions import Asked, Questions, known
from components.model.clouds.offers import Offers


def make_questions(asked: Asked) -> Questions:
    """What Hetzner Cloud is asked."""
    return Questions(ask_account, partial(ask_offers, asked))


async def ask_account() -> str:
    # A project has no name in the interface; what any token may read proves that it is one.
    await known(get_ssh_keys_output())
    return "the token opens a project"


async def ask_offers(asked: Asked) -> Offers:
    found = await known(get_server_types_output())
    known_types = {machine.name for machine in FACTS.machine_types}
    types: dict[str, list[str]] = {}
    for server_type in found.server_types:
        for location in server_type.locations if server_type.name in known_types else ():
            if location.available and not location.is_deprecated:
                types.setdefault(location.name, []).append(server_type.name)
    return Offers("region", asked.plan.region, types)
