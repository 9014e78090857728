"""The address that two nodes for SIP have in turn: an Elastic IP, and the right of their machines to move it.

Nothing here says where the address is: the node that takes calls moves it, and what Pulumi reads afterwards is no change.
Source: `facts/edge-aws.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pulumi
from pulumi import Output, ResourceOptions
from pulumi_aws import ec2, iam

from components.clouds.aws.policies import write_policy
from components.model.naming import SIP
from components.model.plan import Plan

MOVE, ASSOCIATE = "ec2:AssignPrivateIpAddresses", "ec2:AssociateAddress"
"""The first moves the private address, and the Elastic IP with it; the second ties the two where nothing has yet."""


class Mover:
    """One Elastic IP, one role, one profile for the machines that take turns; `is_named`: the address leads back to a name."""

    def __init__(self, plan: Plan, tags: Callable[[str], dict[str, str]], parent: pulumi.Resource) -> None:
        self.plan, self.is_named = plan, False
        child = ResourceOptions(parent=parent)
        kept = ResourceOptions(parent=parent, protect=plan.facts.in_earnest)
        self.address = ec2.Eip(SIP, domain="vpc", tags=tags(SIP), opts=kept)
        # Names of IAM are the account's, not a region's.
        self.name = f"{plan.stack}-{SIP}-{plan.region}"
        self.role = iam.Role(
            SIP,
            name=self.name,
            description="Moves the address of SIP to the machine that takes calls",
            assume_role_policy=write_policy([{"Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}]),
            tags=tags(SIP),
            opts=child,
        )
        self.profile = iam.InstanceProfile(SIP, name=self.name, role=self.role.name, tags=tags(SIP), opts=child)

    def options(self, group: pulumi.Resource) -> ResourceOptions:
        """Options of an interface to which the address comes and from which it goes. Deleted before the Elastic IP is, which EC2
        does not release while it is associated, and its provider learns of that at a refresh only."""
        return ResourceOptions(parent=group, delete_before_replace=True, ignore_changes=["privateIps"], depends_on=[self.address])

    def allow(self, interfaces: Sequence[ec2.NetworkInterface], addresses: Sequence[ec2.Eip]) -> None:
        """Allow the machines with these interfaces, and these addresses of their own, to move the one that they have in turn."""
        known = Output.all(
            Output.all(*(one.arn for one in interfaces)),
            Output.all(*(one.public_ip for one in addresses)),
            self.address.arn,
        )
        iam.RolePolicy(
            SIP,
            name=self.name,
            role=self.role.name,
            policy=known.apply(lambda found: write_policy(list_rights(found[0], found[1], found[2], self.at_home))),
            opts=ResourceOptions(parent=self.role),
        )

    @property
    def at_home(self) -> str:
        """Return how the condition on the sender's address is asked: in a company's network requests may go through an endpoint
        of EC2's, which tells of none."""
        return "IpAddressIfExists" if self.plan.existing else "IpAddress"


def list_rights(interfaces: Sequence[str], senders: Sequence[str], address: str, condition: str) -> list[dict[str, Any]]:
    """List what is allowed: by ARN, since both actions know resources (service authorization reference), and from the machines'
    own public addresses only."""
    origin = {"Condition": {condition: {"aws:SourceIp": [f"{one}/32" for one in senders]}}}
    return [
        {"Action": MOVE, "Resource": list(interfaces), **origin},
        {"Action": ASSOCIATE, "Resource": [address, *interfaces], **origin},
    ]
