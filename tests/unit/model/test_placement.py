"""Which services stand where, and the order they start in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from components.model.catalogue.repositories import VENDOR
from components.model.catalogue.service import Bind, Front, Listener, Placement, Service, tcp, udp
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.machine import Public, Size
from components.model.planning import placement
from tests.unit.model import fakes

SIZE = Size(2, 4, 10, 0, "test")
TIER = Tier(
    "test",
    "Test",
    1,
    (
        Role("data", ("keeper", "database"), 1, SIZE, SIZE),
        Role("app", ("worker",), 1, SIZE, SIZE),
        Role("edge", ("web",), 1, SIZE, SIZE, Public.SERVICE),
    ),
)


def test_services_of_every_node_first_node_and_beside_callers() -> None:
    placed = placement.place_services(TIER, {"data": 2, "app": 1, "edge": 1}, fakes.CATALOGUE)
    assert placed == {
        ("data", 1): ("time", "ssh", "mesh", "database", "proxy", "keeper"),  # the proxy for the keeper
        ("data", 2): ("time", "ssh", "mesh", "database"),  # calls itself only: no proxy, and no second keeper
        ("app", 1): ("time", "ssh", "mesh", "proxy", "worker"),
        ("edge", 1): ("time", "ssh", "mesh", "web"),
    }


def services(**calls: tuple[str, ...]) -> dict[str, Service]:
    return {name: Service(name, name, calls=called) for name, called in calls.items()}


@pytest.mark.parametrize(
    ("calls", "order"),
    [
        ({"a": ("b",), "b": ("c",), "c": ()}, "cba"),
        ({"a": (), "b": (), "c": ()}, "abc"),
        ({"a": ("c.port",), "b": (), "c": ()}, "bca"),
        ({"a": ("b",), "b": ("a",), "c": ()}, "abc"),
        ({"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",), "e": ()}, "abcde"),  # a circle, then what calls it
        ({"a": ("b",), "b": ("a", "c"), "c": ()}, "cab"),  # all of a circle waits for what one of it calls
        ({"a": ("a",), "b": ()}, "ab"),
    ],
)
def test_start_order(calls: dict[str, tuple[str, ...]], order: str) -> None:
    found = placement.start_order(calls, services(**calls))
    assert "".join(found) == order


def test_the_order_does_not_depend_on_how_services_are_given() -> None:
    names = TIERS["single"].role("all").services
    assert placement.start_order(names) == placement.start_order(reversed(names)) == placement.start_order(set(names))


def test_callers_start_behind_the_proxy_to_what_they_call() -> None:
    order = placement.start_order(("worker", "proxy", "database"), fakes.CATALOGUE)
    assert order == ("database", "proxy", "worker")


def test_the_real_services_start_behind_what_they_need() -> None:
    order = placement.place_services(TIERS["single"], {"all": 1})["all", 1]
    assert set(order) == set(CATALOGUE) - BETWEEN_SEVERAL
    for before, after in (
        ("consul", "postgresql"),
        ("postgresql", "haproxy"),
        ("rabbitmq", "haproxy"),
        ("haproxy", "engine"),
        ("rtpengine", "opensips"),
        ("webitel-api", "nginx"),
    ):
        assert order.index(before) < order.index(after), (before, after)


@pytest.mark.parametrize(
    ("tier", "raised", "servers"),
    [
        ("single", {}, "all-1"),
        ("basic", {}, "data-1"),
        ("basic", {"app": 5}, "data-1"),
        ("basic", {"data": 3}, "data-1 data-2 data-3"),
        ("extended", {}, "db-1 bus-1 storage-1"),
        ("extended", {"db": 3}, "db-1 bus-1 storage-1"),
        ("extended", {"db": 5, "bus": 3}, "db-1 bus-1 storage-1"),
    ],
)
def test_consul_servers(tier: str, raised: dict[str, int], servers: str) -> None:
    counts = {role.name: role.count for role in TIERS[tier].roles} | raised
    chosen = placement.choose_quorum(TIERS[tier], counts)
    assert " ".join(f"{role}-{n}" for role, n in chosen) == servers
    placed = placement.place_services(TIERS[tier], counts)
    assert {node for node, names in placed.items() if "consul-server" in names} == set(chosen)


@pytest.mark.parametrize(("counts", "servers"), [((1, 1), "a-1"), ((1, 2), "a-1 b-1 b-2"), ((3, 1), "a-1 b-1 a-2")])
def test_consul_servers_where_roles_have_different_counts(counts: tuple[int, int], servers: str) -> None:
    tier = Tier("test", "Test", 1, tuple(Role(name, ("consul-server",), 1, SIZE, SIZE) for name in "ab"))
    chosen = placement.choose_quorum(tier, dict(zip("ab", counts, strict=True)))
    assert " ".join(f"{role}-{n}" for role, n in chosen) == servers


@pytest.mark.parametrize(
    ("first", "second", "clashes"),
    [
        (tcp("x", 80), tcp("y", 80), True),
        (tcp("x", 80), udp("y", 80), False),
        (tcp("x", 80), tcp("y", 81), False),
        (tcp("x", 80), tcp("y", 80, bind=Bind.LOOPBACK), False),
        (tcp("x", 80, bind=Bind.LOOPBACK), tcp("y", 80, bind=Bind.ANY), True),
        (tcp("x", 80), tcp("y", 80, bind=Bind.ANY), True),
        (udp("x", 10000, last=19999), udp("y", 19999, last=20001), True),
        (udp("x", 10000, last=19999), udp("y", 20000, last=20001), False),
    ],
)
def test_listeners_on_one_address_and_port(first: Listener, second: Listener, clashes: bool) -> None:
    catalogue = {"a": Service("a", "a", listeners=(first,)), "b": Service("b", "b", listeners=(second,))}
    found = placement.find_clashes(("a", "b"), catalogue)
    assert bool(found) == clashes
    assert not found or ("a.x" in found[0] and "b.y" in found[0])


def test_calls_of_what_there_is_not() -> None:
    catalogue = {"a": Service("a", "a", calls=("nobody", "a.x", "a.y"), listeners=(tcp("x", 80),))}
    assert placement.find_unknown_calls(catalogue) == [
        "a calls nobody, and there is no service nobody",
        "a calls a.y, and the listeners of a are x",
    ]
    silent = {"a": Service("a", "a", calls=("a.x",))}
    assert placement.find_unknown_calls(silent) == ["a calls a.x, and the listeners of a are none"]
    assert placement.find_unknown_calls(CATALOGUE) == []


def test_a_proxy_stands_only_beside_callers_of_another_service() -> None:
    proxy = fakes.CATALOGUE["proxy"]
    assert placement.is_beside(proxy, fakes.CATALOGUE["worker"])
    assert not placement.is_beside(proxy, fakes.CATALOGUE["database"])
    assert not placement.is_beside(proxy, fakes.CATALOGUE["web"])
    assert placement.is_beside(proxy, replace(fakes.CATALOGUE["web"], calls=("database.sql",)))


BETWEEN_SEVERAL = {"locks", "mesh", "sip-address"}
"""Services that no tier has as it is: they come with a raised count or a setting."""


@pytest.mark.parametrize(
    ("tier", "role", "count", "moving"),
    [
        ("basic", "app", 2, {"logger", "messages-bot"}),
        ("extended", "web", 3, {"logger", "messages-bot"}),
        ("basic", "data", 3, {"grafana"}),
        ("extended", "db", 3, {"grafana"}),
        ("extended", "media", 3, set()),
    ],
)
def test_what_may_move_is_ready_on_every_node_of_its_role(tier: str, role: str, count: int, moving: set[str]) -> None:
    placed = placement.place_services(TIERS[tier], {one.name: one.count for one in TIERS[tier].roles} | {role: count})
    firsts = {name for name, service in CATALOGUE.items() if service.placement is Placement.FIRST}
    for (name, n), services in placed.items():
        assert n == 1 or not firsts.intersection(services) - moving
        assert ("locks" in services) is (name == role and bool(moving))
        if name == role and moving:
            assert moving <= set(services) and "haproxy" in services
            assert services.index("locks") < min(services.index(one) for one in moving)


def test_without_a_share_storage_stays_where_its_files_are() -> None:
    assert not CATALOGUE["storage"].moves
    placed = placement.place_services(TIERS["basic"], {"data": 3, "app": 1, "edge": 1})
    assert [n for (role, n), services in placed.items() if "storage" in services] == [1]


@pytest.mark.parametrize("tier", TIERS)
def test_every_service_stands_somewhere(tier: str) -> None:
    counts = {role.name: role.count for role in TIERS[tier].roles}
    placed = placement.place_services(TIERS[tier], counts)
    assert {name for names in placed.values() for name in names} == set(CATALOGUE) - BETWEEN_SEVERAL
    for name, service in CATALOGUE.items():
        assert bool(service.beside) == (service.placement is Placement.BESIDE_CALLERS)
        if service.placement is Placement.FIRST:
            assert {n for (_, n), names in placed.items() if name in names} == {1}


def test_repositories_of_services_are_the_ones_there_are() -> None:
    used = {name for service in CATALOGUE.values() for name in service.repositories}
    assert used == {repository.name for repository in VENDOR}
    assert all(service.packages for service in CATALOGUE.values() if service.repositories)


@pytest.mark.parametrize("front", list(Front))
def test_each_front_has_one_service_and_its_name_leads_to_it(front: Front) -> None:
    assert [service.name for service in CATALOGUE.values() if service.front is front] == [find_front(front).name]
