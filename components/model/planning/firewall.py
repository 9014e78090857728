"""What is open, derived from what each service says about itself. Nothing is open because someone listed it.

The unit is the rule of one node (`node_openings`): its own nftables use it as it is, the clouds' firewalls get the rules
of a role's nodes put together (`derive`). Traffic of a node to itself needs no rule; what goes out to the network of
the deployment is not listed either, since the openings at its end decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network

from components.model.catalogue.service import Audience, Bind, Listener, Ports, Service
from components.model.catalogue.services import CATALOGUE
from components.model.clouds.facts import CloudFacts
from components.model.machine import Public
from components.model.plan import ROLE_SOURCE, EgressRule, Node, Opening, Plan
from components.model.planning.addresses import host_address, is_private, merge_networks, networks_given
from components.model.planning.log_target import find_log_egress
from components.model.settings import Settings

ANYWHERE = "0.0.0.0/0"

ANY_PORT = str(Ports(1, 65535))
"""For clouds that want the ports named where a rule means all of them."""

Catalogue = Mapping[str, Service]


@dataclass(frozen=True)
class NodeRule:
    """What one node lets in: to a listener of one of its services, from `networks` and from the nodes of the keys."""

    service: str
    listener: str
    protocol: str
    ports: str
    audience: str
    networks: tuple[str, ...]
    nodes: tuple[str, ...]


def derive(
    nodes: Sequence[Node],
    settings: Settings,
    facts: CloudFacts,
    catalogue: Catalogue = CATALOGUE,
) -> tuple[Opening, ...]:
    """Return the openings of every role: roles as `nodes` has them, services and listeners as the catalogue has them."""
    found: dict[tuple[str, str, str, str], Opening] = {}
    roles = {node.key: node.role for node in nodes}
    callers = find_callers(nodes, catalogue)
    order, by_role = list(catalogue), list(dict.fromkeys(roles.values()))
    for node in nodes:
        for rule in _derive_node(node, nodes, settings, facts, catalogue, callers):
            sources = (*rule.networks, *(f"{ROLE_SOURCE}{role}" for role in dict.fromkeys(map(roles.__getitem__, rule.nodes))))
            known = found.get(key := (node.role, rule.service, rule.listener, rule.audience))
            if known and known.sources == sources:
                continue
            merged = tuple(dict.fromkeys((*known.sources, *sources))) if known else sources
            found[key] = Opening(node.role, rule.service, rule.listener, rule.protocol, rule.ports, rule.audience, merged)
    return tuple(sorted(found.values(), key=lambda one: (by_role.index(one.role), order.index(one.service))))


def node_openings(plan: Plan, node: Node, settings: Settings, catalogue: Catalogue = CATALOGUE) -> tuple[NodeRule, ...]:
    """Return the exact rules of one node of a plan, for its own nftables."""
    return _derive_node(node, plan.nodes, settings, plan.facts, catalogue, find_callers(plan.nodes, catalogue))


def derive_egress(
    nodes: Sequence[Node],
    settings: Settings,
    facts: CloudFacts,
    catalogue: Catalogue = CATALOGUE,
) -> tuple[EgressRule, ...]:
    """Return the ways out of every role to what is not of the deployment, as the cloud's firewall has them."""
    rules: list[EgressRule] = []
    for role in dict.fromkeys(node.role for node in nodes):
        services = {name for node in nodes if node.role == role for name in node.services}
        rules += _egress_of(role, (catalogue[name] for name in catalogue if name in services), settings, facts.tracks_all_but)
    return tuple(rules)


def node_egress(plan: Plan, node: Node, settings: Settings, catalogue: Catalogue = CATALOGUE) -> tuple[EgressRule, ...]:
    """Return the exact ways out of one node of a plan."""
    assert node in plan.nodes, f"{node.name} is no node of {plan.stack}"
    return tuple(_egress_of(node.role, (catalogue[name] for name in catalogue if name in node.services), settings))


def called_listeners(
    service: Service, catalogue: Catalogue = CATALOGUE, proxied: Collection[str] | None = None
) -> Iterator[tuple[str, Listener]]:
    """Return the listeners of other nodes that a service connects to itself.

    A service that has a proxy on every node of its callers (`BESIDE_CALLERS`) is called through that proxy: the bare
    name opens nothing for the caller, `service.listener` does. `proxied` are those of the catalogue, where they are known.
    """
    proxied = list_proxied(catalogue) if proxied is None else proxied
    for call in service.calls:
        name, _, wanted = call.partition(".")
        if not wanted and name in proxied and name not in (service.name, *service.beside):
            continue
        for listener in catalogue[name].listeners:
            if wanted in ("", listener.name) and Audience.CALLERS in listener.audiences:
                yield name, listener


def list_proxied(catalogue: Catalogue) -> set[str]:
    """List the services that have a proxy."""
    return {name for proxy in catalogue.values() for name in proxy.beside}


def find_callers(nodes: Sequence[Node], catalogue: Catalogue = CATALOGUE) -> dict[tuple[str, str], tuple[str, ...]]:
    """Find by service and listener the keys of all nodes with a service that calls it."""
    calling: dict[tuple[str, str], set[str]] = {}
    proxied = list_proxied(catalogue)
    for service in catalogue.values():
        for name, listener in called_listeners(service, catalogue, proxied):
            calling.setdefault((name, listener.name), set()).add(service.name)
    # Nodes of a role are mostly alike: each set of services is looked at once.
    alike: dict[tuple[str, ...], list[int]] = {}
    for place, node in enumerate(nodes):
        alike.setdefault(node.services, []).append(place)
    return {
        target: tuple(
            nodes[place].key
            for place in sorted(
                place for services, places in alike.items() if not callers.isdisjoint(services) for place in places
            )
        )
        for target, callers in calling.items()
    }


def _derive_node(
    node: Node,
    nodes: Sequence[Node],
    settings: Settings,
    facts: CloudFacts,
    catalogue: Catalogue,
    callers: Mapping[tuple[str, str], tuple[str, ...]],
) -> tuple[NodeRule, ...]:
    rules = []
    own = node.key
    operators = _operators_of(node, nodes, settings, facts)
    for name in (name for name in catalogue if name in node.services):
        for listener in catalogue[name].listeners:
            if listener.bind is Bind.LOOPBACK:
                continue
            for audience in listener.audiences:
                networks: tuple[str, ...] = ()
                peers: tuple[str, ...] = ()
                if audience is Audience.CALLERS:
                    peers = tuple(key for key in callers.get((name, listener.name), ()) if key != own)
                elif audience is Audience.OPERATORS:
                    networks, peers = operators
                elif node.public is Public.SERVICE:
                    networks = networks_of(audience, settings)
                if networks or peers:
                    rules.append(
                        NodeRule(name, listener.name, listener.protocol, str(listener.ports), audience.value, networks, peers)
                    )
    return tuple(rules)


def networks_of(audience: Audience, settings: Settings) -> tuple[str, ...]:
    """Return the networks of an audience outside; empty = nobody."""
    if audience is Audience.INTERNET or (audience is Audience.PHONES and settings.phones == "internet"):
        return (ANYWHERE,)
    name = {Audience.CARRIERS: "carriers", Audience.PHONES: "phones"}.get(audience)
    return write_networks(networks_given(settings, name)) if name else ()


@lru_cache(maxsize=64)
def write_networks(networks: tuple[IPv4Network, ...]) -> tuple[str, ...]:
    """Return the texts of networks as firewalls have them: asked for once a node and listener, and there may be hundreds."""
    return tuple(map(str, merge_networks(networks)))


def _operators_of(
    node: Node,
    nodes: Sequence[Node],
    settings: Settings,
    facts: CloudFacts,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return networks and nodes that may log in: operators where the node is reached from outside, else only through those.
    Hosts that are given have an address each by which operators reached them before.

    On a container host the operators are that host unless set. With a way in of the user's own (`ssh_via`) private
    networks of operators reach every node.
    """
    networks = write_networks(settings.operators)
    if facts.trial and not networks:
        networks = (f"{host_address(settings, facts)}/32",)
    if node.public is Public.SERVICE or facts.given:
        return networks, ()
    own = tuple(network for network in settings.operators if is_private(network)) if settings.ssh_via else ()
    return write_networks(own), tuple(other.key for other in nodes if other.public is Public.SERVICE)


def _egress_of(role: str, services: Iterable[Service], settings: Settings, untracked_ports: str = "") -> Iterator[EgressRule]:
    found: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for service in services:
        for egress in service.egress:
            destinations = egress.networks or networks_of(egress.audience, settings)
            if destinations:
                wide = untracked_ports and not egress.tracked and destinations == (ANYWHERE,)
                ports = untracked_ports if wide else str(egress.ports)
                found.setdefault((egress.protocol, ports, destinations), []).append(egress.purpose)
    for (protocol, ports, destinations), purposes in found.items():
        yield EgressRule(role, protocol, ports, destinations, tuple(dict.fromkeys(purposes)))
    yield from find_log_egress(role, settings)
