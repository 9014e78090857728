"""A second node for SIP and audio: it stands by, cold, and takes calls over with the address that both have in turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from components.model.catalogue.service import Service
from components.model.catalogue.standby import ADDRESS, FOLLOWING, WEB, take_turns
from components.model.catalogue.tiers import TIERS, Role, Tier
from components.model.plan import Node, Plan
from components.model.planning.addresses import NEAR_NODES, address_offset, subnet_of
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings

PAIR = 2


def find_role(tier: Tier) -> Role | None:
    """Return the role that speaks SIP to the outside."""
    return next((role for role in tier.roles if ADDRESS in role.services), None)


def is_pair(settings: Settings) -> bool:
    """Tell whether two nodes take turns for SIP."""
    role = find_role(TIERS[settings.tier])
    return role is not None and settings.counts.get(role.name) == PAIR


def goes_on_elsewhere(plan: Plan, service: Service, node: Node) -> bool:
    """Tell whether another node of the role goes on with what a service does on a node."""
    moves = service.moves or (bool(plan.sip_address) and service.name in FOLLOWING)
    return moves and len(plan.candidates(service.name, node)) > 1


def add_standby(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue as two nodes for SIP have it: what speaks SIP moves by one lock, and calls are copied."""
    return take_turns(catalogue) if is_pair(settings) else catalogue


def check_standby(draft: Draft) -> Iterator[Problem]:
    """Find a second node for SIP where its address cannot move with it."""
    if not is_pair(draft.settings):
        return
    role = find_role(draft.tier)
    assert role
    if not draft.facts.address_moves or WEB not in role.services:
        where = f"tier {draft.tier.name}"
        if WEB in role.services:
            where = f"{draft.facts.title} with its network" if draft.facts.trial else draft.facts.title
        yield setting_problem(
            f"counts.{role.name}",
            PAIR,
            f"a second node that takes calls over is not built for {where} yet, only for webitel:cloud = local with "
            "webitel:local_network = bridged and webitel:tier = basic; use 1",
        )


def choose_address(draft: Draft) -> str:
    """Return the address that the two nodes have in turn, the last of their role's near places; "" where one node has its own."""
    role = find_role(draft.tier)
    if role is None or not is_pair(draft.settings):
        return ""
    index = draft.tier.roles.index(role)
    subnet = subnet_of(draft.network, draft.facts, draft.public_of(role.name))
    return str(subnet.network_address + address_offset(draft.facts.first_host, index, NEAR_NODES))
