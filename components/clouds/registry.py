"""What the folders of this package have, by cloud, without an SDK."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from functools import cache

from components.clouds.adoption import Way
from components.model.clouds.facts import CLOUDS


@cache
def load_ways() -> Mapping[str, Way]:
    """How what an interrupted creation left is found again, by type of a resource, on every cloud."""
    return dict(_list_ways())


def _list_ways() -> Iterator[tuple[str, Way]]:
    for name, cloud in CLOUDS.items():
        if cloud.real:
            ways: Mapping[str, Way] = importlib.import_module(f"components.clouds.{name}.adoption").WAYS
            yield from ways.items()
