"""`smoke --load` against a deployment: who calls, and what its programs use meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from cli.console import Failure
from cli.nodes.access import ask_nodes
from cli.smoke.check import Account, World
from cli.smoke.load import Outcome, run_load
from cli.smoke.phone import Phone
from cli.smoke.sip import SIP
from components.model.catalogue.service import Audience
from components.model.catalogue.services import CATALOGUE

ASK_SECONDS = 15
MEASURED = tuple(one.name for one in CATALOGUE.values() if one.carries_calls or one.sends_audio)
"""The programs that a call's audio goes through."""


def load(world: World, calls: int, number: str) -> Outcome:
    """Ramp to that many calls; a Failure where this machine may not place them."""
    edges = world.outside(SIP.name)
    if not edges:
        raise Failure("no node of OpenSIPS is reached from outside")
    node, address = edges[0]
    audience = Audience.PHONES if world.account else Audience.CARRIERS
    networks = [
        network
        for opening in world.plan.openings
        if (opening.role, opening.service, opening.audience) == (node.role, SIP.name, audience.value)
        for network in opening.networks
    ]
    if not world.seen_as or not world.is_among(networks):
        raise Failure(
            f"this machine ({world.seen_as or 'address unknown'}) is not in webitel:{audience.value}; name it there, or give the "
            "address that nodes see it by as --from"
        )
    # A trunk is known by its address and has no password.
    account = world.account or Account("smoke", world.seen_as, "")
    server = address, world.port(SIP.name, "sip")
    make_phone = partial(Phone, server, world.seen_as, account.user, account.domain, account.password)
    return run_load(make_phone, number, calls, make_meter(world))


def make_meter(world: World) -> Callable[[], dict[str, float]]:
    """Return what tells the seconds of a processor that each of these programs has used, on all nodes together."""
    nodes = [world.access.nodes[node.key] for node in world.plan.nodes if node.key in world.access.nodes]

    def measure() -> dict[str, float]:
        found: dict[str, float] = {}
        for name in MEASURED:
            command = f"systemctl show --property CPUUsageNSec --value {' '.join(CATALOGUE[name].units)}"
            for answer in asyncio.run(ask_nodes(world.access, nodes, command, ASK_SECONDS)).values():
                used = [int(word) for word in answer.output.split() if word.isdigit() and int(word) < 1 << 63]
                found[name] = found.get(name, 0.0) + sum(used) / 1e9
        return found

    return measure
