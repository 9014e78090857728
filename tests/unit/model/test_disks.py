"""Data disks of nodes that are gone: part of the plan, and of the node that comes back."""

from __future__ import annotations

from typing import Any

import pytest

from components.model.plan import Plan
from components.model.planning.planner import PlanError
from components.model.settings import Settings
from tests.plans import make_plan


def plan(cloud: str = "hetzner", **settings: Any) -> Plan:
    """A plan of the tier basic."""
    return make_plan(Settings.model_validate({"cloud": cloud, "tier": "basic", **settings}), "s")


def test_disks_of_nodes_that_are_gone_are_there_and_paid() -> None:
    made, without = plan(kept_disks=["data-3", "s-data-2"]), plan()
    assert [(node.name, {disk.purpose: disk.size_gib for disk in node.disks}) for node in made.kept] == [
        ("s-data-2", {"database": 200}),
        ("s-data-3", {"database": 200}),
    ]
    assert made.nodes == without.nodes
    assert (made.openings, made.secrets, made.consul_servers) == (without.openings, without.secrets, without.consul_servers)
    assert made.monthly_price.amount and without.monthly_price.amount
    kept = [node.monthly_price for node in made.kept if node.monthly_price]
    assert made.monthly_price.amount - without.monthly_price.amount == pytest.approx(sum(kept), abs=0.02)
    assert min(kept) > 1


def test_a_boot_disk_is_large_where_that_makes_it_fast() -> None:
    """On Azure 512 GiB are the least that carry a broker's 2,000 IOPS."""
    boot = {node.key: node.disks[0].size_gib for node in plan("azure").nodes}
    assert boot == {"data-1": 512, "app-1": 80, "edge-1": 60}
    assert {node.disks[0].size_gib for node in plan("aws").nodes} == {40, 80, 60}
    chosen = plan("azure", disk_sizes={"data.boot": 200})
    assert chosen.node("data-1").disks[0].size_gib == 200
    assert "webitel:disk_sizes.data.boot = 200: too slow for a broker's 2,000 IOPS on Azure; use 512" in chosen.warnings


def test_they_are_the_disks_of_the_node_that_comes_back() -> None:
    made = plan(kept_disks=["data-2", "data-3"], counts={"data": 3})
    assert made.kept == ()
    assert made.nodes == plan(counts={"data": 3}).nodes
    assert [text for text in made.warnings if "data-2, data-3: kept disks are taken again" in text]
    for key in ("data-2", "data-3"):
        before = plan(kept_disks=[key]).kept[0]
        assert [disk for disk in made.node(before.name).disks if disk.is_data] == list(before.disks)


def test_containers_cost_nothing() -> None:
    made = plan("local", kept_disks=["data-2"])
    assert [node.monthly_price for node in made.kept] == [0.0]
    assert made.monthly_price.amount == 0


@pytest.mark.parametrize("name", ["app-2", "data-x", "data", "data-0", "data-999999999", "edge-2", "other-data-2"])
def test_what_never_left_a_disk_is_named(name: str) -> None:
    with pytest.raises(PlanError, match=f"webitel:kept_disks = {name}: no node of tier basic .* such as data-3"):
        plan(kept_disks=[name])
