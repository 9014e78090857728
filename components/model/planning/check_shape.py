"""What is wrong with the settings that shape a deployment: counts, machine types, disks, network, leaving nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network
from itertools import chain

from components.model.catalogue.service import Placement
from components.model.catalogue.tiers import Role, Tier
from components.model.clouds.facts import PublicAddress
from components.model.machine import Public
from components.model.planning.addresses import (
    MAX_NODES,
    PRIVATE,
    address_offset,
    is_inside,
    is_private,
    networks_given,
    resolve_public_network,
    smallest_prefix,
)
from components.model.planning.check_values import MIN_PREFIX_LENGTH
from components.model.planning.draft import Catalogue, Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings


def count_nodes(tier: Tier, settings: Settings) -> dict[str, int]:
    """Return the number of nodes by role, as the tier says or the settings raise it; where hosts are given, as many as there
    are."""
    given = Counter(host.role for host in settings.hosts)
    return {role.name: settings.counts.get(role.name, given[role.name] or role.count) for role in tier.roles}


def check_counts(draft: Draft) -> Iterator[Problem]:
    """Find counts of unknown roles, below the tier's, or that a role's services cannot run with."""
    roles = {role.name: role for role in draft.tier.roles}
    for name, count in draft.settings.counts.items():
        if name not in roles:
            yield setting_problem(f"counts.{name}", count, unknown_role(name, draft.tier))
        elif why := explain_count(roles[name], count, draft.catalogue):
            yield setting_problem(f"counts.{name}", count, why)


def explain_count(role: Role, count: int, catalogue: Catalogue) -> str:
    """Say why a role cannot have that many nodes; "" = it can."""
    if count == role.count:
        return ""
    services = [catalogue[name] for name in role.services]
    alone = [service.title for service in services if not service.has_standby]
    if alone:
        return f"{' and '.join(alone)} cannot run twice yet; use 1"
    clustered = [service for service in services if service.cluster_sizes]
    if clustered:
        allowed = sorted(set.intersection(*(set(service.cluster_sizes) for service in clustered)))
        if count in allowed:
            return ""
        use = f"use {' or '.join(str(size) for size in allowed)}"
        if count == 2:
            return f"a cluster of 2 cannot lose a node; {use}"
        if count in {size for service in clustered for size in service.cluster_sizes}:
            smaller = [service.title for service in clustered if count not in service.cluster_sizes]
            return f"{' and '.join(smaller)} cannot form a cluster of {count}; {use}"
        if count > allowed[-1]:
            return f"more members make {' and '.join(service.title for service in clustered)} slower, not safer; {use}"
        return f"a cluster needs an odd number of members to keep a majority; {use}"
    workers = [one for one in services if one.placement is Placement.ROLE or one.moves]
    if count > role.count and not workers:
        first = next(one for one in services if one.placement is Placement.FIRST)
        return (
            f"{first.title} runs on the first node only ({first.placement_reason}), "
            f"so a further node would be idle; use {role.count}"
        )
    if count < role.count:
        return f"fewer than the tier's; use {role.count} or more, or a smaller webitel:tier"
    if count > MAX_NODES:
        return f"a deployment has at most {MAX_NODES} nodes, those of other roles too; use fewer than {MAX_NODES}"
    return ""


def clustered_roles(tier: Tier, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the roles whose nodes may form a cluster, be it one node today."""
    return tuple(
        role.name
        for role in tier.roles
        if any(
            size > 1 and not explain_count(role, size, catalogue)
            for name in role.services
            for size in catalogue[name].cluster_sizes
        )
    )


def growing_roles(tier: Tier, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the roles that may have several nodes, be it one node today."""
    return tuple(
        role.name for role in tier.roles if any(n > role.count and not explain_count(role, n, catalogue) for n in range(2, 5))
    )


def check_disk_sizes(draft: Draft) -> Iterator[Problem]:
    """Find disk sizes of unknown roles or purposes, or smaller than the tier's."""
    roles = {role.name: role for role in draft.tier.roles}
    for key, size in draft.settings.disk_sizes.items():
        name, _, purpose = key.partition(".")
        setting = f"disk_sizes.{key}"
        if name not in roles:
            yield setting_problem(setting, size, unknown_role(name, draft.tier))
            continue
        sizes = draft.disks_of(roles[name])
        if purpose not in sizes:
            has = " or ".join(f"{name}.{one}" for one in sizes)
            yield setting_problem(setting, size, f"{name} has no disk for that purpose; use {has}")
        elif purpose == "boot" and (root := draft.machines[name].root_disk_gib):
            yield setting_problem(
                setting,
                size,
                (
                    f"on {draft.facts.title} the boot disk comes with the machine type, "
                    f"{root} GiB with {draft.machines[name].name}; "
                    f"set webitel:machine_types.{name} instead"
                ),
            )
        elif size < sizes[purpose]:
            yield setting_problem(setting, size, f"smaller than the tier's; use {sizes[purpose]} GiB or more")


def unknown_role(name: str, tier: Tier) -> str:
    """Say that the tier has no such role, with the nearest one or all."""
    roles = [role.name for role in tier.roles]
    near = get_close_matches(name, roles, 1)
    hint = f"did you mean {near[0]}?" if near else f"use {' or '.join(roles)}"
    return f"tier {tier.name} has no role {name}; {hint}"


def check_private_only(draft: Draft) -> Iterator[Problem]:
    """Find nodes that have a public address only to get out, where that is not wanted."""
    facts = draft.facts
    only_out = [role.name for role in draft.tier.roles if draft.public_of(role.name) is Public.EGRESS]
    if draft.settings.private_only and only_out:
        why = f": {facts.egress_reason}" if facts.egress_reason else ""
        yield setting_problem(
            "private_only",
            "true",
            f"on {facts.title} {', '.join(only_out)} nodes get out by a public address of their own, closed to everybody{why}; "
            "use aws, gcp or azure, webitel:tier = single, or remove the setting",
        )


def check_network(draft: Draft) -> Iterator[Problem]:
    """Find a network that is not private, of a size the cloud does not take, in use, or with too few addresses."""
    facts, counts, network = draft.facts, draft.counts, draft.network
    if draft.is_given or facts.given:  # with ranges of its own
        return
    text, example = network, f"use a network of your own such as {find_free_network(draft)}"
    if not is_private(network):
        yield setting_problem("network", text, f"not a private network; {example}")
    for other in map(IPv4Network, facts.reserved_networks):
        if network.overlaps(other):
            yield setting_problem("network", text, f"{facts.title} reserves {other}; {example}")
    for name, outside in list_outside(draft):
        if network.overlaps(outside):
            yield setting_problem("network", text, f"overlaps webitel:{name} {outside}; {example}")
    shortest, longest = facts.network_prefixes
    highest = facts.first_host + sum(counts.values())
    if facts.fixed_addresses:
        indexes = {role.name: index for index, role in enumerate(draft.tier.roles)}
        highest = max(address_offset(facts.first_host, indexes[role], count) for role, count in counts.items())
    if not is_inside(network, facts, highest):
        number = sum(counts.values())
        needed = min(smallest_prefix(facts, highest), longest)
        yield setting_problem(
            "network",
            text,
            (
                f"has {network.num_addresses} addresses, too few for {number} {'node' if number == 1 else 'nodes'} "
                f"with fixed places; use /{needed} or larger, such as {find_free_network(draft, needed)}"
            ),
        )
    elif not shortest <= network.prefixlen <= longest:
        yield setting_problem("network", text, f"{facts.title} accepts /{shortest} to /{longest}; {example}")


def list_outside(draft: Draft) -> Iterator[tuple[str, IPv4Network]]:
    """Return the networks that nodes must be able to answer, each with the name of its setting. Such as are too large are refused
    elsewhere."""
    for name in () if draft.facts.trial else ("operators", "carriers", "phones"):
        yield from ((name, network) for network in networks_given(draft.settings, name) if network.prefixlen >= MIN_PREFIX_LENGTH)


def find_free_network(draft: Draft, longest: int = 32) -> IPv4Network:
    """Find a network that could be set: the cloud's default, else a private one of its size that nobody has; `longest` is the
    prefix of the smallest that is large enough."""
    default = IPv4Network(draft.facts.default_network)
    if default.prefixlen > longest:
        default = default.supernet(new_prefix=longest)
    taken = [*map(IPv4Network, draft.facts.reserved_networks), *(network for _, network in list_outside(draft))]
    candidates = (
        network
        for private in PRIVATE
        if private.prefixlen <= default.prefixlen
        for network in private.subnets(new_prefix=default.prefixlen)
    )
    return next((one for one in chain([default], candidates) if not any(one.overlaps(other) for other in taken)), default)


def check_public_network(draft: Draft) -> Iterator[Problem]:
    """Find what only containers have: a network of the host's in the internet's place."""
    settings, facts, counts = draft.settings, draft.facts, draft.counts
    if not facts.trial and settings.local_network != "bridged":
        yield setting_problem(
            "local_network",
            settings.local_network,
            (f"it is only for containers of webitel:cloud = local; {facts.title} does it in its own way, so remove the setting"),
        )
    if not facts.trial or facts.public_address is PublicAddress.PRIVATE:
        if settings.public_network is not None:
            yield setting_problem(
                "public_network",
                settings.public_network,
                ("only webitel:cloud = local has one, and not with webitel:local_network = bridged; remove the setting"),
            )
        return
    network, example = resolve_public_network(settings), "use a network such as 198.18.0.0/24"
    highest = max(address_offset(facts.first_host, index, counts[role.name]) for index, role in enumerate(draft.tier.roles))
    if is_private(network):
        yield setting_problem("public_network", network, f"stands for the internet, so it must not be a private one; {example}")
    if not is_inside(network, facts, highest):
        yield setting_problem("public_network", network, f"has {network.num_addresses} addresses, too few; {example}")


def check_leaving(draft: Draft) -> Iterator[Problem]:
    """Find leaving nodes that the deployment does not have, that are not the last of their role, or that cannot be spared."""
    stack, settings, tier, counts = draft.stack, draft.settings, draft.tier, draft.counts
    keys = [f"{role.name}-{n}" for role in tier.roles for n in range(1, counts[role.name] + 1)]
    leaving = {name.removeprefix(f"{stack}-") for name in settings.leaving}
    for name in settings.leaving:
        if name.removeprefix(f"{stack}-") not in keys:
            yield setting_problem("leaving", name, f"no such node in this deployment; its nodes are {', '.join(keys)}")
    for role in tier.roles:
        stay = [n for n in range(1, counts[role.name] + 1) if f"{role.name}-{n}" not in leaving]
        gone = counts[role.name] - len(stay)
        if not gone:
            continue
        text = ", ".join(f"{role.name}-{n}" for n in range(1, counts[role.name] + 1) if n not in stay)
        if stay != list(range(1, len(stay) + 1)):
            last = ", ".join(f"{role.name}-{n}" for n in range(len(stay) + 1, counts[role.name] + 1))
            yield setting_problem(
                "leaving",
                text,
                f"only the nodes with the highest numbers can leave, here {last}: webitel scale {role.name} {len(stay)}",
            )
        elif why := explain_count(role, len(stay), draft.catalogue):
            yield setting_problem("leaving", text, f"{len(stay)} of {role.name} would remain: {why}")
