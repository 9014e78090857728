"""Which node a drill is about, and what is named while it is broken."""

from cli.drills.run import choose_client, is_cut_off
from cli.drills.table import list_drills
from cli.nodes.access import Access
from components.model.report import NodeReport, ServiceRow, describe_first, make_silent_report
from components.model.settings import Settings
from components.ssh import Hop
from tests.plans import make_plan
from tests.unit.cli.fakes import make_node


def test_of_a_role_the_node_that_runs_what_moves_is_switched_off() -> None:
    plan = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"app": 2}}), "s")
    assert list_drills(plan, {}, None)["stop-app"].targets == ("app-1",)
    drills = list_drills(plan, {"postgresql": "data-1", "logger": "app-2", "grafana": "data-1"}, None)
    assert drills["stop-app"].targets == ("app-2",) and "app-2" in drills["stop-app"].says
    assert drills["stop-edge"].targets == ("edge-1",)


def test_of_two_edges_the_one_with_the_calls_is_broken() -> None:
    one = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic"}), "s")
    assert {name for name in list_drills(one, {}, None) if name.endswith("-edge")} == {"stop-edge"}
    two = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": 2}}), "s")
    drills = {name: drill for name, drill in list_drills(two, {"sip-address": "edge-2"}, None).items() if name.endswith("-edge")}
    assert {name: drill.targets for name, drill in drills.items()} == {
        f"{fault}-edge": ("edge-2",) for fault in ("stop", "partition", "kill", "hand-over")
    }
    assert list_drills(two, {}, None)["hand-over-edge"].targets == ("edge-1",)


def test_every_zone_can_be_lost_where_there_are_several() -> None:
    values = {"cloud": "local", "tier": "basic", "counts": {"data": 3}}
    plan = make_plan(Settings.model_validate({**values, "zones": ["a", "b", "c"]}), "s")
    drills = list_drills(plan, {}, None)
    zones = {name: drill.targets for name, drill in drills.items() if name.startswith("stop-zone")}
    assert zones == {
        "stop-zone-a": ("data-1", "app-1", "edge-1"),
        "stop-zone-b": ("data-2",),
        "stop-zone-c": ("data-3",),
    }
    assert not [name for name in list_drills(make_plan(Settings.model_validate(values), "s"), {}, None) if "zone" in name]


def test_the_load_writes_alone_where_its_way_in_is_lost() -> None:
    plan = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"data": 3}}), "s")
    assert is_cut_off(plan, "data-2", ("data-1", "app-1", "edge-1"))
    assert not is_cut_off(plan, "data-2", ("data-1",))
    assert not is_cut_off(plan, "edge-1", ("edge-1",)) and not is_cut_off(plan, "data-2", ("data-2", "edge-1"))


def test_the_load_is_reached_by_another_way_than_through_the_lost_node() -> None:
    plan = make_plan(Settings.model_validate({"cloud": "local", "tier": "extended", "local_network": "nat"}), "s")
    hops = tuple(Hop(address=f"198.18.0.{number}", machine_id=key) for number, key in enumerate(("web-1", "sip-1"), 1))
    nodes = {node.key: make_node(node.key, via=() if node.key in ("web-1", "sip-1") else hops) for node in plan.nodes}
    access = Access(nodes, "", "")
    assert choose_client(access, plan, ("db-1",)).target.via == hops
    assert choose_client(access, plan, ("web-1",)).target.via == hops[::-1]


def test_a_node_that_says_nothing_is_named_before_what_others_lack() -> None:
    row = ServiceRow(name="haproxy", healthy=False, why="no broker")
    reports = {
        "app-1": NodeReport(node="s-app-1", key="app-1", services=(row,), healthy=False),
        "data-1": make_silent_report("data-1", "s-data-1", "no answer within 6 s"),
    }
    assert describe_first(reports) == "data-1: no answer within 6 s"
    assert describe_first({"app-1": reports["app-1"]}) == "app-1 haproxy: no broker"
    assert describe_first({"app-1": NodeReport(node="s-app-1", key="app-1", healthy=True)}) == ""
