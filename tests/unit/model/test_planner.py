"""Plans of every cloud and tier, and what raising a count must not change."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.acme import ACCOUNT
from components.model.backup import CIPHER
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.naming import LONGEST_SUFFIX, MAX_NAME_LENGTH, bridge_name
from components.model.plan import Plan
from components.model.planning.capacity import recordings_days, recordings_gib_per_day
from components.model.planning.check_shape import explain_count
from components.model.planning.planner import plan_to_json
from components.model.secret_specs import SECRETS
from components.model.settings import Settings
from tests.plans import make_plan

EVERY = [(cloud, tier) for cloud in CLOUDS for tier in TIERS]


def plan(cloud: str, tier: str, stack: str = "", **values: Any) -> Plan:
    return make_plan(Settings.model_validate({"cloud": cloud, "tier": tier, **values}), stack or f"{cloud}-{tier}")


@pytest.mark.parametrize(("cloud", "tier"), EVERY)
def test_every_stack_has_a_plan(cloud: str, tier: str) -> None:
    made, row = plan(cloud, tier), CLOUDS[cloud]
    assert [node.key for node in made.nodes] == [
        f"{role.name}-{n}" for role in TIERS[tier].roles for n in range(1, role.count + 1)
    ]
    network = IPv4Network(made.network)
    for node in made.nodes:
        role = TIERS[tier].role(node.role)
        size = role.trial if row.trial else role.size
        assert node.machine_type.vcpus >= size.vcpus
        assert node.machine_type.memory_gib >= size.memory_gib
        assert node.disks[0].purpose == "boot"
        assert node.disks[0].size_gib >= max(size.boot_gib, row.boot_min_gib)
        assert not row.is_shared(node.machine_type.name)
        assert (node.private_address is None) == (not row.fixed_addresses)
        assert node.private_address is None or IPv4Address(node.private_address) in network
        assert node.public is (Public.SERVICE if role.public is Public.SERVICE else row.private_node)
        assert len(node.name + LONGEST_SUFFIX) <= MAX_NAME_LENGTH
    assert len({node.private_address for node in made.nodes}) == (len(made.nodes) if row.fixed_addresses else 1)
    assert set(made.secrets) == set(SECRETS) - {*ACCOUNT, CIPHER}
    assert made.package_source == ("sandbox" if row.trial else "vendor")
    assert made == plan(cloud, tier)


@pytest.mark.parametrize(("cloud", "tier"), EVERY)
def test_raising_a_count_moves_no_other_node(cloud: str, tier: str) -> None:
    before = plan(cloud, tier, network="10.20.0.0/16")
    for role in TIERS[tier].roles:
        # Each number on every second cloud, all of them with every tier: a plan for each pair would be a thousand plans.
        for count in (2, 3, 5, 9, 10, 11, 12, 94)[list(CLOUDS).index(cloud) % 2 :: 2]:
            if count <= role.count or explain_count(role, count, CATALOGUE):
                continue
            after = plan(cloud, tier, network="10.20.0.0/16", counts={role.name: count})
            assert len(after.nodes) == len(before.nodes) + count - role.count
            for node in before.nodes:
                same = after.node(node.key)
                assert (same.name, same.private_address, same.machine_type, same.disks, same.public) == (
                    node.name,
                    node.private_address,
                    node.machine_type,
                    node.disks,
                    node.public,
                )
                # Between several nodes services move; with three, Consul's servers are three.
                expected = set(node.services) | ({"locks"} if node.role == role.name and "locks" in same.services else set())
                if role.name != "data":
                    assert set(same.services) == expected
            addresses = [node.private_address for node in after.nodes]
            assert not CLOUDS[cloud].fixed_addresses or len(set(addresses)) == len(addresses)


def test_addresses_stand_by_role_and_number() -> None:
    made = plan("aws", "extended", counts={"media": 12})
    addresses = {node.key: node.private_address for node in made.nodes}
    assert addresses["db-1"] == "10.20.0.10"
    assert addresses["media-1"] == "10.20.0.40"
    assert addresses["media-10"] == "10.20.0.49"
    assert addresses["media-11"] == "10.20.4.11"
    assert addresses["sip-1"] == "10.20.128.60"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_nodes_reached_from_outside_have_a_subnet_of_their_own_where_it_has_one_way_out(cloud: str) -> None:
    made = plan(cloud, "extended", network="10.20.0.0/22")
    for node in made.nodes:
        if node.private_address and CLOUDS[cloud].way_out_by_subnet:
            upper = IPv4Address(node.private_address) in IPv4Network("10.20.2.0/23")
            assert upper is (node.public is Public.SERVICE)


def test_a_node_has_a_data_disk_only_for_services_that_keep_data_there() -> None:
    made = plan("aws", "basic", counts={"data": 3}, disk_sizes={"data.recordings": 900, "app.boot": 100})
    disks = {node.key: {disk.purpose: disk.size_gib for disk in node.disks} for node in made.nodes}
    assert disks["data-1"] == {"boot": 40, "database": 200, "recordings": 900}
    assert disks["data-2"] == disks["data-3"] == {"boot": 40, "database": 200}
    assert disks["app-1"] == {"boot": 100}


def test_containers_are_small() -> None:
    node = plan("local", "basic").node("data-1")
    assert (node.machine_type.vcpus, node.machine_type.memory_gib) == (2, 2)
    assert {disk.purpose: disk.size_gib for disk in node.disks} == {"boot": 10, "database": 5, "recordings": 5}


def test_a_machine_type_given_by_hand_is_taken() -> None:
    made = plan("aws", "basic", machine_types={"edge": "c8a.2xlarge"})
    assert made.node("edge-1").machine_type.name == "c8a.2xlarge"
    assert made.node("app-1").machine_type.name == "c7a.2xlarge"
    small = plan("aws", "basic", machine_types={"edge": "c7a.large"})
    assert "webitel:machine_types.edge = c7a.large: smaller than the tier's 4 vCPU, 8 GiB" in small.warnings
    tight = plan("digitalocean", "basic", machine_types={"edge": "c-4"})
    assert any("smaller than the tier's 4 vCPU, 8 GiB, 60 GiB disk" in warning for warning in tight.warnings)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"phones": "internet"}, "toll fraud"),
        ({}, "SIP is closed to everybody"),
        ({"package_source": "sandbox"}, "stand-ins"),
        (
            {"region": "eu-west-1"},
            "no dated price in eu-west-1 of gp3 disks, machine type c7a.2xlarge, public addresses, traffic",
        ),
    ],
)
def test_warnings(values: dict[str, Any], words: str) -> None:
    assert any(words in warning for warning in plan("aws", "single", **values).warnings)


@pytest.mark.parametrize(
    "values",
    [{"cloud": "aws", "carriers": ["198.51.100.0/24"]}, {"cloud": "aws", "phones": ["192.0.2.0/24"]}, {"cloud": "local"}],
)
def test_no_warnings(values: dict[str, Any]) -> None:
    assert make_plan(Settings.model_validate({"tier": "single", **values}), "test").warnings == ()


def test_prices_of_nodes_make_the_price_of_the_plan() -> None:
    made = plan("hetzner", "basic", region="nbg1")
    assert made.region == "nbg1"
    assert {node.key: node.monthly_price for node in made.nodes} == {
        "data-1": pytest.approx(138.49 + 700 * 0.0572 + 0.5),
        "app-1": pytest.approx(138.49 + 0.5),
        "edge-1": pytest.approx(85.99 + 0.5),
    }
    assert made.monthly_price.amount == pytest.approx(sum(node.monthly_price or 0 for node in made.nodes), abs=0.02)
    assert made.monthly_price.amount == pytest.approx(sum(line.amount or 0 for line in made.bill), abs=0.01)
    assert plan("hetzner", "basic", region="ash").monthly_price.amount is None


def test_the_boot_disk_may_come_with_the_machine() -> None:
    disks = {disk.purpose: disk.size_gib for disk in plan("hetzner", "basic").node("data-1").disks}
    assert disks == {"boot": 240, "database": 200, "recordings": 500}


def test_secrets_are_those_of_the_services_and_of_the_deployment() -> None:
    without = {**CATALOGUE, "freeswitch": replace(CATALOGUE["freeswitch"], secrets=())}
    made = make_plan(Settings.model_validate({"cloud": "local", "tier": "single"}), "test", without)
    assert set(SECRETS) - set(made.secrets) == {"esl_password", *ACCOUNT, CIPHER}


def test_zones() -> None:
    assert plan("aws", "single").zone == "a"
    assert plan("azure", "single", zone="2").zone == "2"
    assert plan("hetzner", "single").zone == ""


def test_stacks_of_all_tiers_fit_on_one_container_host() -> None:
    networks = [IPv4Network(plan("local", tier).network) for tier in TIERS]
    assert networks[0] == IPv4Network("10.77.0.0/24")
    assert not any(one.overlaps(other) for one in networks for other in networks if one is not other)
    bridges = [bridge_name(f"local-{tier}") for tier in TIERS]
    assert len(set(bridges)) == len(bridges)
    assert all(len(bridge) <= 15 for bridge in (*bridges, bridge_name("a" * 40)))


def test_json_has_the_documented_shape() -> None:
    made = plan_to_json(plan("aws", "basic", carriers=["198.51.100.0/24"]))
    assert list(made) == [
        "stack",
        "cloud",
        "tier",
        "region",
        "sip_address",
        "sip_outside",
        "nodes",
        "kept_disks",
        "openings",
        "capacity",
        "bill",
        "monthly_price",
        "warnings",
    ]
    assert list(made["nodes"][0]) == [
        "name",
        "role",
        "services",
        "machine_type",
        "vcpus",
        "memory_gib",
        "disks",
        "private_address",
        "zone",
        "public",
        "monthly_price",
    ]
    assert made["nodes"][0]["disks"][1] == {"purpose": "database", "size_gib": 200}
    assert list(made["openings"][0]) == ["role", "service", "protocol", "ports", "audience", "sources"]
    assert list(made["bill"][0]) == ["what", "amount", "detail", "as_of", "derived"]
    assert list(made["monthly_price"]) == ["amount", "currency", "as_of"]
    assert json.loads(json.dumps(made)) == made


def test_recordings_fill_their_disk() -> None:
    made = plan("aws", "basic")
    assert recordings_days(made) == {"aws-basic-data-1": pytest.approx(500 / recordings_gib_per_day(400_000))}
    assert 10 < recordings_days(made)["aws-basic-data-1"] < 15
    assert recordings_days(plan("aws", "basic", disk_sizes={"data.recordings": 1000}))["aws-basic-data-1"] > 20


def test_a_plan_needs_neither_pulumi_nor_a_second() -> None:
    program = (
        "import sys, time; start = time.perf_counter()\n"
        "from components.clouds.registry import CLOUDS\nfrom components.model.planning.planner import make_plan\n"
        "from components.model.settings import Settings\n"
        "make_plan(Settings(cloud='aws', tier='extended', counts={'media': 60, 'web': 34}), 'big', CLOUDS['aws'])\n"
        "assert not {'pulumi', 'grpc', 'yaml'} & set(sys.modules)\n"
        "print(time.perf_counter() - start)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 5  # the budget is one; a test does not fail on a close clock


def test_a_leaving_node_is_sent_no_work() -> None:
    made = plan("local", "extended", "s", counts={"media": 3}, leaving=["media-3"])
    assert [node.key for node in made.nodes_with("freeswitch")] == ["media-1", "media-2", "media-3"]
    assert [node.key for node in made.serving("freeswitch")] == ["media-1", "media-2"]
    assert plan("local", "extended", "s", counts={"media": 3}, leaving=["s-media-3"]) == made
