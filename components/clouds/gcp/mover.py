"""The addresses that two nodes for SIP have in turn: forwarded whole to one instance, and the right of the nodes to say which.

Nothing here says where the addresses are: the node that takes calls has the rules lead to itself, and what Pulumi reads
afterwards is no change. Source: `facts/edge-google.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi_gcp import compute, config, projects, serviceaccount

from components.clouds.gcp.accounts import name_account
from components.model.naming import SIP
from components.model.plan import Node, Plan

OUTSIDE, INSIDE = "outside", ("tcp", "udp")
"""The rule of the public address, of all protocols, and those of the private one: inside none is documented for all."""
MOVE = ("compute.forwardingRules.get", "compute.forwardingRules.setTarget")
"""Of these rules alone."""
LEAD = ("compute.targetInstances.use",)
"""To what a rule may lead; a condition on names of these is not documented, so it is of the project's."""
SCOPE = "https://www.googleapis.com/auth/compute"
"""The narrowest with forwardingRules.setTarget (discovery document of compute v1)."""


class Mover:
    """One public address and one private one, their rules, and an account for the machines that take turns."""

    def __init__(self, plan: Plan, labels: Mapping[str, str], parent: pulumi.Resource) -> None:
        self.plan, self.labels, self.parent = plan, labels, parent
        self.address = compute.Address(
            SIP, name=f"{plan.stack}-{SIP}", region=plan.region, address_type="EXTERNAL", labels=labels, opts=self.kept()
        )
        self.account = serviceaccount.Account(
            SIP,
            account_id=name_account(plan.stack, SIP),
            display_name=f"{plan.stack}: moves the address of SIP",
            opts=ResourceOptions(parent=parent),
        )
        self.targets: dict[str, list[compute.TargetInstance]] = {side: [] for side in (OUTSIDE, *INSIDE)}

    @property
    def handle(self) -> str:
        """What a node knows the rules by: their paths, one after the other."""
        at = f"projects/{config.project}/regions/{self.plan.region}/forwardingRules"
        return " ".join(f"{at}/{name_rule(self.plan.stack, side)}" for side in self.targets)

    def kept(self) -> ResourceOptions:
        """Options of what holds an address."""
        return ResourceOptions(parent=self.parent, protect=self.plan.facts.in_earnest)

    def identity(self) -> compute.InstanceServiceAccountArgs:
        """Whose rights the machine has."""
        return compute.InstanceServiceAccountArgs(email=self.account.email, scopes=[SCOPE])

    def aim(self, node: Node, zone: str, instance: compute.Instance, group: pulumi.Resource) -> None:
        """Create what the rules lead to on a node: one for each, since Google changes those of one after the other."""
        for side, targets in self.targets.items():
            targets.append(
                compute.TargetInstance(
                    f"{node.key}-{side}",
                    name=f"{node.name}-{side}",
                    zone=zone,
                    instance=instance.self_link,
                    opts=ResourceOptions(parent=group, delete_before_replace=True),
                )
            )

    def forward(self, network: Input[str], subnetwork: Input[str]) -> None:
        """Create the rules, at first to the first node."""
        shared = compute.Address(
            f"{SIP}-inside",
            name=f"{self.plan.stack}-{SIP}-inside",
            region=self.plan.region,
            address_type="INTERNAL",
            purpose="SHARED_LOADBALANCER_VIP",
            subnetwork=subnetwork,
            address=self.plan.sip_address,
            labels=self.labels,
            opts=self.kept(),
        )
        outside = self.create_rule(
            OUTSIDE,
            load_balancing_scheme="EXTERNAL",
            ip_address=self.address.address,
            ip_protocol="L3_DEFAULT",
            network_tier=self.address.network_tier,
        )
        inside = [
            self.create_rule(
                side,
                load_balancing_scheme="INTERNAL",
                ip_address=shared.address,
                ip_protocol=side.upper(),
                network=network,
                subnetwork=subnetwork,
                network_tier="PREMIUM",  # a project may have another one by default, which is refused inside
            )
            for side in INSIDE
        ]
        self.allow([outside, *inside])

    def create_rule(self, side: str, **what: Any) -> compute.ForwardingRule:
        """Create a rule of all ports. It goes before everything that it may lead to by then."""
        options = self.kept()
        options.ignore_changes, options.depends_on = ["target"], [*self.targets[side]]
        return compute.ForwardingRule(
            f"{SIP}-{side}",
            name=name_rule(self.plan.stack, side),
            region=self.plan.region,
            all_ports=True,
            target=self.targets[side][0].self_link,
            labels=self.labels,
            opts=options,
            **what,
        )

    def allow(self, rules: list[compute.ForwardingRule]) -> None:
        """Allow the account to have these rules lead elsewhere."""
        names = Output.all(*(rule.id for rule in rules))
        condition = projects.IAMMemberConditionArgs(
            title=f"{self.plan.stack}: the address of SIP",
            expression=names.apply(lambda found: " || ".join(f'resource.name == "{name}"' for name in found)),
        )
        self.bind("move", MOVE, condition)
        self.bind("lead", LEAD, None)

    def bind(self, verb: str, rights: tuple[str, ...], condition: projects.IAMMemberConditionArgs | None) -> None:
        """Give the account a role with these rights."""
        role = projects.IAMCustomRole(
            f"{SIP}-{verb}",
            role_id=f"{self.plan.stack.replace('-', '_')}_{SIP}_{verb}",
            title=f"{self.plan.stack}: {verb} the address of SIP",
            permissions=list(rights),
            opts=ResourceOptions(parent=self.parent),
        )
        projects.IAMMember(
            f"{SIP}-{verb}",
            project=str(config.project),
            role=role.name,
            member=self.account.member,
            condition=condition,
            opts=ResourceOptions(parent=self.parent),
        )


def name_rule(stack: str, side: str) -> str:
    """Return what a rule is called; its last word is also that of what it leads to."""
    return f"{stack}-{SIP}-{side}"
