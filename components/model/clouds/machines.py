"""Which machine type a role gets, and what is wrong with one given by hand."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from components.model.clouds.facts import CloudFacts
from components.model.clouds.prices import currency_of
from components.model.machine import MachineType, Size
from components.model.problems import Problem, setting_problem

CONTAINER = "container"
"""The machine type where machines are containers on one host."""

GIVEN = "given host"
"""The machine type where hosts are given: what a role needs, whatever they have."""

VCPUS_PER_WHOLE_CORE = 2
"""What a vCPU that is a core of its own is worth to voice, in threads (`facts/machines.md`, Which family)."""


def choose_machine_type(
    facts: CloudFacts,
    size: Size,
    region: str,
    voice: bool,
    among: Collection[str] | None = None,
) -> MachineType:
    """Return the cheapest machine type of a region that meets the size; on a container host, a container of that size.
    `among` are the names to choose from, None = all. A LookupError says that none fits.

    For `voice` (roles with SIP or media) price is compared by core: a type whose vCPUs are whole cores may cost up to
    twice as much, since no other thread's load jitters its RTP. Where a region has no dated price, the prices of the
    default region decide the order.
    """
    if not facts.priced:
        return MachineType(GIVEN if facts.given else CONTAINER, size.vcpus, size.memory_gib, monthly={"any": 0.0})

    def worth(machine: MachineType) -> tuple[bool, float, str]:
        price = machine.price_in(region)
        if price is None:
            price = machine.price_in(facts.default_region)
        if price is None:
            return True, 0.0, machine.name
        return False, price / (VCPUS_PER_WHOLE_CORE if voice and machine.whole_cores else 1), machine.name

    fit = [
        machine
        for machine in facts.machine_types
        if fits(machine, size) and (among is None or machine.name in among) and machine.family not in facts.closed_families
    ]
    if not fit:
        raise LookupError(
            f"no machine type of {facts.title} has {size.vcpus} vCPU, {size.memory_gib:g} GiB "
            f"and a boot disk of {size.boot_gib} GiB"
        )
    return min(fit, key=worth)


def fits(machine: MachineType, size: Size) -> bool:
    """Return whether a machine type has at least the vCPU and memory of a size, and its boot disk where that comes with it."""
    return (
        machine.vcpus >= size.vcpus
        and machine.memory_gib >= size.memory_gib
        and (machine.root_disk_gib == 0 or machine.root_disk_gib >= size.boot_gib)
    )


def check_machine_type(facts: CloudFacts, role: str, name: str, fit: MachineType, region: str) -> Problem | None:
    """Find what is wrong with the machine type given for a role; `fit` is the one that would be chosen. None = nothing."""
    key = f"machine_types.{role}"
    if not facts.priced:
        kind = "given hosts" if facts.given else "containers"
        return setting_problem(key, name, f"{facts.name} has {kind}, not machine types; remove the setting")
    if facts.machine_type(name):
        return None
    use = f"use {describe_machine_type(facts, fit, region)}"
    if facts.is_shared(name):
        return setting_problem(key, name, f"{facts.shared_reason}; {use}")
    if facts.is_not_x86(name):
        return setting_problem(key, name, f"not x86-64, which the vendor's packages need; {use}")
    if facts.is_discouraged(name):
        return setting_problem(key, name, f"an old or cost-optimised family whose CPU varies under load; {use}")
    near = get_close_matches(name, [machine.name for machine in facts.machine_types], 2, 0.6)
    hint = f"did you mean {' or '.join(near)}? Otherwise {use}" if near else use
    return setting_problem(key, name, f"not a dedicated machine type known on {facts.title}; {hint}")


def describe_machine_type(facts: CloudFacts, machine: MachineType, region: str) -> str:
    """Return `c7a.xlarge (4 vCPU, 8 GiB, USD 150/month)`; the price is left out where no dated one is known."""
    price = machine.price_in(region)
    cost = "" if price is None else f", {currency_of(facts)} {price:.0f}/month"
    return f"{machine.name} ({machine.vcpus} vCPU, {machine.memory_gib:g} GiB{cost})"
