"""A network that the company has on a simulated cloud before anything of ours: its own subnets, routes and ways out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provider.server import Provider, Request
from tests.simulator.case import load_case


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


def fill(text: str, made: Mapping[str, str]) -> str:
    """A text with the ids of what is there, each written as <key>."""
    for key, id in made.items():
        text = text.replace(f"<{key}>", id)
    return text
