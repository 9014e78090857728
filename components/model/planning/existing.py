"""A network that the company has already: which of its subnets a node stands in, and what is wrong with the setting."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from typing import Any

from components.model.clouds.existing import GivenNetworks
from components.model.clouds.facts import CloudFacts
from components.model.machine import Public
from components.model.plan import Node, Plan
from components.model.planning.addresses import RESERVED_LAST_ADDRESSES, address_offset, is_private
from components.model.planning.draft import Draft
from components.model.problems import PlanError, Problem, setting_problem
from components.model.settings import ExistingNetwork, ExistingSubnet

SETTING = "existing_network"


def find_subnets(given: ExistingNetwork, facts: CloudFacts, public: Public, zone: str) -> list[str]:
    """List the subnets that nodes of a zone may stand in; the plan wants exactly one."""
    by_zone = facts.given_networks is not None and facts.given_networks.by_zone
    return [
        id
        for id, subnet in given.subnets.items()
        if (not by_zone or subnet.zone == zone) and (not facts.way_out_by_subnet or subnet.public == (public is Public.SERVICE))
    ]


def place_in(subnet: ExistingSubnet, facts: CloudFacts, role_index: int, n: int) -> IPv4Address:
    """Return the address of a role's n-th node in a subnet of the company's."""
    first = subnet.first or subnet.range.network_address + facts.first_host
    return first + (address_offset(facts.first_host, role_index, n) - facts.first_host)


def check_existing_network(draft: Draft) -> Iterator[Problem]:
    """Find a network that the cloud cannot be given, or in which not every node has its place."""
    given, facts = draft.settings.existing_network, draft.facts
    if not draft.is_given:
        return
    if facts.given_networks is None:
        yield setting_problem(
            f"{SETTING}.id",
            given.id,
            f"on {facts.title} a deployment makes its own network; remove the setting, and choose its range by webitel:network, "
            f"such as {facts.default_network}",
        )
        return
    if draft.settings.network is not None:
        yield setting_problem("network", draft.settings.network, f"webitel:{SETTING} has its own ranges; remove webitel:network")
    if not re.fullmatch(facts.given_networks.shape, given.id):
        yield setting_problem(f"{SETTING}.id", given.id, f"not a network; use one such as {facts.given_networks.example}")
    yield from check_subnets(draft, facts.given_networks)
    yield from check_places(draft)


def check_subnets(draft: Draft, rules: GivenNetworks) -> Iterator[Problem]:
    """Find subnets that cannot be some, each by itself."""
    given, facts = draft.settings.existing_network, draft.facts
    for id, subnet in given.subnets.items():
        name, example = f"{SETTING}.subnets.{id}", rules.subnet_example.format(network=given.id, region=draft.region)
        if why := rules.explain_subnet(id, given.id, draft.region):
            yield setting_problem(name, id, f"{why}; use one such as {example}")
        if not is_private(subnet.range):
            yield setting_problem(f"{name}.range", subnet.range, "not a private network; use the subnet's, such as 10.40.1.0/24")
        if rules.by_zone and subnet.zone not in (zones := facts.zones_in(draft.region)):
            yield setting_problem(f"{name}.zone", subnet.zone, f"say in which zone it is: {', '.join(zones)}")
        if not rules.by_zone and subnet.zone:
            yield setting_problem(f"{name}.zone", subnet.zone, f"on {facts.title} a subnet is in all zones; remove it")
        if subnet.public and not facts.way_out_by_subnet:
            yield setting_problem(f"{name}.public", "true", f"on {facts.title} one subnet does for all nodes; remove it")
        if subnet.first and subnet.first not in subnet.range:
            example = str(subnet.range.network_address + facts.first_host)
            yield setting_problem(f"{name}.first", subnet.first, f"not in {subnet.range}; use an address such as {example}")
    ranges = [(id, subnet.range) for id, subnet in given.subnets.items()]
    for number, (id, network) in enumerate(ranges):
        for other, same in ranges[:number]:
            if network.overlaps(same):
                yield setting_problem(f"{SETTING}.subnets.{id}.range", network, f"overlaps {other} ({same}); use its own range")


def check_places(draft: Draft) -> Iterator[Problem]:
    """Find nodes without a subnet, with a choice of several, or with no room in it."""
    given, facts, missing = draft.settings.existing_network, draft.facts, dict[str, None]()
    indexes = {role.name: index for index, role in enumerate(draft.tier.roles)}
    full: dict[str, IPv4Address] = {}
    for role, n in draft.placed:
        public, zone = draft.public_of(role), draft.zone_of(role, n)
        found = find_subnets(given, facts, public, zone)
        if len(found) != 1:
            missing.setdefault(describe_wanted(facts, public, zone, len(found)))
            continue
        subnet = given.subnets[found[0]]
        address = place_in(subnet, facts, indexes[role], n)
        if int(address) > int(subnet.range.broadcast_address) - RESERVED_LAST_ADDRESSES:
            full[found[0]] = max(address, full.get(found[0], address))
    for text in missing:
        yield setting_problem(f"{SETTING}.subnets", ", ".join(given.subnets) or "none", text)
    for id, address in full.items():
        yield setting_problem(
            f"{SETTING}.subnets.{id}.range",
            given.subnets[id].range,
            f"too small: nodes have fixed places, the last is {address}; use a larger subnet, or an earlier `first`",
        )


def describe_wanted(facts: CloudFacts, public: Public, zone: str, found: int) -> str:
    """Say which subnet is wanted, and how it is written."""
    assert facts.given_networks
    by_zone = f" in zone {zone}" if facts.given_networks.by_zone else ""
    way = f", public: {str(public is Public.SERVICE).lower()}" if facts.way_out_by_subnet else ""
    kind = ("public " if public is Public.SERVICE else "private ") if facts.way_out_by_subnet else ""
    where = f", zone: {zone}" if facts.given_networks.by_zone else ""
    number = "none" if not found else f"{found}, and it must be one"
    return f"{kind}subnets{by_zone}: {number}; write it such as ID: {{range: 10.40.1.0/24{where}{way}}}"


def describe_network(plan: Plan) -> dict[str, Any]:
    """Return what a later run has to know of the company's network, as plain values; nothing in a network of our own."""
    if not plan.existing:
        return {}
    used = {node.subnet for node in plan.nodes}
    # No nulls: a state does not keep them.
    subnets = {id: one.model_dump(mode="json", exclude_none=True) for id, one in plan.existing.subnets.items() if id in used}
    return {SETTING: {"id": plan.existing.id, "subnets": subnets}}


def refuse_other_network(plan: Plan, told: Mapping[str, Any] | None, own: bool, stands: Mapping[str, tuple[str, str]]) -> None:
    """Raise a PlanError where what is up stands in another network: `told` is what the last `up` said of the company's, None
    where it said nothing, and `own` whether the deployment made one itself. `stands` are subnet and address by node where none
    ended."""
    now = plan.existing.model_dump(mode="json", exclude_none=True) if plan.existing else {}
    way = "what is up cannot move; make a new deployment there (./webitel init NAME) and move to it"
    if own and now:
        problem = setting_problem(SETTING, now["id"], f"{plan.stack} stands in a network of its own, and {way}")
    elif told and (not now or now["id"] != told["id"]):
        problem = setting_problem(SETTING, now.get("id", "none"), f"{plan.stack} stands in {told['id']}, and {way}")
    elif changed := [id for id, subnet in (told or {}).get("subnets", {}).items() if now["subnets"].get(id) != subnet]:
        text = ", ".join(f"{id}: {json.dumps(told['subnets'][id], sort_keys=True)}" for id in changed) if told else ""
        problem = setting_problem(f"{SETTING}.subnets", ", ".join(changed), f"nodes stand there, and {way}; put back {text}")
    elif moved := [node for node in plan.nodes if node.key in stands and not same_subnet(node.subnet, stands[node.key][0])]:
        text = f"{moved[0].key} stands in {stands[moved[0].key][0]}, and {way}"
        problem = setting_problem(f"{SETTING}.subnets" if now else SETTING, moved[0].subnet or "none", text)
    elif shifted := [
        node for node in plan.nodes if (place := stands.get(node.key)) and place[1] not in ("", node.private_address)
    ]:
        problem = explain_shift(plan, shifted[0], stands[shifted[0].key][1], way)
    else:
        return
    raise PlanError([problem])


def explain_shift(plan: Plan, node: Node, stands: str, way: str) -> Problem:
    """Say that a node would have another address than the one it has, and the `first` that leaves it where it is."""
    assert plan.existing and node.private_address
    subnet = plan.existing.subnets[node.subnet]
    first = subnet.first or subnet.range.network_address + plan.facts.first_host
    right = first + (int(IPv4Address(stands)) - int(IPv4Address(node.private_address)))
    return setting_problem(
        f"{SETTING}.subnets.{node.subnet}.first",
        subnet.first or "none",
        f"{node.key} has {stands}, and {way}; put back first: {right}",
    )


def same_subnet(written: str, told: str) -> bool:
    """Return whether the cloud's name of a subnet is the one in the setting: it may begin with the interface's address, or have
    letters of another size."""
    return bool(written) == bool(told) and told.lower().endswith(written.lower())
