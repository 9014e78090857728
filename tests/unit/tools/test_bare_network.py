"""The bare machine of the first run is joined by a network that leaves it its own."""

from ipaddress import IPv4Network

from components.clouds.registry import CLOUDS
from tests.first_run.own_network import choose_network
from tools.incus.network import Route, find_network_problem


def test_the_default_deployment_finds_its_network_free_behind_the_link() -> None:
    link = choose_network([Route(IPv4Network("192.0.2.0/24"), "eth0")])
    wanted = CLOUDS["local"].default_network
    assert find_network_problem("w-single", wanted, [Route(link, "eth0")]) is None
