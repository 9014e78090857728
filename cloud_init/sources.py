"""Who a rule of a node's nftables lets in, each role's addresses written once: of a hundred nodes they would fill the file."""

from __future__ import annotations

from collections.abc import Iterable

from components.model.plan import Node, Plan
from components.model.planning.firewall import NodeRule


def list_others(plan: Plan, node: Node) -> dict[str, tuple[str, ...]]:
    """List the keys of all other nodes by role."""
    roles = dict.fromkeys(other.role for other in plan.nodes)
    others = {role: tuple(one.key for one in plan.nodes if one.role == role and one.key != node.key) for role in roles}
    return {role: keys for role, keys in others.items() if keys}


def split_sources(rule: NodeRule, others: dict[str, tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Split the nodes that a rule lets in into roles of which it lets in every node, and the keys of the remaining nodes."""
    let_in = set(rule.nodes)
    whole = [role for role, keys in others.items() if let_in.issuperset(keys)]
    named = {key for role in whole for key in others[role]}
    return whole, [key for key in rule.nodes if key not in named]


def list_roles(rules: Iterable[NodeRule], others: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """List the roles that some rule lets in as a whole, with the keys of their nodes."""
    used = {role for rule in rules for role in split_sources(rule, others)[0]}
    return {role: keys for role, keys in others.items() if role in used}
