"""What a cloud has no room for, as far as the plan alone can know it: disks, networks in firewalls, nodes, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import collapse_addresses

from components.model.naming import NAME
from components.model.planning.addresses import MAX_NODES, networks_given
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem


def check_disk_limits(draft: Draft) -> Iterator[Problem]:
    """Find disks that are larger than the cloud has them. Smaller ones than the tier's are told elsewhere."""
    facts = draft.facts
    for key, size in draft.settings.disk_sizes.items():
        role, _, purpose = key.partition(".")
        if role not in draft.machines:
            continue
        kind = facts.disk_type_for(draft.machines[role], data=purpose != "boot")
        largest = facts.boot_max_gib if purpose == "boot" else facts.disk_limits.get(kind, (0, 0))[1]
        if largest and size > largest:
            what = f"a boot disk of {facts.title}'s" if purpose == "boot" else f"{facts.title}'s {kind}"
            instead = (
                "" if purpose != "recordings" else ", or keep recordings on a file system of yours (webitel:recordings_share)"
            )
            yield setting_problem(f"disk_sizes.{key}", size, f"{what} has at most {largest} GiB; use {largest} or less{instead}")


def check_network_numbers(draft: Draft) -> Iterator[Problem]:
    """Find more networks than the firewalls of one machine have room for."""
    facts = draft.facts
    for names, most in ((("carriers", "phones"), facts.max_networks), (("operators",), facts.max_operators)):
        given = {name: networks_given(draft.settings, name) for name in names}
        number = len(list(collapse_addresses(network for networks in given.values() for network in networks)))
        if most and number > most:
            name = max(given, key=lambda name: len(given[name]))
            others = "".join(f" with webitel:{other}" for other in names if other != name and given[other])
            yield setting_problem(
                name,
                f"{len(given[name])} networks",
                f"{number} where adjacent ones count once{others}, and the firewalls of a node on {facts.title} have room for "
                f"{most}; name larger networks, such as 198.51.100.0/24 instead of parts of it",
            )


def check_number_of_nodes(draft: Draft) -> Iterator[Problem]:
    """Find more nodes than one deployment can have."""
    number = sum(draft.counts.values())
    if number > MAX_NODES:
        largest = max(draft.counts, key=lambda role: draft.counts[role])
        fit = MAX_NODES - number + draft.counts[largest]
        use = f"use {fit} or fewer" if fit > 0 else "use smaller counts"
        yield setting_problem(
            f"counts.{largest}", draft.counts[largest], f"{number} nodes in all, and a deployment has at most {MAX_NODES}; {use}"
        )


def check_stack_name(draft: Draft) -> Iterator[Problem]:
    """Find a stack name that a network or a firewall of that name cannot have. Names of nodes are told elsewhere."""
    if not NAME.fullmatch(draft.stack):
        why = "needs lower case letters, digits and hyphens, a letter first and no hyphen last"
    elif draft.facts.reserved_names and re.fullmatch(draft.facts.reserved_names, draft.stack):
        why = f"{draft.facts.title} keeps names that begin so for itself"
    else:
        return
    yield Problem("stack name", draft.stack, f"{why}; use a name such as aws-basic")
