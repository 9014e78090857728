"""Which zone every node stands in, what is refused, and what of a running deployment stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.plan import Plan
from components.model.planning.bill import BETWEEN_ZONES, NAT
from components.model.planning.standing import (
    Resource,
    Standing,
    describe,
    keep_standing,
    read_standing,
    refuse_moves,
)
from components.model.planning.zone_traffic import zone_traffic_gb
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.load import find_facts
from tests.plans import make_plan

THREE: Mapping[str, Any] = {"cloud": "aws", "tier": "basic", "zones": ["a", "b", "c"], "counts": {"data": 3, "app": 4}}
NOTHING = Standing({}, ())


def settings(**values: Any) -> Settings:
    return Settings.model_validate({"cloud": "aws", "tier": "basic", **values})


def plan(**values: Any) -> Plan:
    return make_plan(settings(**values), "test")


def zones(made: Plan) -> dict[str, str]:
    return {node.key: node.zone for node in made.nodes}


def facts(cloud: str) -> CloudFacts:
    return find_facts(cloud)


def machines(cloud: str, zone: str, *keys: str) -> list[Resource]:
    known = facts(cloud)
    value: Any = [zone] if cloud == "azure" else zone
    return [Resource(known.machine_resource, key, {known.zone_outputs[known.machine_resource]: value}) for key in keys]


def test_the_nth_node_of_a_role_stands_in_the_nth_zone() -> None:
    assert zones(plan(**THREE)) == {
        "data-1": "a",
        "data-2": "b",
        "data-3": "c",
        "app-1": "a",
        "app-2": "b",
        "app-3": "c",
        "app-4": "a",
        "edge-1": "a",
    }


@pytest.mark.parametrize(
    ("cloud", "region", "zone"),
    [
        ("aws", "", "a"),
        ("gcp", "", "a"),
        ("gcp", "us-east1", "b"),
        ("gcp", "europe-west1", "b"),
        ("azure", "", "1"),
        ("azure", "westus", ""),
        ("hetzner", "", ""),
        ("digitalocean", "", ""),
    ],
)
def test_without_a_setting_all_stand_in_the_first_zone_of_the_region(cloud: str, region: str, zone: str) -> None:
    made = plan(cloud=cloud, region=region, counts={"data": 3, "app": 2})
    assert set(zones(made).values()) == {zone} and made.zone == zone


def test_one_zone_may_be_said_in_two_ways() -> None:
    assert plan(zone="b") == plan(zones=["b"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"zone": "a", "zones": ["a", "b"]}, "webitel:zone = a: webitel:zones = a, b says the same thing; remove webitel:zone"),
        ({"zones": ["a", "z"]}, "webitel:zones = z: no zone of AWS us-east-1; use a, b, c, d, e or f"),
        ({"zones": ["a", "d"], "region": "eu-central-1"}, "webitel:zones = d: no zone of AWS eu-central-1; use a, b or c"),
        ({"cloud": "gcp", "region": "us-east1", "zones": ["a", "b"]}, "no zone of Google Cloud us-east1; use b, c or d"),
        ({"cloud": "azure", "region": "westus", "zone": "1"}, "Azure westus has no zones; remove the setting, or use a region"),
        ({"cloud": "hetzner", "zones": ["1", "2"]}, "Hetzner has no zones inside a location, which is one place that fails"),
        ({"cloud": "digitalocean", "zone": "a"}, "DigitalOcean has no zones inside a location"),
        ({"zones": ["a", "b", "a"]}, "webitel:zones = a: stands there twice; name every zone once, such as [a, b]"),
        (
            {"zones": ["a", "b"], "network": "10.20.0.0/20"},
            "webitel:network = 10.20.0.0/20 has no room for subnets in every zone",
        ),
        ({"zones": ["a", "b"], "zone_subnets": False}, "the subnets of test were made before there were zones and fill its"),
        ({"node_zones": {"data-1": "z"}}, "webitel:node_zones.data-1 = z: no zone of AWS us-east-1"),
        ({"node_zones": {"db-1": "a"}}, "webitel:node_zones = db-1: no such node in tier basic; `webitel up` writes names such"),
        ({"consul_servers": ["app-1"]}, "webitel:consul_servers = app-1: no such node in tier basic"),
    ],
)
def test_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(**values)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("counts", "given", "servers"),
    [
        ({"db": 3, "bus": 3}, ["a", "b", "c"], "db-1 db-2 db-3"),
        ({"db": 3}, ["a", "b", "c"], "db-1 db-2 db-3"),
        ({"bus": 3}, ["a", "b", "c"], "db-1 bus-2 bus-3"),
        ({"db": 3, "bus": 3}, ["a", "b"], "db-1 bus-1 db-2"),
        ({}, ["a", "b", "c"], "db-1 bus-1 storage-1"),
        ({"db": 3, "bus": 3}, ["a"], "db-1 bus-1 storage-1"),
    ],
)
def test_consul_servers_stand_as_far_apart_as_roles_allow(counts: dict[str, int], given: list[str], servers: str) -> None:
    made = plan(tier="extended", counts=counts, zones=given)
    assert {name.removeprefix("test-") for name in made.consul_servers} == set(servers.split())
    assert {node.name for node in made.nodes_with("consul-server")} == set(made.consul_servers)


def test_consul_servers_that_stand_stay() -> None:
    before = describe(plan(tier="extended", zones=["a", "b", "c"]), settings())
    raised = settings(tier="extended", zones=["a", "b", "c"], counts={"db": 3, "bus": 3})
    kept = keep_standing(raised, facts("aws"), read_standing(before, [], raised, facts("aws")))
    assert kept.consul_servers == ("db-1", "bus-1", "storage-1")
    assert make_plan(kept, "test").consul_servers == ("test-db-1", "test-bus-1", "test-storage-1")


def test_a_consul_server_that_is_gone_is_followed_by_one_in_its_zone_or_another() -> None:
    made = plan(tier="extended", zones=["a", "b", "c"], consul_servers=["db-1", "db-2", "db-3"])
    assert made.consul_servers == ("test-db-1", "test-bus-1", "test-storage-1")


def test_every_zone_has_its_part_of_the_network_and_the_first_has_the_same_whatever_zones_there_are() -> None:
    alone, apart = plan(counts=THREE["counts"]), plan(**THREE)
    addresses = {node.key: node.private_address for node in apart.nodes}
    assert apart.slots == {"a": 0, "b": 1, "c": 2} and alone.slots == {"a": 0}
    assert addresses["data-1"] == alone.node("data-1").private_address == "10.20.0.10"
    assert (addresses["data-2"], addresses["data-3"]) == ("10.20.16.11", "10.20.32.12")
    assert plan(**{**THREE, "zones": ["b", "c", "a"]}).slots == {"b": 0, "c": 1, "a": 7}


def test_a_network_of_one_zone_may_be_small() -> None:
    assert plan(network="10.20.0.0/24").slots == {"a": None}


@pytest.mark.parametrize("cloud", ["gcp", "local"])
def test_subnets_of_regions_are_not_divided(cloud: str) -> None:
    assert set(plan(**{**THREE, "cloud": cloud}).slots.values()) == {None}


def test_what_is_lost_with_a_zone_is_said_where_there_are_several() -> None:
    assert [text for text in plan(**THREE).warnings if text.startswith("zone ")] == [
        "zone a: its loss stops every call, since edge-1 stands there and nowhere else"
    ]
    two = plan(**{**THREE, "zones": ["a", "b"]}).warnings
    assert (
        "zone a: its loss stops Consul server, PostgreSQL 15 under Patroni, RabbitMQ: most of it stands there (data-1, data-3)"
        in two
    )
    assert not [text for text in plan(counts=THREE["counts"]).warnings if text.startswith("zone ")]


@pytest.mark.parametrize(
    ("cloud", "told", "after"),
    [("aws", "eu-central-1b", "b"), ("gcp", "europe-west3-b", "b"), ("azure", "2", "2")],
)
def test_what_was_made_before_there_were_zones_stays(cloud: str, told: str, after: str) -> None:
    region = {"aws": "eu-central-1", "gcp": "europe-west3", "azure": "westeurope"}[cloud]
    new = settings(cloud=cloud, region=region, zones=list(facts(cloud).zones), counts={"app": 2})
    before = machines(cloud, told, "data-1", "app-1", "edge-1")
    kept = keep_standing(new, facts(cloud), read_standing({}, before, new, facts(cloud)))
    found = zones(make_plan(kept, "test"))
    assert {found[key] for key in ("data-1", "app-1", "edge-1")} == {after}
    assert found["app-2"] == facts(cloud).zones[1]
    assert make_plan(kept, "test").zone == after


def test_clusters_that_azure_spread_by_itself_stay_spread() -> None:
    same = settings(cloud="azure", counts={"data": 3})
    before = [
        *machines("azure", "1", "data-1", "app-1", "edge-1"),
        *machines("azure", "2", "data-2"),
        Resource("azure-native:compute:Disk", "data-3-database", {"zones": ["3"]}),
        Resource("azure-native:network:Subnet", "private", {"addressPrefix": "10.20.0.0/17"}),
        Resource("azure-native:network:PublicIPAddress", "edge-1", {"zones": ["1", "2", "3"]}),
    ]
    kept = keep_standing(same, facts("azure"), read_standing({}, before, same, facts("azure")))
    made = make_plan(kept, "test")
    assert kept.node_zones == {"data-2": "2", "data-3": "3"} and not kept.zone_subnets
    assert made.slots == {"1": None, "2": None, "3": None}
    assert [node.private_address for node in made.nodes][:3] == ["10.20.0.10", "10.20.0.11", "10.20.0.12"]


def test_subnets_that_fill_the_network_are_found() -> None:
    new = settings(zones=["a", "b"])
    subnets = [Resource("aws:ec2/subnet:Subnet", "public", {"cidrBlock": "10.20.128.0/17"})]
    kept = keep_standing(new, facts("aws"), read_standing({}, subnets, new, facts("aws")))
    with pytest.raises(PlanError, match="made before there were zones"):
        make_plan(kept, "test")
    divided = [Resource("aws:ec2/subnet:Subnet", "public", {"cidrBlock": "10.20.128.0/20"})]
    assert keep_standing(new, facts("aws"), read_standing({}, divided, new, facts("aws"))) == new


def carry_out(steps: Sequence[Settings]) -> list[Plan]:
    told: dict[str, Any] = {}
    made = []
    for step in steps:
        standing = read_standing(told, [], step, facts(step.cloud)) if told else NOTHING
        kept = keep_standing(step, facts(step.cloud), standing)
        made.append(make_plan(kept, "test"))
        told = describe(made[-1], kept)
    return made


def test_changed_zones_move_nobody_and_place_the_next() -> None:
    steps = [
        settings(counts={"data": 3}),
        settings(counts={"data": 3, "app": 3}, zones=["a", "b", "c"]),
        settings(counts={"data": 3, "app": 4}, zones=["b", "c"]),
    ]
    for before, after in zip(made := carry_out(steps), made[1:], strict=False):
        stayed = {node.key: (node.zone, node.private_address) for node in before.nodes}
        assert stayed == {node.key: (node.zone, node.private_address) for node in after.nodes if node.key in stayed}
        assert before.zone == after.zone and before.consul_servers == after.consul_servers
    assert [zones(made[2])[f"app-{n}"] for n in (1, 2, 3, 4)] == ["a", "b", "c", "c"]


def test_a_disk_that_outlived_its_node_keeps_its_zone() -> None:
    three = settings(counts={"data": 3}, zones=["a", "b", "c"])
    gone = settings(kept_disks=["data-2", "data-3"], zones=["c", "a"])
    back = settings(counts={"data": 3}, kept_disks=["data-2", "data-3"], zones=["c", "a"])
    made = carry_out([three, gone, gone, back])
    assert {node.key: node.zone for node in made[1].kept} == {node.key: node.zone for node in made[2].kept}
    assert {key: zone for key, zone in zones(made[3]).items() if key[:4] == "data"} == {
        "data-1": "a",
        "data-2": "b",
        "data-3": "c",
    }


def test_a_zone_given_to_a_node_whose_disk_is_elsewhere_is_refused() -> None:
    standing = Standing({"data-1": "a", "app-1": "a"}, ("data-1",))
    wish = settings(node_zones={"data-1": "b", "app-1": "b"})
    made = make_plan(keep_standing(wish, facts("aws"), standing), "test")
    with pytest.raises(PlanError) as caught:
        refuse_moves(made, standing)
    assert "webitel:node_zones.data-1 = b: its data disk is in zone a and cannot move" in str(caught.value)
    assert "app-1" not in str(caught.value)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure", "local", "hetzner", "digitalocean"])
def test_a_deployment_that_nobody_changed_needs_no_setting(cloud: str, tier: str) -> None:
    same = settings(cloud=cloud, tier=tier)
    told = describe(make_plan(same, "test"), same)
    assert keep_standing(same, facts(cloud), read_standing(told, [], same, facts(cloud))) == same


def test_what_goes_between_zones_is_priced() -> None:
    """400 thousand calls of 1.5 minutes a day, four streams of 80 kbit/s; two of four FreeSWITCH nodes stand elsewhere."""
    made = plan(**THREE)
    audio = 400_000 * 1.5 * 30 * 60 * 4 * 80_000 / 8 / 1e9
    gb = zone_traffic_gb(made.tier, made.nodes)
    assert audio / 2 < gb < audio / 2 * 1.1
    assert between_zones(made) == round(gb * 0.02, 2)
    assert between_zones(plan(**{**THREE, "cloud": "azure", "zones": ["1", "2", "3"]})) == 0
    assert "from zone to zone" not in str(plan(**{**THREE, "cloud": "local"}).bill)


def between_zones(made: Plan) -> float | None:
    return next(line.amount for line in made.bill if line.what == BETWEEN_ZONES)


def test_every_zone_has_a_gateway_with_an_address() -> None:
    one, three = plan(**{**THREE, "zones": ["a"]}), plan(**THREE)
    gateways, addresses = (
        [next(line for line in made.bill if line.what == what) for made in (one, three)] for what in (NAT, "addresses")
    )
    assert [line.detail.partition(",")[0] for line in gateways] == ["a gateway", "3 gateways"]
    nat, more = (found[1].amount - found[0].amount for found in (gateways, addresses) if found[0].amount and found[1].amount)
    assert nat == pytest.approx(2 * 32.85, abs=0.1) and more == pytest.approx(2 * 3.65, abs=0.1)
