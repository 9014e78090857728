"""The clouds there are: their facts, and what else their folders have without an SDK."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache

from components.clouds.adoption import Way
from components.clouds.aws.facts import FACTS as AWS
from components.clouds.azure.facts import FACTS as AZURE
from components.clouds.digitalocean.facts import FACTS as DIGITALOCEAN
from components.clouds.gcp.facts import FACTS as GCP
from components.clouds.hetzner.facts import FACTS as HETZNER
from components.clouds.local.facts import FACTS as LOCAL
from components.model.clouds.facts import CloudFacts

CLOUDS: Mapping[str, CloudFacts] = {facts.name: facts for facts in (LOCAL, AWS, GCP, AZURE, DIGITALOCEAN, HETZNER)}
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
