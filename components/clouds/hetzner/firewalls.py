"""How a role's rules are distributed over Hetzner's firewalls, which have little room (`facts/clouds.md` 5.2)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

MAX_NETWORKS = 100
"""Networks in one rule."""

MAX_RULES = 500
"""Of a firewall, each counted by its networks."""


@dataclass(frozen=True)
class Entry:
    """A rule between a role and networks."""

    direction: str
    protocol: str
    ports: str
    purpose: str
    networks: list[str]


def distribute(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Distribute rules over as few firewalls as have room for them, networks in the order of their first rule: what fits into one
    stays as it is, and one network more at the end moves no other."""
    networks = list(dict.fromkeys(network for entry in entries for network in entry.networks))
    parts: list[list[str]] = [[]]
    for network in networks:
        if not has_room(select(entries, [*parts[-1], network])):
            parts.append([])
        parts[-1].append(network)
    own, *others = ([*select(entries, part)] for part in parts)
    return [own, *(keep_closed(other, own) for other in others)]


def select(entries: Iterable[Entry], networks: Iterable[str]) -> list[Entry]:
    """Return the rules for these networks alone."""
    chosen = set(networks)
    found = [replace(entry, networks=[one for one in entry.networks if one in chosen]) for entry in entries]
    return [entry for entry in found if entry.networks]


def has_room(entries: Sequence[Entry]) -> bool:
    """Return whether a firewall can have these rules."""
    counts = [len(entry.networks) for entry in entries]
    # One is for what `keep_closed` adds.
    return max(counts, default=0) <= MAX_NETWORKS and sum(counts) < MAX_RULES


def keep_closed(entries: Sequence[Entry], own: Iterable[Entry]) -> list[Entry]:
    """Return rules of a further firewall: with none outwards it would let everything out, so it repeats one of the first's."""
    outgoing = [entry for entry in own if entry.direction == "out"][:1]
    return [*entries, *(outgoing if not any(entry.direction == "out" for entry in entries) else [])]
