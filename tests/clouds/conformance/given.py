"""A network that the company has on a simulated cloud before anything of ours: its own subnets, routes and ways out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.clouds.registry import CLOUDS
from provider.server import Provider, Request
from tests.clouds.conformance.program import CLOUD_CONFIG
from tests.simulator.case import load_case
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World


def make_given(cloud: str, provider: Provider, zones: tuple[str, ...]) -> dict[str, Any]:
    """Make it; returns the setting that names it."""
    case, made = load_case(cloud), dict[str, str]()
    assert case.given is not None
    for key, type, inputs in case.given.make(zones):
        filled = json.loads(fill(json.dumps(inputs), made))
        handler, request = provider.handlers[type], Request(f"urn:pulumi:company::company::{type}::{key}")
        checked, failures = handler.check(request, None, filled)
        assert not failures, failures
        made[key], _ = handler.create(request, checked)
    subnets = {made[key]: subnet for key, subnet in case.given.subnets(zones).items()}
    return {"id": made["network"], "subnets": subnets}


def prepare(cloud: str, world: World) -> tuple[dict[str, Any], set[str]]:
    """The company's network in a world; returns the setting, and the keys of all that is the company's own."""
    provider = make_provider(cloud, world, Faults(None))
    if provider.configure:
        provider.configure({"region": CLOUDS[cloud].default_region, **CLOUD_CONFIG.get(provider.name, {})})
    setting = make_given(cloud, provider, CLOUDS[cloud].zones_in(CLOUDS[cloud].default_region)[:3])
    return setting, {one.key for one in world.all()}


def fill(text: str, made: Mapping[str, str]) -> str:
    """A text with the ids of what is there, each written as <key>."""
    for key, id in made.items():
        text = text.replace(f"<{key}>", id)
    return text
