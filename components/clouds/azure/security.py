"""The rules of Azure's security groups, closed both ways before Azure's own (`facts/clouds.md` 3)."""

from __future__ import annotations

from pulumi_azure_native import network

from components.clouds.rules import Rule, join_networks, name_networks, rules_in, rules_out
from components.model.plan import Plan

PLATFORM = "168.63.129.16"
"""Azure's own services for a machine: its agent and the resolver."""

FIRST, LAST = 100, 4096
"""Priorities of security rules; Azure's own come after."""


def list_rules_in(plan: Plan, role: str) -> list[network.SecurityRuleArgs]:
    """Return what may come to a role's nodes, and the end of that."""
    opened = [
        network.SecurityRuleArgs(
            name=name_rule("in", rule),
            description=purpose,
            priority=priority,
            direction="Inbound",
            access="Allow",
            protocol=rule.protocol.title(),
            source_port_range="*",
            source_address_prefix=(rule.network or None) if not networks else None,
            source_address_prefixes=networks or addresses_of(plan, rule.peer_role),
            destination_address_prefix="*",
            destination_port_range=rule.ports,
        )
        for priority, (rule, purpose, networks) in enumerate(join_networks(plan, role, rules_in(plan, role)), FIRST)
    ]
    # Azure's own rules let everything pass inside the network.
    return [*opened, close("Inbound")]


def list_rules_out(plan: Plan, role: str) -> list[network.SecurityRuleArgs]:
    """Return where a role's nodes may go, and the end of that."""
    opened = [
        network.SecurityRuleArgs(
            name=name_rule("out", rule),
            description=purpose,
            priority=priority,
            direction="Outbound",
            access="Allow",
            protocol=rule.protocol.title(),
            source_address_prefix="*",
            source_port_range="*",
            destination_address_prefix=rule.network if not networks else None,
            destination_address_prefixes=networks,
            destination_port_range=rule.ports,
        )
        for priority, (rule, purpose, networks) in enumerate(join_networks(plan, role, rules_out(plan, role)), FIRST)
    ]
    # The order of those that there always were keeps their priorities.
    first, *more = name_networks(plan.networks).items()
    named = (first, ("platform", PLATFORM), *more)
    # Inside the network the group at the other end decides; Azure's agent needs Azure.
    inside = [
        network.SecurityRuleArgs(
            name=f"out-{name}",
            priority=LAST - before,
            direction="Outbound",
            access="Allow",
            protocol="*",
            source_address_prefix="*",
            source_port_range="*",
            destination_address_prefix=destination,
            destination_port_range="*",
        )
        for before, (name, destination) in enumerate(named, 1)
    ]
    return [*opened, *inside, close("Outbound")]


def addresses_of(plan: Plan, role: str) -> list[str] | None:
    """Return a role's nodes as a source, by their fixed addresses: a further node changes the rules in place."""
    return [node.private_address for node in plan.nodes if node.role == role and node.private_address] if role else None


def name_rule(direction: str, rule: Rule) -> str:
    """Make a name of letters, digits, dots and hyphens."""
    return f"{direction}-{rule.key}".replace("/", "-")


def close(direction: str) -> network.SecurityRuleArgs:
    """Return the rule before Azure's own."""
    return network.SecurityRuleArgs(
        name=f"close-{direction.lower()}",
        priority=LAST,
        direction=direction,
        access="Deny",
        protocol="*",
        source_address_prefix="*",
        source_port_range="*",
        destination_address_prefix="*",
        destination_port_range="*",
    )
