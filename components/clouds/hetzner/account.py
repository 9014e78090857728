"""Hetzner Cloud: whether the token opens a project, server types by location, the image, names. Its interface tells no limits.

Source: `facts/clouds.md` 5, `facts/real-clouds.md` B7; `available` of a type's locations: pulumi_hcloud 1.43.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from pulumi_hcloud import (
    get_image_output,
    get_networks_output,
    get_server_types_output,
    get_servers_output,
    get_ssh_keys_output,
)

from components.clouds.hetzner.adapter import IMAGE
from components.clouds.hetzner.facts import FACTS
from components.clouds.questions import Asked, Questions, find_image, known, once
from components.model.clouds.offers import Finding, Offers

LEAST_LIMIT = 5
"""Servers that a new account may have."""
LIMITS = "https://console.hetzner.cloud/limits"
SHORT_OF = {"fsn1": ("nbg1", "hel1")}
"""Locations where dedicated CPUs were refused though they were told to be available, and the way out."""


def make_questions(asked: Asked) -> Questions:
    """List what Hetzner Cloud is asked."""
    servers = once(list_servers)
    return Questions(
        ask_account,
        partial(ask_offers, asked),
        others={
            "image": partial(ask_image, asked),
            "names": partial(ask_names, asked, servers),
            "server limit": partial(ask_limit, asked, servers),
        },
    )


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


async def list_servers() -> list[str]:
    """Return the names of the project's servers."""
    return [server.name for server in (await known(get_servers_output())).servers]


async def ask_image(asked: Asked) -> list[Finding]:
    image = asked.image or IMAGE
    wish = {"id": int(image)} if image.isdecimal() else {"name": image, "with_architecture": "x86"}
    return await find_image(image, IMAGE, known(get_image_output(**wish)), "(?i)no image|not.found")


async def ask_names(asked: Asked, servers: Callable[[], Awaitable[list[str]]]) -> list[Finding]:
    """Find servers and networks of our names: a project has each name once."""
    taken = set(await servers())
    found = [f"a server {node.name}" for node in asked.missing if node.name in taken]
    if not asked.has("hcloud:index/network:Network", "network"):
        networks = (await known(get_networks_output())).networks
        found += [f"a network {network.name}" for network in networks if network.name == asked.plan.stack]
    return [
        Finding(
            "names",
            f"the project has {one} already, which this deployment's state does not know",
            "delete or rename it, or use another name for the deployment: ./webitel init NAME",
        )
        for one in found
    ]


async def ask_limit(asked: Asked, servers: Callable[[], Awaitable[list[str]]]) -> list[Finding]:
    """Say what nobody is told: how many servers there may be, and whether the location has CPUs of one's own to give."""
    there, needed = len(await servers()), len(asked.missing)
    found = []
    if needed and there + needed > LEAST_LIMIT:
        found.append(
            Finding(
                "server limit",
                f"not told by Hetzner: {there} in this project, {needed} more needed, and a new account may have {LEAST_LIMIT}, "
                "with as few primary addresses",
                f"check {LIMITS}, and ask for more there before `up`",
                waits=True,
            )
        )
    if needed and (others := SHORT_OF.get(asked.plan.region)):
        found.append(
            Finding(
                "capacity",
                f"not told by Hetzner: CCX servers were refused in {asked.plan.region} though shown as available",
                f"if `up` is refused one, take {' or '.join(f'webitel:region: {other}' for other in others)}",
                waits=True,
            )
        )
    return found
