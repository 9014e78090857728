"""What the clouds' refusals are explained as."""

from __future__ import annotations

import pytest

from components.model.clouds.facts import CLOUDS
from components.model.clouds.refusals import ORDER, choose_other, explain_refusal
from stacks.load import load_deployment

REAL = [name for name, facts in CLOUDS.items() if facts.real]

SAID = {
    ("aws", "capacity"): "creating EC2 Instance: operation error EC2: RunInstances, api error InsufficientInstanceCapacity: We "
                         "currently do not have sufficient c7a.xlarge capacity in the Availability Zone you requested",
    ("aws", "quota"): "api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 5",
    ("aws", "rate"): "api error RequestLimitExceeded: Request limit exceeded.",
    ("gcp", "capacity"): "Error 503: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: The zone does not have enough resources",
    ("gcp", "quota"): "googleapi: Error 403: Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west3., quotaExceeded",
    ("gcp", "rate"): "googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded",
    ("azure", "capacity"): 'Code="ZonalAllocationFailed" Message="Allocation failed. We do not have sufficient capacity"',
    ("azure", "quota"): 'Code="OperationNotAllowed" Message="... exceeding approved standardDSv5Family Cores quota"',
    ("azure", "rate"): 'Code="SubscriptionRequestsThrottled" Message="Number of write requests exceeded the limit"',
    ("digitalocean", "capacity"): "422 (request \"1\") Size c-4 is not available in region fra1",
    ("digitalocean", "quota"): "422 (request \"1\") creating this/these droplet(s) will exceed your droplet limit.",
    ("digitalocean", "rate"): "429 (request \"1\") API rate limit exceeded",
    ("hetzner", "capacity"): "error during placement (resource_unavailable, 1a2b)",
    ("hetzner", "quota"): "server limit reached (resource_limit_exceeded, 1a2b)",
    ("hetzner", "rate"): "limit of 3600 requests per hour reached (rate_limit_exceeded, 1a2b)",
}


@pytest.mark.parametrize(("cloud", "kind"), SAID)
def test_each_names_type_place_and_a_way_on(cloud: str, kind: str) -> None:
    plan = load_deployment(f"{cloud}-basic").plan
    node = plan.nodes[-1]
    told = explain_refusal(plan, node, SAID[cloud, kind])
    assert node.machine_type.name in told
    assert plan.region in told
    assert {"capacity": "take another type", "quota": plan.facts.quota_page, "rate": "wait"}[kind] in told
    if kind != "rate":
        assert told.startswith(f"webitel:machine_types.{node.role} = {node.machine_type.name}: ")


@pytest.mark.parametrize("cloud", REAL)
def test_other_errors_are_left_alone(cloud: str) -> None:
    plan = load_deployment(f"{cloud}-basic").plan
    assert explain_refusal(plan, plan.nodes[0], "name is already used (uniqueness_error)") == ""
    assert explain_refusal(plan, None, "500 internal error") == ""


def test_what_is_no_node_is_explained_too() -> None:
    plan = load_deployment("hetzner-basic").plan
    assert "higher limit" in explain_refusal(plan, None, "network limit reached (resource_limit_exceeded)")


def test_every_real_cloud_has_its_words() -> None:
    for name in REAL:
        assert CLOUDS[name].refusals.keys() == set(ORDER), name
        assert CLOUDS[name].quota_page.startswith("https://"), name


@pytest.mark.parametrize("name", REAL)
def test_the_other_type_is_as_large_and_of_another_family_if_there_is_one(name: str) -> None:
    cloud = CLOUDS[name]
    machine = load_deployment(f"{name}-basic").plan.nodes[0].machine_type
    other = choose_other(cloud, machine, cloud.default_region)
    assert other
    assert other.name != machine.name
    assert (other.vcpus, other.memory_gib) >= (machine.vcpus, machine.memory_gib)
    assert other.family != machine.family or len({one.family for one in cloud.machine_types}) == 1
