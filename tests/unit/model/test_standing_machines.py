"""Machine types of what is up: a larger default is for new deployments, since the change would restart the node."""

from __future__ import annotations

from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import CloudFacts
from components.model.planning.standing import TYPES, Resource, describe, keep_standing, read_standing
from components.model.settings import Settings
from tests.plans import make_plan

EARLIER = {"gcp": "c3d-highcpu-4", "digitalocean": "c2-4vcpu-8gb", "hetzner": "ccx23"}
"""What `extended` gave to `sip` when its size alone counted."""


def settings(cloud: str, **values: Any) -> Settings:
    return Settings.model_validate({"cloud": cloud, "tier": "extended", "carriers": ["198.51.100.0/24"], **values})


def machine(facts: CloudFacts, name: str, type: str) -> Resource:
    """A machine as the state has it: its type may stand inside another output."""
    first, *inner = facts.type_output.split(".")
    outputs: dict[str, Any] = {first: {inner[0]: type} if inner else type}
    return Resource(facts.machine_resource, name, outputs)


def keep(wish: Settings, told: dict[str, Any], *found: Resource) -> Settings:
    facts = CLOUDS[wish.cloud]
    return keep_standing(wish, facts, read_standing(told, found, wish, facts))


def machine_of(wish: Settings, role: str) -> str:
    return next(node.machine_type.name for node in make_plan(wish, "test").nodes if node.role == role)


def described_by_earlier(wish: Settings) -> dict[str, Any]:
    told = describe(make_plan(wish, "test"), wish)
    del told[TYPES]
    return told


@pytest.mark.parametrize(("cloud", "type"), EARLIER.items())
def test_what_an_earlier_version_made_keeps_its_type_and_is_told(cloud: str, type: str) -> None:
    wish = settings(cloud)
    assert machine_of(wish, "sip") != type
    for told in ({}, described_by_earlier(wish)):
        kept = keep(wish, told, machine(CLOUDS[cloud], "sip-1", type))
        assert kept.machine_types == {"sip": type}
        assert machine_of(kept, "sip") == type
    warnings = make_plan(kept, "test").warnings
    assert any(text.startswith(f"webitel:machine_types.sip = {type}: 2 whole cores") for text in warnings)
    # The next `up` reads it from its own description, whether or not anybody wrote it into the stack file.
    assert keep(wish, describe(make_plan(kept, "test"), kept)).machine_types == {"sip": type}


@pytest.mark.parametrize("cloud", EARLIER)
def test_what_somebody_chose_counts(cloud: str) -> None:
    chosen = machine_of(settings(cloud), "sip")
    wish = settings(cloud, machine_types={"sip": chosen})
    assert keep(wish, {}, machine(CLOUDS[cloud], "sip-1", EARLIER[cloud])) == wish


@pytest.mark.parametrize("cloud", EARLIER)
def test_a_setting_that_is_taken_out_is_no_default_of_an_earlier_version(cloud: str) -> None:
    large = max(CLOUDS[cloud].machine_types, key=lambda one: (one.vcpus, one.name)).name
    assert keep(settings(cloud), {}, machine(CLOUDS[cloud], "sip-1", large)).machine_types == {}


@pytest.mark.parametrize("cloud", [name for name, facts in CLOUDS.items() if facts.real])
def test_every_cloud_tells_the_type_of_a_machine(cloud: str) -> None:
    facts = CLOUDS[cloud]
    type = facts.machine_types[0].name if facts.priced else "4x8"
    standing = read_standing({}, [machine(facts, "sip-1", type)], settings(cloud), facts)
    assert standing.machine_types == {"sip": type}


def test_a_new_deployment_has_the_machine_that_fits() -> None:
    assert keep(settings("hetzner"), {}) == settings("hetzner")
