"""The networks of local deployments without an Incus: which are free, what is refused, how a bridge is described."""

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from provider.handler import Request
from provider.incus import LocalNetwork
from tools.incus import network

REQUEST = Request("urn:pulumi:test::webitel::webitel:index:LocalMachine::one")
LABELS = {"stack": "test"}
ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0
webitel0 00004D0A 00000000 0001 0 0 0 00FFFFFF 0 0 0
eth0 000200C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
"""


@pytest.fixture
def routes(tmp_path: Path) -> list[network.Route]:
    table = tmp_path / "route"
    table.write_text(ROUTES)
    return network.read_routes(table)


def test_routes_are_read(routes: list[network.Route]) -> None:
    assert routes == [(IPv4Network("10.77.0.0/24"), "webitel0"), (IPv4Network("192.0.2.0/24"), "eth0")]
    assert network.find_free_network(routes) == IPv4Network("10.77.1.0/24")
    assert network.find_free_network(routes, prefix=28) == IPv4Network("10.77.1.0/28")


@pytest.mark.parametrize(
    ("files", "servers"),
    [
        (["nameserver 192.0.2.53\nnameserver 2001:db8::1\nsearch example.com\n"], ["192.0.2.53"]),
        (["nameserver 127.0.0.53\n", "nameserver 198.51.100.1\n"], ["198.51.100.1"]),
        (["nameserver 127.0.0.1\nnameserver fe80::1%eth0\n"], []),
    ],
)
def test_name_servers_are_those_a_machine_can_reach(tmp_path: Path, files: list[str], servers: list[str]) -> None:
    paths = [tmp_path / str(number) for number in range(len(files))]
    for path, text in zip(paths, files, strict=True):
        path.write_text(text)
    assert network.read_resolvers([*paths, tmp_path / "missing"]) == servers


@pytest.mark.parametrize(
    ("name", "cidr", "reason"),
    [
        ("webitel1", "192.0.2.128/25", "this host already reaches 192.0.2.0/24 by eth0"),
        ("webitel1", "10.77.0.0/16", "this host already reaches 10.77.0.0/24 by webitel0"),
        ("webitel1", "10.78.0.0/30", "too small"),
        ("webitel1", "10.78.0.1/24", "has host bits set"),
        ("webitel1", "ten", "Expected 4 octets"),
    ],
)
def test_unfit_network_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, routes: list[network.Route], name: str, cidr: str, reason: str
) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": name, "cidr": cidr, "labels": LABELS}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs)[1]
    assert failure.property == "cidr"
    assert failure.reason.startswith(f"webitel:network = {cidr}: ")
    assert reason in failure.reason
    assert failure.reason.endswith("10.77.1.0/24")


def test_own_bridge_does_not_count_as_taken(monkeypatch: pytest.MonkeyPatch, routes: list[network.Route]) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": "webitel0", "cidr": "10.77.0.0/24", "labels": LABELS}
    assert LocalNetwork().check(REQUEST, inputs, inputs) == (inputs, [])
    assert LocalNetwork().preview_create(REQUEST, inputs) == {"name": "webitel0", "gateway": "10.77.0.1"}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs | {"name": "a-name-too-long-for-a-bridge"})[1][:1]
    assert "at most 15 characters" in failure.reason


def test_the_network_that_stands_for_the_internet_is_named_when_it_is_unfit(
    monkeypatch: pytest.MonkeyPatch,
    routes: list[network.Route],
) -> None:
    monkeypatch.setattr("provider.incus.read_routes", lambda: routes)
    inputs = {"name": "p-test", "cidr": "192.0.2.0/24", "labels": LABELS, "public": True, "nat": False}
    (failure,) = LocalNetwork().check(REQUEST, None, inputs)[1]
    assert failure.reason.startswith("webitel:public_network = 192.0.2.0/24: ")
    assert failure.reason.endswith("198.18.0.0/24")


def test_a_closed_bridge_has_no_address_of_the_hosts_and_its_machines_still_know_the_prefix() -> None:
    gateway = network.find_gateway(IPv4Network("10.98.0.0/20"))
    closed, open_ = (network.describe_bridge(gateway, nat=False, routed=routed) for routed in (False, True))
    assert closed["ipv4.address"] == "none" and open_["ipv4.address"] == "10.98.0.1/20"
    # Incus' own way refuses what machines send to each other wherever br_netfilter works.
    assert "ipv4.routing" not in closed
    assert network.read_gateway(closed) == network.read_gateway(open_) == "10.98.0.1/20"
    assert network.read_gateway({"ipv4.address": "10.1.0.1/24"}) == "10.1.0.1/24", "a bridge of before"
