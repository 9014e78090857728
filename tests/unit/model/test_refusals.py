"""What the clouds' refusals are explained as."""

from __future__ import annotations

import pytest

from components.clouds.registry import CLOUDS
from components.model.clouds.facts import Refusal
from components.model.clouds.refusals import ORDER, choose_other, explain_refusal
from tests.plans import load_stack
from tests.simulator.case import load_case

REAL = [name for name, facts in CLOUDS.items() if facts.real]


@pytest.mark.parametrize("kind", ORDER)
@pytest.mark.parametrize("cloud", REAL)
def test_each_names_type_place_and_a_way_on(cloud: str, kind: Refusal) -> None:
    plan = load_stack(f"{cloud}-basic").plan
    node = plan.nodes[-1]
    told = explain_refusal(plan, node, load_case(cloud).refusals[kind])
    assert node.machine_type.name in told
    assert plan.region in told
    more = "name further hosts" if plan.facts.made_to_measure else "take another type"
    assert {Refusal.CAPACITY: more, Refusal.QUOTA: plan.facts.quota_page, Refusal.RATE: "wait"}[kind] in told
    if kind is not Refusal.RATE and plan.facts.priced:
        assert told.startswith(f"webitel:machine_types.{node.role} = {node.machine_type.name}: ")


@pytest.mark.parametrize("cloud", REAL)
def test_other_errors_are_left_alone(cloud: str) -> None:
    plan = load_stack(f"{cloud}-basic").plan
    assert explain_refusal(plan, plan.nodes[0], "name is already used (uniqueness_error)") == ""
    assert explain_refusal(plan, None, "500 internal error") == ""


def test_what_is_no_node_is_explained_too() -> None:
    plan = load_stack("hetzner-basic").plan
    assert "higher limit" in explain_refusal(plan, None, "network limit reached (resource_limit_exceeded)")


def test_every_real_cloud_has_its_words() -> None:
    for name in REAL:
        assert CLOUDS[name].refusals.keys() == set(ORDER), name
        assert CLOUDS[name].quota_page.startswith("https://"), name


@pytest.mark.parametrize("name", [name for name in REAL if CLOUDS[name].priced])
def test_the_other_type_is_as_large_and_of_another_family_if_there_is_one(name: str) -> None:
    cloud = CLOUDS[name]
    machine = load_stack(f"{name}-basic").plan.nodes[0].machine_type
    other = choose_other(cloud, machine, cloud.default_region)
    assert other
    assert other.name != machine.name
    assert (other.vcpus, other.memory_gib) >= (machine.vcpus, machine.memory_gib)
    assert other.family != machine.family or len({one.family for one in cloud.machine_types}) == 1
