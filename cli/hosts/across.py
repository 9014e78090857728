"""What only several hosts together tell: their clocks, and what one has and another one must not have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cli.hosts.finding import ACROSS, Finding, Verdict, make_finding
from cli.hosts.wish import Wish
from cloud_init.host.facts import Facts, Line
from components.model.host_limits import CLOCK, JITTER, LOST, State


@dataclass(frozen=True)
class Offset:
    """How far a host's clock is from this machine's, in milliseconds, give or take `around`."""

    ahead: float
    around: float


Lines = Mapping[tuple[str, str], tuple[int, Line]]
"""By sender and receiver, how many packets were sent, and what arrived."""


def judge_across(wishes: Sequence[Wish], facts: Mapping[str, Facts], offsets: Mapping[str, Offset]) -> list[Finding]:
    """Judge what hosts have in common. What one owner accepts of one host is accepted for those it is about."""
    accepted = {wish.key: wish.host.accepts for wish in wishes}
    found = [*judge_offsets(offsets), *judge_identities(facts), *judge_zones(facts), *judge_sizes(facts)]
    return [make_finding(verdict, ACROSS, tuple(one for key in keys for one in accepted.get(key, ()))) for keys, verdict in found]


def judge_offsets(offsets: Mapping[str, Offset]) -> Iterator[tuple[Sequence[str], Verdict]]:
    """Find clocks apart, less what the way there may account for; a host alone is compared with this machine."""
    known = dict(offsets) if len(offsets) > 1 else {"this machine": Offset(0, 0), **offsets}
    worst: dict[State, list[tuple[Sequence[str], str]]] = defaultdict(list)
    for (one, left), (other, right) in combinations(sorted(known.items()), 2):
        apart = abs(left.ahead - right.ahead)
        sure = max(0.0, apart - left.around - right.around)
        told = f"{apart / 1000:.1f} s" if apart >= 1000 else f"{apart:.0f} ms"
        worst[CLOCK.judge(sure)].append(
            ((one, other), f"{one} and {other} are {told} apart (give or take {left.around + right.around:.0f})")
        )
    grave: tuple[State, ...] = ("fail", "warn")
    for bad in grave:
        for keys, told in worst[bad]:
            yield keys, Verdict("clocks", bad, told)
    if worst["pass"] and not worst["fail"] and not worst["warn"]:
        yield (), Verdict("clocks", "pass", f"{len(known)} clocks alike")


def judge_identities(facts: Mapping[str, Facts]) -> Iterator[tuple[Sequence[str], Verdict]]:
    """Find hosts that were copied from one another."""
    owners: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, one in facts.items():
        if one.system:
            owners["machine id", one.system.machine_id].append(key)
            for line in one.system.host_keys:
                owners["SSH host key", line].append(key)
        if one.names:
            owners["host name", one.names.host].append(key)
    twice = {(what, tuple(keys)) for (what, _), keys in owners.items() if len(keys) > 1}
    for what, keys in sorted(twice):
        yield keys, Verdict("identities", "fail", f"{' and '.join(keys)} have the same {what}")
    if len(facts) > 1 and not twice:
        yield (), Verdict("identities", "pass", "all their own")


def judge_zones(facts: Mapping[str, Facts]) -> Iterator[tuple[Sequence[str], Verdict]]:
    """Find hosts with different time zones."""
    zones = {key: one.clock.zone for key, one in facts.items() if one.clock}
    if len(zones) > 1:
        different = len(set(zones.values())) > 1
        told = ", ".join(f"{key} {zone}" for key, zone in zones.items()) if different else next(iter(zones.values()))
        yield (), Verdict("time zones", "warn" if different else "pass", told)


def judge_sizes(facts: Mapping[str, Facts]) -> Iterator[tuple[Sequence[str], Verdict]]:
    """Find interfaces with different packet sizes."""
    sizes = {key: one.network.nic.mtu for key, one in facts.items() if one.network and one.network.nic}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{key} {size}" for key, size in sizes.items())
        yield tuple(sizes), Verdict("packet size", "fail", f"MTU: {told}")


def judge_lines(lines: Lines, seconds: float) -> list[Finding]:
    """Judge what arrived of audio's packets, by pair; a sender that is slower than the tier's rate is told by its own."""
    found = []
    for (sender, receiver), (sent, line) in sorted(lines.items()):
        way = f"{sender} to {receiver}"
        lost = 100 * (sent - line.received) / max(1, sent)
        for check, limit, value, told in (
            ("audio lost", LOST, lost, f"{way}: {sent - line.received} of {sent} packets at {sent / seconds:.0f} a second"),
            ("audio jitter", JITTER, line.jitter, f"{way}: {line.jitter:.2f} ms, the latest {line.late:.1f} ms"),
        ):
            found.append(make_finding(Verdict(check, limit.judge(value), told), ACROSS))
    return found
