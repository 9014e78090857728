"""Which zone a node stands in: the n-th of a role in the n-th zone, and what is there already where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from components.model.catalogue.service import Front, Placement
from components.model.catalogue.services import find_front
from components.model.clouds.facts import CloudFacts
from components.model.plan import Node
from components.model.planning.addresses import ZONE_SUBNETS_PREFIX
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem


def check_zones(draft: Draft) -> Iterator[Problem]:
    """Find zones that the region lacks, that stand twice, or that the network has no room for."""
    settings, facts = draft.settings, draft.facts
    if settings.zone and settings.zones:
        yield setting_problem(
            "zone", settings.zone, f"webitel:zones = {', '.join(settings.zones)} says the same thing; remove webitel:zone"
        )
    given = [("zone", settings.zone)] if settings.zone else []
    given += [("zones", zone) for zone in settings.zones]
    given += [(f"node_zones.{node}", zone) for node, zone in settings.node_zones.items()]
    for name, zone in given:
        if why := explain_zone(zone, facts, draft.region):
            yield setting_problem(name, zone, why)
    for zone in dict.fromkeys(zone for zone in settings.zones if settings.zones.count(zone) > 1):
        yield setting_problem(
            "zones", zone, f"stands there twice; name every zone once, such as [{', '.join(dict.fromkeys(settings.zones))}]"
        )
    if len(draft.zones) > 1 and facts.has_zone_subnets and not draft.has_zone_subnets and not draft.is_given:
        shown = ", ".join(draft.zones)
        if not settings.zone_subnets:
            why = (
                f"the subnets of {draft.stack} were made before there were zones and fill its network, so that no other zone has "
                f"room for one; leave it at {draft.home}, or set it in a new deployment"
            )
        else:
            why = (
                f"webitel:network = {draft.network} has no room for subnets in every zone; "
                f"use /{ZONE_SUBNETS_PREFIX} or larger, such as {facts.default_network}"
            )
        yield setting_problem("zones", shown, why)
    yield from check_placed(draft)


def explain_zone(zone: str, facts: CloudFacts, region: str) -> str:
    """Say why a region has no such zone; "" = it has."""
    known = facts.zones_in(region)
    if zone in known:
        return ""
    if facts.zone_shape:
        named = re.fullmatch(facts.zone_shape, zone)
        return "" if named else f"not the name of a host of {facts.title}; use one such as {known[0]}"
    if not facts.zones:
        return f"{facts.title} has no zones inside a location, which is one place that fails as a whole; remove the setting"
    if not known:
        return f"{facts.title} {region} has no zones; remove the setting, or use a region such as {facts.default_region}"
    return f"no zone of {facts.title} {region}; use {', '.join(known[:-1])} or {known[-1]}"


def check_placed(draft: Draft) -> Iterator[Problem]:
    """Find nodes in `node_zones` and `consul_servers` that no deployment of the tier can have."""
    settings, roles = draft.settings, {role.name: role for role in draft.tier.roles}
    hosts = [
        name
        for name, role in roles.items()
        if any(draft.catalogue[service].placement is Placement.QUORUM for service in role.services)
    ]
    given = (("node_zones", settings.node_zones, list(roles)), ("consul_servers", settings.consul_servers, hosts))
    for setting, names, able in given:
        for name in names:
            role, _, number = name.rpartition("-")
            if role not in able or not number.isdecimal() or int(number) < 1:
                yield setting_problem(
                    setting, name, f"no such node in tier {draft.tier.name}; `webitel up` writes names such as {able[0]}-1"
                )


def warn_of_losses(nodes: Sequence[Node], draft: Draft) -> Iterator[str]:
    """Say what the loss of a zone stops, where there are several: a role with one node, and a majority that stands together."""
    zones = tuple(dict.fromkeys(node.zone for node in nodes if node.zone))
    if len(zones) < 2:
        return
    ways_in = [node for node in nodes if find_front(Front.SIP).name in node.services]
    for zone in zones:
        if all(node.zone == zone for node in ways_in):
            keys = ", ".join(node.key for node in ways_in)
            yield f"zone {zone}: its loss stops every call, since {keys} stands there and nowhere else"
        majorities: dict[tuple[str, ...], list[str]] = {}
        for name, service in draft.catalogue.items():
            members = [node for node in nodes if name in node.services]
            there = tuple(node.key for node in members if node.zone == zone)
            votes = service.cluster_sizes or service.placement is Placement.QUORUM
            if votes and len(members) > 1 and 2 * len(there) > len(members):
                majorities.setdefault(there, []).append(service.title)
        for there, titles in majorities.items():
            yield f"zone {zone}: its loss stops {', '.join(titles)}: most of it stands there ({', '.join(there)})"
