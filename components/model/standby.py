"""A second node for SIP and audio: it stands by, cold, and takes calls over with the address that both have in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from components.model.catalogue.service import Service
from components.model.catalogue.standby import ADDRESS, take_turns
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.clouds.facts import PublicAddress
from components.model.given_hosts import read_address
from components.model.planning.addresses import (
    MAX_NODES_PER_ROLE,
    NEAR_NODES,
    address_offset,
    gateway_of,
    resolve_public_network,
    subnet_of,
)
from components.model.planning.check_shape import count_nodes
from components.model.planning.draft import Draft
from components.model.planning.existing import find_subnets, place_in
from components.model.planning.hosts import list_hosts
from components.model.problems import Problem, set_secret, setting_problem
from components.model.settings import ExistingSubnet, Settings

PAIR = 2
FIRST_FREE = 4
"""AWS keeps the first four addresses of a subnet (facts/clouds.md 1.1), Google the first two and the last two."""
LAST_FREE = 2
EXAMPLE_PLACE = 20
"""Of an address that is likely to be free, in its network."""


def find_role(tier: Tier) -> Role | None:
    """Return the role that speaks SIP to the outside."""
    return next((role for role in tier.roles if ADDRESS in role.services), None)


def count(settings: Settings) -> int:
    """Return how many nodes are for SIP."""
    tier = TIERS[settings.tier]
    role = find_role(tier)
    return count_nodes(tier, settings)[role.name] if role else 0


def is_pair(settings: Settings) -> bool:
    """Tell whether two nodes take turns for SIP."""
    return count(settings) == PAIR


def has_address(settings: Settings) -> bool:
    """Tell whether SIP has an address beside those of its nodes, be it one node."""
    return is_pair(settings) or (settings.sip_address is not None and count(settings) == 1)


def add_standby(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue as nodes have it that take turns for SIP: what speaks it moves by one lock, and calls are copied."""
    return take_turns(catalogue, alone=not is_pair(settings)) if has_address(settings) else catalogue


def check_standby(draft: Draft) -> Iterator[Problem]:
    """Find a second node for SIP, or an address for it, where that cannot move, and an address that is none."""
    settings = draft.settings
    if not has_address(settings):
        return
    role = find_role(draft.tier)
    assert role
    if why := explain_immovable(draft):
        if is_pair(settings):
            yield setting_problem(f"counts.{role.name}", PAIR, f"{why}; use 1")
        if settings.sip_address:
            yield setting_problem("sip_address", settings.sip_address, f"{why}; remove the setting")
        return
    yield from check_token(draft, role)
    yield from check_outside(draft, role)
    yield from check_one_subnet(draft, role)
    if draft.is_given and not list_given(draft, role):
        return
    if settings.sip_address:
        if why := explain_taken(draft, role, settings.sip_address):
            yield setting_problem(
                "sip_address", settings.sip_address, f"{why}; use a free one, such as {find_example(draft, role)}"
            )
    elif draft.facts.given:
        yield setting_problem(
            "sip_address",
            "",
            f"needed with two nodes of role {role.name}; use a free address of their network, such as "
            f"{find_example(draft, role)}",
        )


def check_token(draft: Draft, role: Role) -> Iterator[Problem]:
    """Find that nodes would need a right of which nobody has said that they may have it."""
    facts, settings = draft.facts, draft.settings
    if not facts.address_token or settings.address_token:
        return
    why = (
        f"nodes move the address with a token of yours, and on {facts.title} whoever takes over one of them could "
        f"{facts.address_token}; accept that with a token of a project that has nothing else in it: {set_secret('address_token')}"
    )
    if is_pair(settings):
        yield setting_problem(f"counts.{role.name}", PAIR, f"{why}; or use 1")
    else:
        yield setting_problem("sip_address", settings.sip_address or "", f"{why}; or remove the setting")


def warn_of_token(draft: Draft) -> Iterator[str]:
    """Say what nodes could do with the token that they have."""
    facts, role = draft.facts, find_role(draft.tier)
    if facts.address_token and draft.settings.address_token and role and has_address(draft.settings):
        yield f"webitel:address_token: whoever takes over a node of role {role.name} could {facts.address_token}"


def explain_immovable(draft: Draft) -> str:
    """Say why an address cannot move between nodes for SIP; "" = it can."""
    facts = draft.facts
    where = ""
    if len(draft.tier.roles) == 1:
        where = f"tier {draft.tier.name}"
    elif not facts.address_moves:
        where = f"{facts.title} with its network" if facts.trial else facts.title
    if where and facts.address_stays:
        return f"a second node cannot take calls over on {facts.title}: {facts.address_stays}"
    if where:
        return (
            f"a second node that takes calls over is not built for {where} yet, only for AWS, Google Cloud, Hetzner, given "
            "hosts, hypervisors and webitel:cloud = local with webitel:local_network = bridged or nat, with webitel:tier = basic "
            "or extended"
        )
    if facts.forwards_public and draft.is_given:
        return (
            f"nothing says yet that {facts.title} forwards an address of a network of another project's, which "
            "webitel:existing_network may be; leave that out"
        )
    if facts.public_address is PublicAddress.OWN and not facts.moved_by_cloud:
        return (
            "only one address moves, and these hosts have a public one beside the private one; give each one address, or have a "
            "router translate (translated: true)"
        )
    return ""


def check_outside(draft: Draft, role: Role) -> Iterator[Problem]:
    """Find nodes that a router would have to reach by several public addresses, where only one address moves."""
    told = list_outside(draft, role)
    if draft.facts.public_address is PublicAddress.TRANSLATED and len(set(told)) > 1:
        yield setting_problem(
            "hosts" if draft.facts.given else "site.public_addresses",
            ", ".join(told),
            "two nodes take turns, and your router translates one public address to webitel:sip_address; use the same for both",
        )


def check_one_subnet(draft: Draft, role: Role) -> Iterator[Problem]:
    """Find nodes in different zones where the address moves within one subnet."""
    if not draft.facts.moved_by_cloud or not draft.facts.has_zone_subnets:
        return
    first, *others = (draft.zone_of(role.name, n) for n in range(1, draft.counts[role.name] + 1))
    for n, zone in enumerate(others, PAIR):
        if zone != first:
            yield setting_problem(
                f"node_zones.{role.name}-{n}",
                zone,
                f"{role.name}-1 is in zone {first}, and on {draft.facts.title} the address that both have in turn moves within "
                f"one subnet, so within one zone; use webitel:node_zones such as {role.name}-{n}: {first}",
            )


def list_outside(draft: Draft, role: Role) -> list[str]:
    """List by which address outside a router reaches each node of a role, as far as that is said."""
    settings, numbers = draft.settings, range(1, draft.counts[role.name] + 1)
    if draft.facts.given:
        return [host.public for host in list_hosts(settings, role.name)[: len(numbers)]]
    given = (settings.site.public_addresses.get(f"{role.name}-{n}") for n in numbers)
    return [str(address) for address in given if address]


def explain_taken(draft: Draft, role: Role, address: IPv4Address) -> str:
    """Say why an address is no free one of the nodes' network; "" = nothing speaks against it."""
    network = find_network(draft, role)
    if address not in network:
        return f"not in the nodes' network {network}"
    if draft.facts.moved_by_cloud and int(address) - int(network.network_address) < FIRST_FREE:
        return f"{draft.facts.title} keeps it for itself"
    if draft.facts.forwards_public and int(network.broadcast_address) - int(address) < LAST_FREE:
        return f"{draft.facts.title} keeps it for itself"
    if network.prefixlen < 31 and address in (network.network_address, network.broadcast_address):
        return "no address for a node"
    for host in draft.settings.hosts if draft.facts.given else ():
        if address in (read_address(host.private), read_address(host.public), read_address(host.host)):
            same = [other for other in draft.settings.hosts if other.role == host.role]
            return f"it is the address of {host.role}-{same.index(host) + 1}"
    return "" if draft.facts.given else explain_place(draft, role, address)


def explain_place(draft: Draft, role: Role, address: IPv4Address) -> str:
    """Say why an address of a network in which nodes get theirs from us is not free; "" = it is."""
    site, first = draft.settings.site, draft.facts.first_host
    if address == (site.gateway or gateway_of(draft.network)):
        return "it is the router's"
    if address in (*site.name_servers, *site.public_addresses.values()):
        return "it stands in webitel:site"
    if str(address) == choose_place(draft, role):
        return ""
    for index, other in enumerate(draft.tier.roles):
        if draft.is_given:
            taken = {place_in(find_given(draft, role), draft.facts, index, n) for n in range(1, MAX_NODES_PER_ROLE + 1)}
        else:
            start = find_network(draft, role).network_address
            taken = {start + address_offset(first, index, n) for n in range(1, MAX_NODES_PER_ROLE + 1)}
        if address in taken:
            return f"a node of role {other.name} would get it"
    return ""


def find_example(draft: Draft, role: Role) -> IPv4Address:
    """Return an address that could be set."""
    network = find_network(draft, role)
    places = (
        network.network_address + place for place in range(min(EXAMPLE_PLACE, network.num_addresses - 1), network.num_addresses)
    )
    return next((one for one in places if not explain_taken(draft, role, one)), network.network_address)


def choose_address(draft: Draft) -> str:
    """Return the address that nodes for SIP have in turn: the one set, else the last of their role's near places; "" where one
    node has its own."""
    role = find_role(draft.tier)
    if role is None or not has_address(draft.settings):
        return ""
    return str(draft.settings.sip_address or choose_place(draft, role))


def choose_place(draft: Draft, role: Role) -> str:
    """Return the last of a role's near places."""
    index = draft.tier.roles.index(role)
    if draft.is_given:
        return str(place_in(find_given(draft, role), draft.facts, index, NEAR_NODES))
    return str(find_subnet(draft, role).network_address + address_offset(draft.facts.first_host, index, NEAR_NODES))


def find_subnet(draft: Draft, role: Role) -> IPv4Network:
    """Return the part of a network of our own in which a role's first node stands."""
    return subnet_of(draft.network, draft.facts, draft.public_of(role.name), draft.slot_of(draft.zone_of(role.name, 1)))


def list_given(draft: Draft, role: Role) -> list[str]:
    """List the company's subnets in which it may stand: one, in a plan without problems."""
    given = draft.settings.existing_network
    return find_subnets(given, draft.facts, draft.public_of(role.name), draft.zone_of(role.name, 1))


def find_given(draft: Draft, role: Role) -> ExistingSubnet:
    """Return the first of them."""
    return draft.settings.existing_network.subnets[list_given(draft, role)[0]]


def find_network(draft: Draft, role: Role) -> IPv4Network:
    """Return the network in which the address has to be."""
    if not draft.facts.moved_by_cloud:
        return draft.network
    return find_given(draft, role).range if draft.is_given else find_subnet(draft, role)


def choose_outside(draft: Draft) -> str:
    """Return the address by which that one is reached from outside: itself, unless a router translates; "" where the cloud
    chooses it."""
    role, address = find_role(draft.tier), choose_address(draft)
    if address and draft.facts.moved_by_cloud:
        return ""
    if role is None or not address or draft.facts.public_address is not PublicAddress.TRANSLATED:
        return address
    if draft.facts.trial:
        index = draft.tier.roles.index(role)
        return str(resolve_public_network(draft.settings)[address_offset(draft.facts.first_host, index, NEAR_NODES)])
    return next(iter(list_outside(draft, role)), address)
