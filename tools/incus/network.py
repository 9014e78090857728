"""Networks and name servers of this host, and what Incus and cloud-init are told about those of local machines."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address
from pathlib import Path
from typing import Any, NamedTuple

# The second is that of systemd-resolved behind its stub on the loopback.
_RESOLVER_FILES = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))

GATEWAY_KEY = "user.webitel.gateway"
_SMALLEST_NETWORK = 28  # prefix length; 13 nodes


class Route(NamedTuple):
    """A network that this host reaches by an interface."""

    network: IPv4Network
    interface: str


def read_routes(table: Path = Path("/proc/net/route")) -> list[Route]:
    """Return the IPv4 routes of the main table but the default ones."""
    routes = []
    for line in table.read_text().splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask, *_ = line.split()
        if int(mask, 16):
            network = IPv4Network(f"{_read_address(destination)}/{_read_address(mask)}")
            routes.append(Route(network, interface))
    return routes


def _read_address(text: str) -> IPv4Address:
    return IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))


PRIVATE_BLOCKS = ("10.77.0.0/16", "10.0.0.0/8", "172.16.0.0/12")

TEST_BLOCKS = ("198.18.0.0/15",)
"""RFC 2544: in no internet, so it can stand for one."""


def find_free_network(routes: Iterable[Route], prefix: int = 24, blocks: Iterable[str] = PRIVATE_BLOCKS) -> IPv4Network:
    """Return a network of that prefix length in one of the blocks that no route touches."""
    taken = [route.network for route in routes]
    for block in blocks:
        for network in IPv4Network(block).subnets(new_prefix=prefix):
            if not any(network.overlaps(other) for other in taken):
                return network
    raise ValueError(f"no network of {', '.join(blocks)} is free on this host")


def find_network_problem(
    bridge: str,
    cidr: str,
    routes: Iterable[Route],
    setting: str = "network",
    blocks: Iterable[str] = PRIVATE_BLOCKS,
) -> str | None:
    """Tells why a network cannot be that of a bridge of ours, and which one can; None when it can."""
    others = [route for route in routes if route.interface != bridge]
    free = find_free_network(others, blocks=blocks)
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        return f"webitel:{setting} = {cidr}: {error}; use a network such as {free}"
    if network.prefixlen > _SMALLEST_NETWORK:
        return f"webitel:{setting} = {cidr}: too small, at least /{_SMALLEST_NETWORK}; use a network such as {free}"
    for route in others:
        if route.network.overlaps(network):
            return (
                f"webitel:{setting} = {cidr}: this host already reaches {route.network} by {route.interface}; "
                f"use a free network such as {free}"
            )
    return None


def read_resolvers(files: Iterable[Path] = _RESOLVER_FILES) -> list[str]:
    """Return the IPv4 name servers that a machine behind this host can ask too.

    Empty when there are none but on the loopback."""
    for file in files:
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        servers = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
        usable = [server for server in servers if "%" not in server and _is_reachable(server)]
        if usable:
            return usable
    return []


def _is_reachable(server: str) -> bool:
    address = ip_address(server)
    return address.version == 4 and not address.is_loopback


def find_gateway(network: IPv4Network) -> IPv4Interface:
    """Return the bridge's own address, the first one, with its prefix length."""
    return IPv4Interface(f"{network[1]}/{network.prefixlen}")


def describe_bridge(gateway: IPv4Interface, *, nat: bool = True, routed: bool = True) -> dict[str, str]:
    """Return the Incus configuration of a bridge; not `routed`: only its own machines reach it."""
    return {
        # Without an address this host has no way into it. Incus' own `ipv4.routing` refuses what is forwarded, and where
        # br_netfilter works (Docker wants it) that is also what machines of the bridge send to each other.
        "ipv4.address": str(gateway) if routed else "none",
        GATEWAY_KEY: str(gateway),
        "ipv4.nat": str(nat).lower(),
        # Addresses are static and the name servers mostly the host's own: no dnsmasq process, nothing on port 53.
        "ipv4.dhcp": "false",
        "dns.mode": "none" if read_resolvers() else "managed",
        "ipv6.address": "none",
    }


def read_gateway(config: Mapping[str, str]) -> str:
    """Return a bridge's address with its prefix length, as `describe_bridge` was told."""
    return config.get(GATEWAY_KEY) or config.get("ipv4.address", "")


def describe_interface(address: str, gateway: IPv4Interface, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a machine's network configuration for cloud-init (version 2): `eth0` with the way out, and further
    interfaces by name with only an address (with its prefix length), which may appear later."""
    interface = {
        "addresses": [f"{address}/{gateway.network.prefixlen}"],
        "routes": [{"to": "0.0.0.0/0", "via": str(gateway.ip)}],
        "nameservers": {"addresses": read_resolvers() or [str(gateway.ip)]},
    }
    others = {name: {"addresses": [other], "optional": True} for name, other in (more or {}).items()}
    return {"version": 2, "ethernets": {"eth0": interface, **others}}
