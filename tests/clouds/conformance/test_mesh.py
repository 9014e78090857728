"""A mesh on each simulated cloud: every node gets a key of its own, what its peers are known by, and an open port."""

import json
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from components.mesh_keys import private_key, public_key
from components.model.resource_types import CONFIGURATION
from provider.values import reveal
from tests.clouds.conformance.test_conformance import REAL, build

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("cloud", REAL)
def test_nodes_get_a_key_each_and_know_the_others(cloud: str, tmp_path: Path) -> None:
    made = build(f"{cloud}-basic", tmp_path, {"mesh": True})[1]
    nodes = {one.name: one.inputs for one in made if one.type == CONFIGURATION}
    assert len(nodes) == 3
    keys = {name: reveal(inputs["secrets"])["mesh_key"] for name, inputs in nodes.items()}
    assert len(set(keys.values())) == 3
    seeds = {reveal(inputs["host_key_seed"]) for inputs in nodes.values()}
    (seed,) = seeds
    for name, inputs in nodes.items():
        assert keys[name] == private_key(seed, name)
        known = {key: value for key, value in inputs["addresses"].items() if key.endswith(".mesh")}
        assert known == {f"{other}.mesh": public_key(seed, other) for other in nodes if other != name}
        assert not any(keys[other] in json.dumps(inputs, default=str) for other in nodes if other != name)
    rules = json.dumps([one.inputs for one in made if one.type != CONFIGURATION], default=str)
    assert ("51820" in rules) == CLOUDS[cloud].firewall_filters_private
