"""Machines made to measure on hosts of one's own: sizes from the roles, no price, hosts and stores by the owner's names."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from cli.console import out
from cli.show.plan import show_plan
from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts, PublicAddress
from components.model.clouds.prices import currency_of, price_date
from components.model.machine import Public, make_to_measure, read_measure
from components.model.naming import mac_address
from components.model.plan import Plan
from components.model.planning import planner
from components.model.planning.readiness import documentation_values
from components.model.planning.standing import keep_standing, read_standing, refuse_moves
from components.model.planning.sums import Sum, licence_cores, sum_by_role, sum_by_zone, sum_nodes
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.load import Deployment

FACTS = replace(
    CLOUDS["hetzner"],
    title="a hypervisor",
    priced=False,
    made_to_measure=True,
    mac_prefix="BC:24:11",
    private_node=Public.NO,
    public_address=PublicAddress.PRIVATE,
    zones=("pve",),
    zone_shape="[a-z0-9-]+",
    default_region="cluster",
    first_region="",
    region_shape="cluster",
)


def settings(tier: str = "basic", **values: Any) -> Settings:
    return Settings.model_validate({"cloud": "hetzner", "tier": tier, "carriers": ["198.51.100.0/24"], **values})


def plan(tier: str = "basic", facts: CloudFacts = FACTS, **values: Any) -> Plan:
    return planner.make_plan(settings(tier, **values), "test", facts)


def problems(**values: Any) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plan(**values)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("tier", TIERS)
def test_a_machine_is_as_large_as_its_role_and_costs_nothing(tier: str) -> None:
    made = plan(tier)
    for node in made.nodes:
        size = TIERS[tier].role(node.role).size
        assert node.machine_type.name == f"{node.machine_type.vcpus}x{size.memory_gib:g}"
        assert node.machine_type.vcpus >= size.vcpus and node.machine_type.memory_gib == size.memory_gib
        assert node.monthly_price == 0
    assert made.bill == () and (made.monthly_price.amount, made.monthly_price.as_of) == (0, "")
    assert not any("price" in text or "whole cores" in text for text in made.warnings)
    assert FACTS.machine_types == () and (currency_of(FACTS), price_date(FACTS)) == ("EUR", "")


def test_the_relay_of_the_largest_tier_gets_the_cores_that_its_load_takes() -> None:
    assert plan("extended").node("sip-1").machine_type.vcpus >= 6
    (told,) = [text for text in plan("extended", machine_types={"sip": "4x8"}).warnings if "whole cores" in text]
    assert told.startswith("webitel:machine_types.sip = 4x8: 2 whole cores, 750 calls") and "use 6x8 (6 vCPU, 8 GiB)" in told


def test_a_measure_of_ones_own() -> None:
    node = plan(machine_types={"edge": "12x24"}).node("edge-1")
    assert (node.machine_type.vcpus, node.machine_type.memory_gib) == (12, 24)
    assert read_measure("12x24") == node.machine_type == make_to_measure(12, 23.5)
    assert "webitel:machine_types.edge = 2x8: smaller than the tier's" in " ".join(plan(machine_types={"edge": "2x8"}).warnings)
    for wrong in ("ccx23", "0x8", "4x", "4 x 8", "4x8.5"):
        assert read_measure(wrong) is None
        (told,) = problems(machine_types={"edge": wrong})
        assert told.startswith(f"webitel:machine_types.edge = {wrong}: a hypervisor makes machines to measure")
        assert told.endswith("such as 4x8")


def test_sums_take_the_place_of_a_bill() -> None:
    made = plan(zones=["pve-1", "pve-2"], counts={"app": 2}, kept_disks=["data-2"])
    roles, zones = sum_by_role(made), sum_by_zone(made)
    assert roles["app"] == Sum(2, 16, 32, 160)
    assert roles["data"] == Sum(1, 8, 32, 40 + 2 * 200 + 500)
    assert sum_nodes(made.nodes, made.kept) == Sum(
        *(sum(getattr(one, name) for one in roles.values()) for name in vars(roles["app"]))
    )
    assert list(zones) == ["pve-1", "pve-2"]
    assert zones["pve-2"] == Sum(1, 8, 16, 80 + 200)
    capacity = planner.plan_to_json(made)["capacity"]
    assert capacity["roles"][1] == {"role": "app", "nodes": 2, "vcpus": 16, "memory_gib": 32, "disk_gib": 160}
    assert [one["zone"] for one in capacity["zones"]] == [*zones]


def test_licences_count_a_host_for_each_member_of_a_role() -> None:
    def count(**more: Any) -> int:
        return licence_cores(plan(facts=CLOUDS["vsphere"], image="debian-12", **more))

    assert count() == 16  # one host with one CPU bears it: 22 vCPU are 11 cores
    assert count(counts={"data": 3}) == 48
    assert count(counts={"data": 3}, zones=["a", "b", "c"]) == 48
    assert count(counts={"app": 9}) == 9 * 16
    assert planner.plan_to_json(plan())["capacity"]["licence_cores"] == 0


def test_a_mac_address_keeps_to_what_the_hypervisor_leaves() -> None:
    assert mac_address("00:50:56:3", "test", "edge-1").startswith("00:50:56:3")
    assert len(mac_address("00:50:56:3", "test", "edge-1")) == 17


def test_a_plan_shows_what_it_takes_of_the_hosts() -> None:
    wish = settings(zones=["pve-1", "pve-2"], counts={"app": 2})
    with out.capture() as shown:
        show_plan(Deployment(wish, planner.make_plan(wish, "test", FACTS)))
    text = shown.get()
    assert "taken of your hosts" in text and "on pve-2" in text and "EUR" not in text
    total = next(line for line in text.splitlines() if line.strip("| │").startswith("total"))
    assert [word for word in total.replace(",", "").split() if word.isdecimal()] == ["4", "28", "72", "960"]


def test_hosts_are_named_by_their_owner() -> None:
    made = plan(zones=["pve-1", "rack-b-7"], counts={"app": 2})
    assert [node.zone for node in made.nodes if node.role == "app"] == ["pve-1", "rack-b-7"]
    (told,) = problems(zones=["pve 1"])
    assert "webitel:zones = pve 1: not the name of a host of a hypervisor; use one such as pve" in told


def test_each_host_that_is_spoken_to_itself_has_its_endpoint_but_for_one() -> None:
    facts, second = CLOUDS["libvirt"], {"kvm-2": "qemu+ssh://root@kvm-2/system"}
    assert {node.zone for node in plan(facts=facts).nodes} == {"kvm-1"}
    made = plan(facts=facts, zones=["kvm-1", "kvm-2"], site={"hosts": second}, counts={"app": 2})
    assert made.node("app-2").zone == "kvm-2"
    (told,) = problems(facts=facts, zones=["a", "b", "kvm-2"], site={"hosts": second}, counts={"data": 3})
    assert told.startswith("webitel:site.hosts.b") and "as is a, and only one host is at libvirt:uri" in told
    (told,) = problems(facts=facts, zones=["kvm-1", "kvm-2"], site={"hosts": second | {"kvm-1": second["kvm-2"]}})
    assert "stands there for 2 hosts" in told
    (told,) = problems(facts=CLOUDS["proxmox"], image="pve/9000", site={"hosts": second})
    assert told.startswith("webitel:site.hosts") and "of no use on Proxmox VE" in told
    assert not [one for one in documentation_values(settings(network="10.20.0.0/24"), facts) if one.setting == "webitel:zones"]


def test_what_stood_before_a_cloud_had_zones_stands_in_the_first() -> None:
    facts = CLOUDS["libvirt"]
    told = {"zones": {"data-1": "", "app-1": ""}, "consul_servers": ["data-1"], "zone_subnets": True}
    wish = settings(zones=["new", "kvm-1"], site={"hosts": {"new": "qemu+ssh://root@new/system"}})
    standing = read_standing(told, [], wish, facts)
    assert standing.zones == {"data-1": "kvm-1", "app-1": "kvm-1"}
    kept = keep_standing(wish, facts, standing)
    assert kept.node_zones == {"data-1": "kvm-1", "app-1": "kvm-1"}
    refuse_moves(planner.make_plan(kept, "test", facts), standing)


def test_what_only_the_owner_knows_is_asked_for() -> None:
    wanted = {problem.setting for problem in documentation_values(settings(), FACTS)}
    assert {"webitel:network", "webitel:zones"} <= wanted
    said = settings(network="10.20.0.0/24", zone="pve-1")
    assert not {"webitel:network", "webitel:zones"} & {problem.setting for problem in documentation_values(said, FACTS)}


def test_public_addresses_are_what_the_router_translates() -> None:
    assert plan().facts.public_address is PublicAddress.PRIVATE
    made = plan(site={"public_addresses": {"edge-1": "203.0.113.5"}})
    assert made.facts.public_address is PublicAddress.TRANSLATED
    (told,) = problems(site={"public_addresses": {"edge-1": "203.0.113.5", "data-1": "203.0.113.6"}})
    assert "webitel:site.public_addresses.data-1 = 203.0.113.6: no node that is reached from outside; those are edge-1" in told
    told = " ".join(problems(tier="extended", site={"public_addresses": {"sip-1": "203.0.113.5"}}))
    assert "webitel:site.public_addresses.web-1: every node reached from outside needs one" in told
    twice = {"sip-1": "203.0.113.5", "web-1": "203.0.113.5"}
    assert "stands there for 2 nodes" in " ".join(problems(tier="extended", site={"public_addresses": twice}))


def test_a_router_outside_of_the_network_is_refused() -> None:
    assert plan(network="10.30.0.0/24", site={"gateway": "10.30.0.254"})
    (told,) = problems(network="10.30.0.0/24", site={"gateway": "10.31.0.1"})
    assert told == "webitel:site.gateway = 10.31.0.1: not in webitel:network = 10.30.0.0/24; use its router, such as 10.30.0.1"


def test_a_cloud_has_no_place_of_ones_own() -> None:
    (told,) = problems(facts=CLOUDS["hetzner"], site={"store": "local-lvm"})
    assert told == "webitel:site = given: Hetzner is no hypervisor of yours; remove the setting"


def test_mac_addresses_are_the_hypervisors_and_differ() -> None:
    assert (
        mac_address("BC:24:11", "test", "edge-1")
        == mac_address("BC:24:11", "test", "edge-1")
        != mac_address("BC:24:11", "try", "edge-1")
    )
    stacks = [f"{cloud}-{tier}" for cloud in ("proxmox", "libvirt", "xen") for tier in TIERS]
    keys = [f"{role.name}-{n}" for role in chain(*(tier.roles for tier in TIERS.values())) for n in range(1, 12)]
    found = [mac_address("BC:24:11", stack, key) for stack in stacks for key in dict.fromkeys(keys)]
    assert len(set(found)) == len(found) and all(len(one) == 17 and one.startswith("BC:24:11:") for one in found)


def test_two_nodes_with_one_mac_address_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.model.planning.check_site.mac_address", lambda *_: "BC:24:11:00:00:00")
    (told,) = problems()
    assert told == "stack name = test: two of its nodes would have the MAC address BC:24:11:00:00:00; use another name"
