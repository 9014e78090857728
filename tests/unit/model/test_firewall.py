"""Openings of a small catalogue against ones computed by hand, and of the real one against what must never be open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.service import Audience, Bind, Service
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.plan import Node, Plan
from components.model.planning import firewall
from components.model.planning.placement import Catalogue
from components.model.settings import Settings
from tests.plans import make_plan
from tests.unit.model import fakes

TIER_PUBLIC = {"single": ["all"], "basic": ["edge"], "extended": ["web", "sip"]}
OFFICE, TRUNK, PHONES = "203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"


def settings(**values: Any) -> Settings:
    return Settings.model_validate({"cloud": "aws", "tier": "basic", **values})


def derive(
    values: Settings,
    nodes: Sequence[Node] = fakes.NODES,
    catalogue: Catalogue = fakes.CATALOGUE,
) -> set[tuple[str, str, str, str, str, tuple[str, ...]]]:
    """Role, listener, protocol, ports, audience, sources of every opening."""
    return {
        (one.role, f"{one.service}.{one.listener}", one.protocol, one.ports, one.audience, one.sources)
        for one in firewall.derive(nodes, values, CLOUDS[values.cloud], catalogue)
    }


def rules(values: Settings, key: str, nodes: Sequence[Node] = fakes.NODES) -> set[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Listener, networks and nodes of every rule of one node."""
    plan = plan_of(nodes)
    found = firewall.node_openings(plan, plan.node(key), values, fakes.CATALOGUE)
    return {(f"{one.service}.{one.listener}", one.networks, one.nodes) for one in found}


def plan_of(nodes: Sequence[Node]) -> Plan:
    return replace(make_plan(settings(), "aws-basic"), stack="test", nodes=tuple(nodes))


def test_openings_are_the_ones_computed_by_hand() -> None:
    assert derive(settings(operators=[OFFICE], carriers=[TRUNK], phones=[PHONES])) == {
        ("data", "ssh.ssh", "tcp", "22", "operators", ("role:edge",)),
        ("data", "mesh.gossip", "tcp", "8301", "callers", ("role:data", "role:app", "role:edge")),
        # Between its own members and from the proxies, which alone call it on other nodes.
        ("data", "database.sql", "tcp", "5432", "callers", ("role:data", "role:app")),
        ("data", "database.rest", "tcp", "8008", "callers", ("role:data",)),
        ("data", "keeper.files", "tcp", "10021", "callers", ("role:app",)),
        ("app", "ssh.ssh", "tcp", "22", "operators", ("role:edge",)),
        ("app", "mesh.gossip", "tcp", "8301", "callers", ("role:data", "role:edge")),
        ("app", "worker.grpc", "tcp", "10000", "callers", ("role:edge",)),
        ("edge", "ssh.ssh", "tcp", "22", "operators", (OFFICE,)),
        ("edge", "mesh.gossip", "tcp", "8301", "callers", ("role:data", "role:app")),
        ("edge", "web.https", "tcp", "443", "internet", ("0.0.0.0/0",)),
        ("edge", "web.sip", "udp", "5060", "carriers", (TRUNK,)),
        ("edge", "web.sip", "udp", "5060", "phones", (PHONES,)),
        ("edge", "web.rtp", "udp", "10000-19999", "internet", ("0.0.0.0/0",)),
    }


def test_nodes_of_a_role_get_only_what_their_own_services_need() -> None:
    values = settings(operators=[OFFICE])
    assert rules(values, "data-1") == {
        ("ssh.ssh", (), ("edge-1",)),
        ("mesh.gossip", (), ("data-2", "app-1", "edge-1")),
        ("database.sql", (), ("data-2", "app-1")),
        ("database.rest", (), ("data-2",)),
        ("keeper.files", (), ("app-1",)),
    }
    assert rules(values, "data-2") == {
        ("ssh.ssh", (), ("edge-1",)),
        ("mesh.gossip", (), ("data-1", "app-1", "edge-1")),
        ("database.sql", (), ("data-1", "app-1")),
        ("database.rest", (), ("data-1",)),
    }


def test_a_single_node_opens_nothing_for_itself() -> None:
    alone = [fakes.make_node("all", 1, "database", "proxy", "keeper", "worker", "web", public=Public.SERVICE)]
    assert {opening[4] for opening in derive(settings(operators=[OFFICE]), alone)} == {"operators", "internet"}


def test_a_second_node_of_a_role_is_a_caller_of_the_first() -> None:
    two = [fakes.make_node("app", n, "proxy", "worker") for n in (1, 2)]
    assert {one[1]: one[5] for one in derive(settings(), two)} == {"mesh.gossip": ("role:app",)}


def test_people_reach_only_nodes_with_a_public_service() -> None:
    for public in (Public.NO, Public.EGRESS):
        nodes = [replace(node, public=public) for node in fakes.NODES]
        values = settings(operators=[OFFICE], carriers=[TRUNK], phones="internet")
        assert {one[4] for one in derive(values, nodes)} == {"callers"}


def test_nobody_is_let_in_by_default() -> None:
    assert {one[1] for one in derive(settings()) if one[0] == "edge"} == {"mesh.gossip", "web.https", "web.rtp"}


def test_phones_of_the_whole_internet() -> None:
    opened = {one for one in derive(settings(phones="internet", carriers=[TRUNK])) if one[1] == "web.sip"}
    assert opened == {
        ("edge", "web.sip", "udp", "5060", "phones", ("0.0.0.0/0",)),
        ("edge", "web.sip", "udp", "5060", "carriers", (TRUNK,)),
    }


@pytest.mark.parametrize(
    ("service", "called"),
    [
        (Service("x", "X", calls=("database",)), ""),  # through the proxy
        (Service("x", "X", calls=("database.rest",)), "rest"),
        (Service("x", "X", calls=("database",), beside=("database",)), "sql rest hidden"),
        (Service("x", "X", calls=("database",), beside=("keeper",)), ""),
        (fakes.CATALOGUE["database"], "sql rest hidden"),
        (Service("x", "X", calls=("mesh",)), "gossip"),
        (Service("x", "X", calls=("mesh.http",)), ""),  # for its own node only
    ],
)
def test_which_listeners_a_call_means(service: Service, called: str) -> None:
    assert " ".join(one.name for _, one in firewall.called_listeners(service, fakes.CATALOGUE)) == called


def test_openings_of_a_role_are_those_of_all_its_nodes() -> None:
    nodes = [
        fakes.make_node("data", 1, "keeper"),
        fakes.make_node("data", 2, "keeper", "worker"),
        fakes.make_node("app", 1, "worker"),
    ]
    assert ("data", "keeper.files", "tcp", "10021", "callers", ("role:data", "role:app")) in derive(settings(), nodes)
    assert ("data", "keeper.files", "tcp", "10021", "callers", ("role:app", "role:data")) in derive(
        settings(), [nodes[1], nodes[0], nodes[2]]
    )


def test_on_containers_the_host_is_the_operator_unless_others_are_set() -> None:
    def operators(**values: Any) -> set[tuple[str, ...]]:
        opened = derive(settings(cloud="local", tier="extended", **values))
        return {one[5] for one in opened if one[1] == "ssh.ssh"}

    assert operators() == {("10.77.2.1/32",), ("role:edge",)}
    assert operators(network="10.9.0.0/24") == {("10.9.0.1/32",), ("role:edge",)}
    assert operators(operators=[OFFICE]) == {(OFFICE,), ("role:edge",)}


def test_a_way_in_of_the_users_own_reaches_private_nodes_from_private_networks() -> None:
    values = settings(operators=[OFFICE, "10.8.0.0/24"], ssh_via="admin@bastion.your-company.com")
    assert ("ssh.ssh", ("10.8.0.0/24",), ("edge-1",)) in rules(values, "app-1")
    without = settings(operators=[OFFICE, "10.8.0.0/24"])
    assert ("ssh.ssh", (), ("edge-1",)) in rules(without, "app-1")


def test_egress_is_what_services_ask_for() -> None:
    values = settings(carriers=[TRUNK])
    found = {
        (one.role, one.protocol, one.ports, one.destinations, one.purposes)
        for one in firewall.derive_egress(fakes.NODES, values, CLOUDS["hetzner"], fakes.CATALOGUE)
    }
    assert found == {
        ("data", "udp", "123", ("0.0.0.0/0",), ("time",)),
        ("data", "tcp", "443", ("0.0.0.0/0",), ("files",)),
        ("app", "udp", "123", ("0.0.0.0/0",), ("time",)),
        ("edge", "udp", "123", ("0.0.0.0/0",), ("time",)),
        ("edge", "udp", "5060-5061", (TRUNK,), ("trunks",)),
    }
    plan = plan_of(fakes.NODES)
    assert [rule.purposes for rule in firewall.node_egress(plan, plan.node("data-2"), values, fakes.CATALOGUE)] == [("time",)]
    phones = firewall.derive_egress(fakes.NODES, settings(phones="internet"), CLOUDS["aws"], fakes.CATALOGUE)
    assert ("1024-65535", ("0.0.0.0/0",)) in {(one.ports, one.destinations) for one in phones}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_audio_gets_out_by_every_port_where_the_cloud_forgets_it_then(cloud: str) -> None:
    values = settings(cloud=cloud, tier="basic", operators=[OFFICE], carriers=[TRUNK])
    plan = make_plan(values, f"{cloud}-basic")
    (media,) = [rule for rule in plan.egress if "media" in rule.purposes]
    assert media.ports == (CLOUDS[cloud].tracks_all_but or "1024-65535")
    # The node's own are what its services need, on every cloud.
    (own,) = [rule for rule in firewall.node_egress(plan, plan.node("edge-1"), values) if "media" in rule.purposes]
    assert own.ports == "1024-65535"


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_real_catalogue_opens_no_more_than_it_must(cloud: str, tier: str) -> None:
    plan = make_plan(settings(cloud=cloud, tier=tier, operators=[OFFICE], carriers=[TRUNK]), f"{cloud}-{tier}")
    world = {(one.service, one.protocol, one.ports) for one in plan.openings if "0.0.0.0/0" in one.sources}
    assert world == {("nginx", "tcp", "80"), ("nginx", "tcp", "443"), ("rtpengine", "udp", "10000-19999")}
    for one in plan.openings:
        listener = CATALOGUE[one.service].listener(one.listener)
        assert listener.bind is not Bind.LOOPBACK
        assert Audience(one.audience) in listener.audiences
        if not listener.authenticated:
            assert all(source.startswith("role:") for source in one.sources), one
        if one.audience == Audience.OPERATORS:
            # Hosts that are given are each reached by an address of their own.
            public = {node.role for node in plan.nodes if node.public is Public.SERVICE or plan.facts.given}
            assert (OFFICE in one.sources) == (one.role in public)
            assert one.role in public or one.sources == tuple(f"role:{role}" for role in TIER_PUBLIC[tier])


@pytest.mark.parametrize("tier", TIERS)
def test_rules_of_the_nodes_and_of_their_role_agree(tier: str) -> None:
    values = settings(tier=tier, operators=[OFFICE], carriers=[TRUNK], counts={"data": 3} if tier == "basic" else {})
    plan = make_plan(values, f"aws-{tier}")
    roles = {node.key: node.role for node in plan.nodes}
    from_nodes = {
        (node.role, rule.service, rule.listener, rule.audience, source)
        for node in plan.nodes
        for rule in firewall.node_openings(plan, node, values)
        for source in (*rule.networks, *(f"role:{roles[key]}" for key in rule.nodes))
    }
    assert from_nodes == {
        (one.role, one.service, one.listener, one.audience, source) for one in plan.openings for source in one.sources
    }


@pytest.mark.parametrize(
    ("network", "host"), [("bridged", "10.77.1.1/32"), ("nat", "198.18.1.1/32"), ("late_network", "198.18.1.1/32")]
)
def test_a_container_host_logs_in_from_the_side_on_which_the_node_is_reached(network: str, host: str) -> None:
    values = Settings.model_validate({"cloud": "local", "tier": "basic", "local_network": network})
    plan = make_plan(values, "local-basic")
    (rule,) = [rule for rule in firewall.node_openings(plan, plan.node("edge-1"), values) if rule.service == "ssh"]
    assert rule.networks == (host,)


@pytest.mark.parametrize(("target", "network"), [("10.0.0.7:6514", "10.0.0.7/32"), ("logs.example.com:6514", "0.0.0.0/0")])
def test_every_role_may_reach_the_log_server(target: str, network: str) -> None:
    more = set(firewall.derive_egress(fakes.NODES, settings(log_target=target), CLOUDS["hetzner"], fakes.CATALOGUE))
    added = more - set(firewall.derive_egress(fakes.NODES, settings(), CLOUDS["hetzner"], fakes.CATALOGUE))
    assert {(one.protocol, one.ports, one.destinations) for one in added} == {("tcp", "6514", (network,))}
    assert {one.role for one in added} == {node.role for node in fakes.NODES}
