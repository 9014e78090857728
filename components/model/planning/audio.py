"""Audio at the tier's load against what a machine bears: whole cores, and the packets and flows that the cloud lets through.

The figures are `docs/facts/real-clouds.md` B28's, those of the load ours and named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from components.model.catalogue.service import Audience, Service
from components.model.catalogue.tiers import Role, Tier, is_voice
from components.model.clouds.facts import CloudFacts
from components.model.clouds.machines import choose_machine_type, describe_machine_type, fits
from components.model.machine import MachineType
from components.model.planning.draft import Catalogue, Draft, tier_size

CALLS_AT_ONCE_PER_DAILY = 300 / 400_000
"""Calls at a time by calls a day (the vendor's figures for basic)."""

DIALOGS_PER_CALL = 2
"""The caller's and the agent's, each through the relay and the media server."""

PACKETS_PER_SECOND = 50
"""Of a stream: one in 20 ms. A dialog has one from outside and one from the media server."""

FLOWS_PER_DIALOG = 4
"""RTP and RTCP, on both sides of the relay."""

RELAYED_PER_CORE = 500
"""Dialogs that the relay carries on a whole core, in user space."""

MIXED_PER_CORE = 330
"""Dialogs that the media server carries on a whole core without recording or transcoding."""

THREADS_PER_CORE = 2
"""Where nobody says how many cores a type has, a vCPU is taken for a thread."""


@dataclass(frozen=True)
class Load:
    """What a node has to bear: whole cores for audio, packets from outside a second, flows."""

    cores: float
    packets: int
    flows: int


def choose_by_size(facts: CloudFacts, tier: Tier, role: str, region: str) -> MachineType:
    """Return the cheapest machine type that meets a role's size, which is what its nodes got before audio counted too."""
    found = tier.role(role)
    return choose_machine_type(facts, tier_size(found, facts), region, is_voice(found))


def choose_default(facts: CloudFacts, tier: Tier, role: str, region: str, catalogue: Catalogue) -> MachineType:
    """Return the machine type of a role for which none is set: the cheapest that meets its size and bears the audio of the
    tier's load. Counts that somebody raised do not count: a further node makes no other machine of one that is up."""
    by_size, found = choose_by_size(facts, tier, role, region), tier.role(role)
    load = load_of(tier, {one.name: one.count for one in tier.roles}, found, catalogue)
    if not facts.priced or cores_of(by_size) >= load.cores:
        return by_size
    return choose_for_audio(facts, found, region, load) or by_size


def warn_of_audio(draft: Draft) -> Iterator[str]:
    """Find roles whose machines are too small for the audio of the tier's load."""
    if not draft.facts.priced:
        return
    calls = f"{ceil(calls_at_once(draft.tier, draft.counts, draft.catalogue)):,} calls at a time"
    for role in draft.tier.roles:
        machine, load = draft.machines[role.name], load_of(draft.tier, draft.counts, role, draft.catalogue)
        setting, cores = f"webitel:machine_types.{role.name} = {machine.name}", cores_of(machine)
        if load.cores > cores:
            use = advise(draft, role, load)
            yield f"{setting}: {cores:g} whole cores, {calls} take about {load.cores:.1f} for audio alone; {use}"
        for what, needed, most in (
            ("packets a second from outside", load.packets, draft.facts.max_packets),
            ("flows", load.flows, max_flows(draft.facts, machine)),
        ):
            if most and needed > most:
                yield f"{setting}: {draft.facts.title} lets {most:,} {what} through to it, {calls} make {needed:,}"


def calls_at_once(tier: Tier, counts: Mapping[str, int], catalogue: Catalogue) -> float:
    """Return the calls at a time of the tier's load, more where there are more media servers than the tier has."""
    carrying = [role for role in tier.roles if carries(catalogue, role)]
    growth = sum(counts[role.name] for role in carrying) / sum(role.count for role in carrying) if carrying else 1
    return tier.calls_per_day * CALLS_AT_ONCE_PER_DAILY * max(1.0, growth)


def load_of(tier: Tier, counts: Mapping[str, int], role: Role, catalogue: Catalogue) -> Load:
    """Return what each node of a role has to bear. The relay is on one node at a time, however many stand by."""
    dialogs = calls_at_once(tier, counts, catalogue) * DIALOGS_PER_CALL
    cores, packets, flows = 0.0, 0, 0
    if any(relays(catalogue[name]) for name in role.services):
        cores += dialogs / RELAYED_PER_CORE
        packets, flows = ceil(dialogs * PACKETS_PER_SECOND), ceil(dialogs * FLOWS_PER_DIALOG)
    if carries(catalogue, role):
        cores += dialogs / counts[role.name] / MIXED_PER_CORE
    return Load(cores, packets, flows)


def relays(service: Service) -> bool:
    """Return whether a service takes audio from outside."""
    return any(not one.tracked and Audience.INTERNET in one.audiences for one in service.listeners)


def carries(catalogue: Catalogue, role: Role) -> bool:
    """Return whether a role has a media server."""
    return any(catalogue[name].carries_calls for name in role.services)


def cores_of(machine: MachineType) -> float:
    """Return the whole cores of a machine type."""
    return machine.cores or machine.vcpus / (1 if machine.whole_cores else THREADS_PER_CORE)


def max_flows(facts: CloudFacts, machine: MachineType) -> int:
    """Return how many flows the cloud remembers for a machine, 0 = not published."""
    return min(facts.flows_per_vcpu * machine.vcpus, facts.max_flows) if facts.flows_per_vcpu else facts.max_flows


def advise(draft: Draft, role: Role, load: Load) -> str:
    """Name the cheapest machine type with so many whole cores."""
    if best := choose_for_audio(draft.facts, role, draft.region, load):
        return f"use {describe_machine_type(draft.facts, best, draft.region)}"
    return "no machine type here has so many: fewer calls, or a deployment more"


def choose_for_audio(facts: CloudFacts, role: Role, region: str, load: Load) -> MachineType | None:
    """Return the cheapest machine type of a role's size with so many whole cores, None where there is none."""
    size = tier_size(role, facts)
    enough = [one.name for one in facts.machine_types if cores_of(one) >= load.cores and fits(one, size)]
    try:
        return choose_machine_type(facts, size, region, True, enough)
    except LookupError:
        return None
