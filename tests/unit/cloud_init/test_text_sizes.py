"""The texts of a node stay well below what its configuration takes, however many other nodes they name."""

from __future__ import annotations

import pytest

from components.clouds.registry import CLOUDS
from components.model.settings import Settings
from provider.node_inputs import LARGEST_TEXTS_BYTES
from tests.clouds.conformance.program import Config, read_config
from tests.plans import compose_configuration, make_plan

ROOM_BYTES = 4000
"""For settings that write more into the files."""

HUNDRED: Config = {
    "counts": {"db": 5, "bus": 3, "media": 60, "web": 30},
    "phones": ["198.51.100.0/24", "192.0.2.0/24"],
    "carriers": ["198.51.100.0/24", "203.0.113.128/25"],
    "operators": ["203.0.113.0/24", "192.0.2.7/32"],
}


@pytest.mark.parametrize("cloud", [name for name, facts in CLOUDS.items() if facts.real])
def test_a_node_among_a_hundred_has_room_for_more(cloud: str) -> None:
    stack = f"{cloud}-extended"
    settings = Settings.model_validate(read_config(stack, HUNDRED))
    plan = make_plan(settings, stack)
    assert len(plan.nodes) == 100
    largest = {}
    for role in dict.fromkeys(node.role for node in plan.nodes):
        last = [node for node in plan.nodes if node.role == role][-1]
        texts = compose_configuration(plan, last, settings).files.values()
        largest[last.name] = sum(len(text.encode()) for text in texts)
    assert {name: size for name, size in largest.items() if size > LARGEST_TEXTS_BYTES - ROOM_BYTES} == {}
