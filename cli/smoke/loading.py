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
USED = "getconf CLK_TCK; for unit in {units}; do cat /proc/$(systemctl show -P MainPID $unit)/stat 2>/dev/null; done; true"
"""The kernel's own count of each unit's program: with cgroups of version 1 systemd has none (`CPUUsageNSec=[not set]`)."""


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
    """Return what tells the seconds of a processor that each of these programs has used, on all nodes together. One of which a
    node does not tell is left out."""
    # Nobody else is asked: each log-in takes time of this machine, which sends the audio meanwhile.
    places = {
        name: [world.access.nodes[node.key] for node in world.plan.nodes_with(name) if node.key in world.access.nodes]
        for name in MEASURED
    }

    def measure() -> dict[str, float]:
        found: dict[str, float] = {}
        for name, nodes in places.items():
            command = USED.format(units=" ".join(CATALOGUE[name].units))
            answers = asyncio.run(ask_nodes(world.access, nodes, command, ASK_SECONDS)).values()
            if answers and not any(answer.problem for answer in answers):
                found[name] = sum(read_seconds(answer.output) for answer in answers)
        return found

    return measure


def read_seconds(text: str) -> float:
    """Read what the processes have used: ticks a second, then a line of /proc/PID/stat for each (proc(5))."""
    ticks, *lines = text.splitlines() or ["1"]
    # The name, in brackets, may have any letter.
    fields = [line.rpartition(")")[2].split() for line in lines]
    return sum(int(one[11]) + int(one[12]) for one in fields) / int(ticks)
