"""A network of the bare machine's own, with a way out through this host: what it brings up is not this host's."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

from components.clouds.registry import CLOUDS
from tools.incus.network import Route, find_free_network, read_routes

NAME = "webitel-bare"
"""Of the name space and of the table of nftables."""
LINK = "webitel-bare"
FORWARDING = "net.ipv4.ip_forward"
RULES = """
table ip {name} {{
    chain post {{
        type nat hook postrouting priority srcnat;
        ip saddr {network} oifname != "{link}" masquerade
    }}
}}
"""


def choose_network(routes: Iterable[Route]) -> IPv4Network:
    """Choose a network for the link that this host does not reach, and that the machine itself does not want for its nodes."""
    wanted = Route(IPv4Network(CLOUDS["local"].default_network), "the machine's nodes")
    return find_free_network([*routes, wanted], prefix=30)


@contextmanager
def own_network() -> Iterator[str]:
    """A name space of the network, joined by `nsenter --net=PATH`; gives the path."""
    network = choose_network(read_routes())
    _remove()
    forwarded = _run("sysctl", "-n", FORWARDING).strip()
    try:
        _make(network)
        yield f"/run/netns/{NAME}"
    finally:
        _remove()
        _run("sysctl", "-qw", f"{FORWARDING}={forwarded}")


def _make(network: IPv4Network) -> None:
    here, there = network.hosts()
    _run("ip", "netns", "add", NAME)
    _run("ip", "link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAME)
    _run("ip", "address", "add", f"{here}/{network.prefixlen}", "dev", LINK)
    _run("ip", "link", "set", LINK, "up")
    _run("ip", "-n", NAME, "address", "add", f"{there}/{network.prefixlen}", "dev", "eth0")
    for link in ("lo", "eth0"):
        _run("ip", "-n", NAME, "link", "set", link, "up")
    _run("ip", "-n", NAME, "route", "add", "default", "via", str(here))
    _run("nft", "-f", "-", given=RULES.format(name=NAME, network=network, link=LINK))
    _run("sysctl", "-qw", f"{FORWARDING}=1")


def _remove() -> None:
    for command in (("nft", "delete", "table", "ip", NAME), ("ip", "link", "delete", LINK), ("ip", "netns", "delete", NAME)):
        subprocess.run(command, capture_output=True, check=False)  # what an interrupted run left, if anything


def _run(*command: str, given: str = "") -> str:
    return subprocess.run(command, check=True, input=given, capture_output=True, text=True).stdout
