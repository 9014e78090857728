"""Zones and records of the simulated clouds as a resolver would see them."""

from __future__ import annotations

from provider.server import Provider, Request
from tests.simulator.case import Answer, load_case
from tests.simulator.world import World


def make_zone(cloud: str, provider: Provider) -> str:
    """Makes the zone that the user has; returns the setting that names it."""
    id, case = "", load_case(cloud)
    for type, inputs in case.zones:
        handler, request = provider.handlers[type], Request(f"urn:pulumi:user::user::{type}::zone")
        checked, failures = handler.check(request, None, dict(inputs))
        assert not failures, failures
        id, _ = handler.create(request, checked)
    return case.zone.format(id=id)


def resolve_all(world: World, cloud: str) -> set[Answer]:
    """Everything that the cloud's name servers answer."""
    case = load_case(cloud)
    records = case.records
    found = {
        (name.rstrip("."), type, value.rstrip("."))
        for thing in world.all()
        if thing.type in records
        for name, type, value in records[thing.type](thing)
    }
    reverse = case.reverse_names(world) if case.reverse_names else ()
    return found | {(address, type, name.rstrip(".")) for address, type, name in reverse}
