"""Addresses as the clouds have them: private ones known late or on a network that comes after the boot, calls through both."""

import os
from ipaddress import IPv4Address

import pytest

from tests.local.conftest import Figure
from tests.local.telephony import Telephony, check_calls
from tests.long_form import LONG
from tools.incus.network import read_routes

pytestmark = pytest.mark.nodes

TIER = "basic" if LONG else "single"
"""The long form is `WEBITEL_TEST_LONG=1 ./webitel test nodes`. Translated addresses: test_calls.py."""


@pytest.mark.parametrize("network", ["late_address", "late_network"])
def test_calls_with_addresses_that_come_late(
    network: str,
    tmp_path_factory: pytest.TempPathFactory,
    figure: Figure,
) -> None:
    name = f"t{os.getpid()}-{network.replace('_', '-')}"
    deployment = Telephony(tmp_path_factory.mktemp(network), name, {"tier": TIER, "local_network": network})
    try:
        figure(f"up with webitel:local_network = {network}", deployment.bring_up())
        edge, *_ = deployment.with_service("opensips")
        shown = edge.on_node("ip -4 -br address").splitlines()
        addresses = {line.split()[0].partition("@")[0]: line.split()[2].partition("/")[0] for line in shown}
        assert addresses["eth0"] == deployment.server
        assert addresses["eth1"] == deployment.private_address(edge.key)
        assert IPv4Address(addresses["eth1"]) in deployment.network
        planned = {node["private_address"] for node in deployment.plan()["nodes"]}
        assert planned == {None} if network == "late_address" else addresses["eth1"] in planned
        # No way in from outside: this host, the router, has none. What else answers for such an address is not ours to say.
        assert not [route for route in read_routes() if route.network.overlaps(deployment.network)]
        assert deployment.outside.reaches(deployment.server, 443)
        check_calls(deployment)
        assert "Nothing to change." in deployment.up().output
    finally:
        deployment.end()
