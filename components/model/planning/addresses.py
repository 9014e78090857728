"""The deployment's network and the address of every node, which no other node's count moves."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts, PublicAddress
from components.model.given_hosts import read_address
from components.model.machine import Public
from components.model.settings import Settings

NEAR_NODES = 10
"""Nodes of a role with an address in the first 256 of the network; the next ones stand in the role's own 256."""

MAX_NODES_PER_ROLE = 250
"""Nodes of a role that have an address."""

MAX_NODES = 100
"""Nodes of a deployment: as many as were tried, and as a network of Hetzner's takes."""

MERGE_FROM = 50
"""Networks of a setting from which on those that adjoin or contain each other are one to a firewall: before, every rule is as
it was written."""

RESERVED_LAST_ADDRESSES = 2
"""Addresses at the end of a subnet that a cloud may keep (Google: the last two, `facts/clouds.md` 2.1)."""


def resolve_network(settings: Settings, facts: CloudFacts) -> IPv4Network:
    """Return the network set or given, else the cloud's default; where all stacks share one host, each tier has its own."""
    if settings.network is not None:
        return settings.network
    if given := [subnet.range for subnet in settings.existing_network.subnets.values()]:
        return find_cover(given)
    if hosts := [address for host in settings.hosts if (address := read_address(host.private))]:
        return find_cover([IPv4Network((address, HOSTS_PREFIX), strict=False) for address in hosts])
    default = IPv4Network(facts.default_network)
    if not facts.trial:
        return default
    first = default.network_address + default.num_addresses * list(TIERS).index(settings.tier)
    return IPv4Network((first, default.prefixlen))


HOSTS_PREFIX = 24
"""The network that hosts of one address are taken to share, where nobody says which."""


def find_cover(networks: Sequence[IPv4Network]) -> IPv4Network:
    """Return the smallest network with all of these in it: what is shown where there are several."""
    cover = networks[0]
    while not all(network.subnet_of(cover) for network in networks):
        cover = cover.supernet()
    return cover


PUBLIC_NETWORK = IPv4Network("198.18.0.0/24")
"""The first of 512 in the range for tests (RFC 2544), which no internet has."""


def resolve_public_network(settings: Settings) -> IPv4Network:
    """Return what stands for the internet on a container host: the network set, else one for each tier."""
    if settings.public_network is not None:
        return settings.public_network
    first = PUBLIC_NETWORK.network_address + PUBLIC_NETWORK.num_addresses * list(TIERS).index(settings.tier)
    return IPv4Network((first, PUBLIC_NETWORK.prefixlen))


def host_address(settings: Settings, facts: CloudFacts) -> IPv4Address:
    """Return from where a container host itself reaches nodes that have a way in."""
    shared = facts.public_address is PublicAddress.PRIVATE
    return gateway_of(resolve_network(settings, facts) if shared else resolve_public_network(settings))


def gateway_of(network: IPv4Network) -> IPv4Address:
    """Return the first address: the bridge of the host, the router of the clouds."""
    return network.network_address + 1


def address_offset(first_host: int, role_index: int, n: int) -> int:
    """Return how far from the network's address the n-th node (from 1) of the tier's role (from 0) stands."""
    return first_host + NEAR_NODES * role_index + n - 1 if n <= NEAR_NODES else 256 * (role_index + 1) + n


ZONE_SUBNETS = 8
"""Into how many subnets a half of the network is divided where every zone has its own: more than any region has zones."""

ZONE_SUBNETS_PREFIX = 17
"""The smallest network that is divided so: an eighth of its half still has room for every node that a role may have."""


def subnet_of(network: IPv4Network, facts: CloudFacts, public: Public, slot: int | None = None) -> IPv4Network:
    """Return the part of the network in which a node stands: half of it where a subnet has one way out, else all; with a
    slot, the part of that half that its zone has."""
    if not facts.way_out_by_subnet:
        return network
    lower, upper = network.subnets()
    half = upper if public is Public.SERVICE else lower
    return half if slot is None else list(half.subnets(ZONE_SUBNETS.bit_length() - 1))[slot]


def is_inside(network: IPv4Network, facts: CloudFacts, offset: int) -> bool:
    """Return whether a node may have the address at that offset of its subnet."""
    return offset < network.num_addresses // count_subnets(facts) - RESERVED_LAST_ADDRESSES


def smallest_prefix(facts: CloudFacts, offset: int) -> int:
    """Return the prefix length of the smallest network whose subnets have room for that offset."""
    return 33 - (offset + RESERVED_LAST_ADDRESSES).bit_length() - count_subnets(facts)


def count_subnets(facts: CloudFacts) -> int:
    """Return into how many equal subnets a network is divided."""
    return 2 if facts.way_out_by_subnet else 1


PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""RFC 1918. `IPv4Network.is_private` would also take documentation networks."""


def is_private(network: IPv4Network) -> bool:
    """Return whether a network lies in the private ranges."""
    return any(network.subnet_of(private) for private in PRIVATE)


def merge_networks(networks: Sequence[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Return networks as firewalls have them: exactly the same addresses, in as few networks as can be once they are many."""
    return tuple(networks) if len(networks) < MERGE_FROM else tuple(collapse_addresses(networks))


def networks_given(settings: Settings, name: str) -> tuple[IPv4Network, ...]:
    """Return the networks of the setting `operators`, `carriers` or `phones`; none where phones say `internet`."""
    given: tuple[IPv4Network, ...] | str = getattr(settings, name)
    return () if isinstance(given, str) else given
