"""The clouds there are: their facts, and what else their folders have without an SDK."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import get_args

from components.clouds.adoption import Way
from components.clouds.power import Power
from components.model.clouds.facts import CloudFacts
from components.model.settings import CloudName


def _load_facts() -> Iterator[CloudFacts]:
    for name in get_args(CloudName):
        facts: CloudFacts = importlib.import_module(f"components.clouds.{name}.facts").FACTS
        yield facts


CLOUDS: Mapping[str, CloudFacts] = {facts.name: facts for facts in _load_facts()}
"""By name, in the order in which they are told."""


@cache
def load_ways() -> Mapping[str, Way]:
    """How what an interrupted creation left is found again, by type of a resource, on every cloud."""
    return dict(_list_ways())


def _list_ways() -> Iterator[tuple[str, Way]]:
    for name, facts in CLOUDS.items():
        if facts.real:
            ways: Mapping[str, Way] = importlib.import_module(f"components.clouds.{name}.adoption").WAYS
            yield from ways.items()


@cache
def load_power(cloud: str) -> Power:
    """How a real cloud's machines are told to be off, and started."""
    power: Power = importlib.import_module(f"components.clouds.{cloud}.power").POWER
    return power
