"""What a cloud has no room for: refused by the plan with the limit, and what is at the limit passes."""

from __future__ import annotations

from ipaddress import IPv4Network, collapse_addresses
from typing import Any

import pytest

from cloud_init.compose import compose_configuration
from components.clouds.registry import CLOUDS
from components.model.plan import Plan
from components.model.planning.addresses import MERGE_FROM, merge_networks
from components.model.problems import PlanError
from components.model.settings import Settings
from provider.node_inputs import find_excess
from sandbox import build
from tests.plans import make_plan

REAL = [name for name, cloud in CLOUDS.items() if cloud.real]


def plan(cloud: str, tier: str = "basic", stack: str = "", **settings: Any) -> Plan:
    """A plan of settings that are wrong in nothing else."""
    values = {"cloud": cloud, "tier": tier, **settings}
    return make_plan(Settings.model_validate(values), stack or f"{cloud}-{tier}")


def refusals(cloud: str, tier: str = "basic", stack: str = "", **settings: Any) -> list[str]:
    """What is refused."""
    try:
        plan(cloud, tier, stack, **settings)
    except PlanError as error:
        return [str(problem) for problem in error.problems]
    return []


def networks(number: int, first: str = "62.0.0.0", step: int = 16) -> list[str]:
    """Networks of eight addresses; a step of eight makes them adjacent."""
    start = int(IPv4Network(first).network_address)
    return [str(IPv4Network((start + step * n, 29))) for n in range(number)]


@pytest.mark.parametrize(
    ("cloud", "key", "most"),
    [
        ("hetzner", "data.recordings", 10_240),
        ("hetzner", "data.database", 10_240),
        ("digitalocean", "data.recordings", 16_384),
        ("aws", "data.recordings", 65_536),
        ("aws", "edge.boot", 65_536),
        ("gcp", "data.recordings", 65_536),
        ("gcp", "app.boot", 65_536),
        ("azure", "data.boot", 4_095),
        ("azure", "data.database", 65_536),
    ],
)
def test_the_largest_disk(cloud: str, key: str, most: int) -> None:
    assert not refusals(cloud, disk_sizes={key: most})
    for size in (most + 1, 10 * most, 999_999_999):
        (told,) = refusals(cloud, disk_sizes={key: size})
        assert told.startswith(f"webitel:disk_sizes.{key} = {size}: ") and f"use {most} or less" in told
        assert ("recordings_share" in told) is key.endswith("recordings")


@pytest.mark.parametrize("cloud", REAL)
def test_every_kind_of_disk_has_a_limit(cloud: str) -> None:
    facts = CLOUDS[cloud]
    kinds = {facts.data_disk_type or facts.disk_type, *facts.disk_type_by_family.values()}
    assert kinds <= facts.disk_limits.keys()
    assert all(0 < least < most for least, most in facts.disk_limits.values())


@pytest.mark.parametrize("cloud", REAL)
def test_200_carriers_have_room_everywhere_and_the_limit_is_told(cloud: str) -> None:
    facts = CLOUDS[cloud]
    assert facts.max_networks >= 200
    for number in (200, facts.max_networks):
        assert not refusals(cloud, carriers=networks(number))
    (told,) = refusals(cloud, carriers=networks(facts.max_networks + 1))
    assert told.startswith(f"webitel:carriers = {facts.max_networks + 1} networks: ") and f"room for {facts.max_networks}" in told
    half = facts.max_networks // 2 + 1
    (told,) = refusals(cloud, carriers=networks(half), phones=networks(half, "81.0.0.0/29"))
    assert "with webitel:phones" in told
    assert not refusals(cloud, carriers=networks(half), phones=networks(half)), "the same ones"
    assert not refusals(cloud, carriers=networks(2048, step=8)), "one network, written in 2048 parts"
    (told,) = refusals(cloud, operators=networks(facts.max_operators + 1))
    assert told.startswith("webitel:operators = ") and f"room for {facts.max_operators}" in told


def test_at_home_as_many_pass_as_files_bear() -> None:
    assert not refusals("local", carriers=networks(200), phones=networks(200, "81.0.0.0/29"), operators=networks(300))


@pytest.mark.parametrize(
    ("given", "merged"),
    [
        (networks(MERGE_FROM - 1, step=8), MERGE_FROM - 1),
        (networks(64, step=8), 1),
        (networks(64), 64),
        ([*networks(60), "62.0.0.0/16"], 1),
        ([*networks(60), *networks(60)], 60),
        (networks(96, step=8), 2),
        (networks(51, step=8), 4),
        ([*networks(60, "62.0.0.8/29"), *networks(60)], 4),
        ([*networks(32, step=8), *networks(32, "63.0.0.0/29", 8)], 2),
        (["0.0.0.0/1", "128.0.0.0/1", *networks(50)], 1),
    ],
)
def test_many_networks_are_merged_into_exactly_the_same_addresses(given: list[str], merged: int) -> None:
    wanted = [IPv4Network(one) for one in given]
    found = merge_networks(wanted)
    assert len(found) == merged
    assert list(collapse_addresses(found)) == list(collapse_addresses(wanted))


@pytest.mark.parametrize("cloud", [*REAL, "local"])
@pytest.mark.parametrize(("counts", "role"), [({"app": 99}, "app"), ({"app": 68, "data": 3}, ""), ({"app": 100}, "app")])
def test_as_many_nodes_as_were_tried(cloud: str, counts: dict[str, int], role: str) -> None:
    told = refusals(cloud, counts=counts, network="10.20.0.0/16")
    assert [one.split(" ")[0] for one in told] == ([f"webitel:counts.{role}"] if role else [])
    assert all("at most 100; use 98 or fewer" in one for one in told)


@pytest.mark.parametrize(
    ("cloud", "stack", "told"),
    [
        ("aws", "abc-", "no hyphen last"),
        ("hetzner", "abc-", "no hyphen last"),
        ("gcp", "a--", "no hyphen last"),
        ("aws", "sg-north", "keeps names that begin so"),
        ("azure", "sg-north", ""),
        ("aws", "sgx-north", ""),
        ("aws", "a", ""),
        ("gcp", "1abc", "a letter first"),
        ("gcp", "ABC", "lower case"),
        ("digitalocean", "a_b", "lower case"),
        ("digitalocean", "a.b", "lower case"),
        ("aws", "x" * 60, "characters too long"),
    ],
)
def test_names_that_something_cannot_have(cloud: str, stack: str, told: str) -> None:
    found = refusals(cloud, stack=stack)
    assert len(found) == bool(told)
    assert all(one.startswith(f"stack name = {stack}: ") and told in one for one in found)


@pytest.mark.parametrize("cloud", ["aws", "hetzner", "local"])
@pytest.mark.parametrize(
    ("tier", "counts"),
    [
        ("single", {}),
        ("basic", {"data": 3, "app": 96}),
        ("extended", {"db": 5, "bus": 3, "media": 60, "web": 30}),
        ("extended", {"db": 5, "bus": 3, "web": 87}),
        ("extended", {"db": 5, "bus": 3, "media": 89}),
    ],
)
def test_the_texts_of_the_largest_plan_are_small_enough(cloud: str, tier: str, counts: dict[str, int]) -> None:
    people = {"carriers": networks(200), "operators": ["198.51.100.0/24"]} if cloud != "local" else {"carriers": networks(400)}
    settings = Settings.model_validate({"cloud": cloud, "tier": tier, "counts": counts, "network": "10.20.0.0/16", **people})
    made = make_plan(settings, "a-name-of-twenty-six-letters")
    for node in (node for node in made.nodes if node.n == 1):
        assert find_excess({"files": compose_configuration(made, node, settings, build).files}) == [], node.key
