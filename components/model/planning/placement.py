"""Which services stand on which node, and in what order they start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from components.model.catalogue.service import Bind, Listener, Placement, Service
from components.model.catalogue.services import CATALOGUE, called_service
from components.model.catalogue.tiers import Tier

QUORUM_NODES = 3
"""As few as can lose one."""

Catalogue = Mapping[str, Service]


def stand_together(role: str, n: int) -> str:
    """Say that all nodes stand in one zone."""
    return ""


def choose_quorum(
    tier: Tier,
    counts: Mapping[str, int],
    catalogue: Catalogue = CATALOGUE,
    zone_of: Callable[[str, int], str] = stand_together,
    standing: Sequence[tuple[str, int]] = (),
) -> tuple[tuple[str, int], ...]:
    """Choose role and number of the nodes with the service that needs a quorum: three where three can host it, else one.

    Those that are `standing` stay. Others: from every zone one before any zone has two; first nodes of the hosting roles as the
    tier lists them, then second nodes. In one zone a raised count adds candidates behind the ones chosen.
    """
    hosts = [role.name for role in tier.roles if any(catalogue[name].placement is Placement.QUORUM for name in role.services)]
    most = max((counts[role] for role in hosts), default=0)
    candidates = [(role, n) for n in range(1, most + 1) for role in hosts if n <= counts[role]]
    wanted = QUORUM_NODES if len(candidates) >= QUORUM_NODES else min(1, len(candidates))
    chosen = [node for node in standing if node in candidates][:wanted]
    while len(chosen) < wanted:
        times = Counter(zone_of(*node) for node in chosen)
        chosen.append(min((node for node in candidates if node not in chosen), key=lambda node: times[zone_of(*node)]))
    return tuple(sorted(chosen, key=candidates.index))


def place_services(
    tier: Tier,
    counts: Mapping[str, int],
    catalogue: Catalogue = CATALOGUE,
    quorum: Collection[tuple[str, int]] | None = None,
) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return the services of every node by role and number, in start order; `quorum` are the nodes of `choose_quorum`."""
    quorum = choose_quorum(tier, counts, catalogue) if quorum is None else quorum
    everywhere = {name for name, service in catalogue.items() if service.placement is Placement.EVERY}
    keepers = {name for name, service in catalogue.items() if service.placement is Placement.BESIDE_MOVING}
    proxies = [service for service in catalogue.values() if service.beside]
    placed: dict[tuple[str, int], tuple[str, ...]] = {}
    orders: dict[frozenset[str], tuple[str, ...]] = {}
    for role in tier.roles:
        for n in range(1, counts[role.name] + 1):
            chosen = {
                name
                for name in role.services
                if catalogue[name].placement is not Placement.NOWHERE
                and (catalogue[name].placement is not Placement.QUORUM or (role.name, n) in quorum)
                and (n == 1 or catalogue[name].placement is not Placement.FIRST or catalogue[name].moves)
            }
            moving = [catalogue[name] for name in chosen if catalogue[name].moves]
            chosen |= keepers if any(one.locked_alone or counts[role.name] > 1 for one in moving) else set()
            chosen |= everywhere
            chosen |= {proxy.name for proxy in proxies if any(is_beside(proxy, catalogue[name]) for name in chosen)}
            alike = frozenset(chosen)
            placed[role.name, n] = orders[alike] = orders.get(alike) or start_order(alike, catalogue)
    return placed


def is_beside(proxy: Service, service: Service) -> bool:
    """Return whether the proxy stands where this service does: it calls what the proxy leads to, and is not that itself."""
    # Most services lead to no other: asked of all pairs, and soonest answered so.
    return bool(proxy.beside) and any(
        called_service(call) in proxy.beside and called_service(call) != service.name for call in service.calls
    )


def local_callees(name: str, present: set[str], proxies: Iterable[str], catalogue: Catalogue) -> set[str]:
    """Return what a service calls among the services of its node, the proxy in front of a callee too."""
    callees = {called_service(call) for call in catalogue[name].calls}
    return (callees & present | {other for other in proxies if is_beside(catalogue[other], catalogue[name])}) - {name}


def start_order(services: Iterable[str], catalogue: Catalogue = CATALOGUE) -> tuple[str, ...]:
    """Return the services of a node, callees before callers; where calls go round in a circle, as the catalogue lists them."""
    wanted = set(services)
    left = [name for name in catalogue if name in wanted]
    proxies = [name for name in left if catalogue[name].beside]
    callees = {name: local_callees(name, wanted, proxies, catalogue) for name in left}
    reached = {name: reachable(name, callees) for name in left}
    ordered: list[str] = []
    while left:
        following = next(
            name for name in left if not any(other in left and name not in reached[other] for other in reached[name])
        )
        left.remove(following)
        ordered.append(following)
    return tuple(ordered)


def reachable(name: str, callees: Mapping[str, set[str]]) -> set[str]:
    """Return everything a service calls, directly or through others."""
    found: set[str] = set()
    following = [name]
    while following:
        for other in callees[following.pop()] - found:
            found.add(other)
            following.append(other)
    return found


def find_clashes(services: Iterable[str], catalogue: Catalogue = CATALOGUE) -> list[str]:
    """Find pairs of listeners of one node on the same address and port, each as a sentence that names both."""
    listeners = [(name, listener) for name in services for listener in catalogue[name].listeners]
    # By port: each is compared with those alone that begin within its own ports, not with hundreds.
    by_port = sorted(range(len(listeners)), key=lambda place: listeners[place][1].ports.first)
    clashing: list[tuple[int, int]] = []
    for place, number in enumerate(by_port):
        first = listeners[number][1]
        for other in by_port[place + 1 :]:
            second = listeners[other][1]
            if second.ports.first > first.ports.last:
                break
            if clash(first, second):
                clashing.append((min(number, other), max(number, other)))
    found = []
    for number, other in sorted(clashing):
        (one, first), (two, second) = listeners[number], listeners[other]
        port = max(first.ports.first, second.ports.first)
        found.append(f"{one}.{first.name} and {two}.{second.name} both listen on {first.protocol} port {port} of one address")
    return found


def clash(first: Listener, second: Listener) -> bool:
    """Return whether two listeners want the same address and port."""
    same_address = first.bind is second.bind or Bind.ANY in (first.bind, second.bind)
    return same_address and first.protocol == second.protocol and first.ports.overlaps(second.ports)


def find_unknown_calls(catalogue: Catalogue = CATALOGUE) -> list[str]:
    """Find calls of services or listeners that the catalogue does not have, each as a sentence."""
    found = []
    for service in catalogue.values():
        for call in service.calls:
            name, _, listener = call.partition(".")
            if name not in catalogue:
                found.append(f"{service.name} calls {call}, and there is no service {name}")
            elif listener and listener not in (one.name for one in catalogue[name].listeners):
                known = ", ".join(one.name for one in catalogue[name].listeners) or "none"
                found.append(f"{service.name} calls {call}, and the listeners of {name} are {known}")
    return found
