"""AWS: roles, their policies and profiles, and what a machine's role lets it do with addresses (`facts/edge-aws.md` 1, 2)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

from provider.server import UNKNOWN, Failure, Properties
from tests.simulator.aws.resources import EIP, INSTANCE, INTERFACE, OWNER, SUBNET, Aws
from tests.simulator.call import Call
from tests.simulator.world import Refused, Thing, World, address_token

ROLE, PROFILE, POLICY = "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile", "aws:iam/rolePolicy:RolePolicy"
ASSIGN, ASSOCIATE = "ec2:AssignPrivateIpAddresses", "ec2:AssociateAddress"
_NAME = re.compile(r"[\w+=,.@-]{1,64}")


def read_policy(text: str) -> list[dict[str, Any]]:
    """The statements of a policy, as IAM takes it."""
    try:
        statements = json.loads(text)["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("MalformedPolicyDocument: Syntax errors in policy.") from error
    statements = statements if isinstance(statements, list) else [statements]
    for one in statements:
        if one.get("Effect") not in ("Allow", "Deny") or not (one.get("Action") or one.get("NotAction")):
            raise Refused("MalformedPolicyDocument: a statement needs Effect, Action")
    return statements


class Iam(Aws):
    """Found by their names, which are the account's, in no region."""

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        name = inputs.get("name")
        if name not in (None, UNKNOWN) and not _NAME.fullmatch(str(name)):
            yield Failure("name", f"invalid value for name ({name}): up to 64 letters, digits and + = , . @ - _")

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])


class Role(Iam):
    type = ROLE

    def make(self, call: Call) -> Properties:
        for one in read_policy(call.inputs["assumeRolePolicy"]):
            if not one.get("Principal"):
                raise Refused("MalformedPolicyDocument: Missing required field Principal")
        return {**super().make(call), "arn": f"arn:aws:iam::{OWNER}:role/{call.id}", "uniqueId": f"AROA{call.id.upper()}"[:21]}


class InstanceProfile(Iam):
    """It holds its role: that is not deleted before."""

    type = PROFILE
    references: ClassVar = {"role": ROLE}

    def make(self, call: Call) -> Properties:
        return {**super().make(call), "arn": f"arn:aws:iam::{OWNER}:instance-profile/{call.id}"}


class RolePolicy(Iam):
    """Of one role, which is not deleted before."""

    type = POLICY
    references: ClassVar = {"role": ROLE}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['role']}:{call.inputs['name']}"

    def make(self, call: Call) -> Properties:
        for one in read_policy(call.inputs["policy"]):
            if not (one.get("Resource") or one.get("NotResource")):
                raise Refused("MalformedPolicyDocument: Policy statement must contain resources.")
        return super().make(call)


TYPES = (Role, InstanceProfile, RolePolicy)


def is_allowed(world: World, instance: Thing, action: str, arn: str, sender: str) -> bool:
    """Whether the role of an instance may do something to a resource, asked from an address."""
    profile = world.find(PROFILE, str(instance.get("iamInstanceProfile")))
    policies = [one for one in world.all(POLICY) if profile and one.inputs["role"] == profile.inputs["role"]]
    for one in (one for policy in policies for one in read_policy(policy.inputs["policy"])):
        actions, resources = (found if isinstance(found, list) else [found] for found in (one["Action"], one["Resource"]))
        asked = (one.get("Condition") or {}).get("IpAddress", {}).get("aws:SourceIp")
        near = asked is None or any(ip_address(sender) in ip_network(network) for network in asked)
        if near and any(fnmatchcase(action, name) for name in actions) and any(fnmatchcase(arn, name) for name in resources):
            return True
    return False


class Node:
    """A machine that moves the address, as its program does. Raises Refused where EC2 would refuse it."""

    def __init__(self, world: World, key: str, sender: str = "") -> None:
        """`sender`: the address from which it asks, its own one by default."""
        self.world = world
        (self.instance,) = [one for one in world.all(INSTANCE) if one.urn.endswith(f"::{key}")]
        interface = world.find(INTERFACE, str(self.instance.get("primaryNetworkInterfaceId")))
        assert interface
        self.interface = interface
        ties = [one for one in world.all("aws:ec2/eipAssociation:EipAssociation") if one.urn.endswith(f"::{key}")]
        self.sender = sender or str(ties[0].get("publicIp"))

    def check(self, action: str, *things: Thing) -> None:
        """Every resource that the action touches has to be allowed."""
        for thing in things:
            if not is_allowed(self.world, self.instance, action, str(thing.get("arn")), self.sender):
                raise Refused(f"UnauthorizedOperation: You are not authorized to perform this operation: {action} on {thing.id}")

    def assign(self, address: str) -> None:
        """AssignPrivateIpAddresses with AllowReassignment; what is associated with the address comes along."""
        self.check(ASSIGN, self.interface)
        subnet = self.world.find(SUBNET, self.interface.inputs["subnetId"])
        assert subnet
        if ip_address(address) not in ip_network(subnet.inputs["cidrBlock"]):
            raise Refused(f"InvalidParameterValue: Address {address} does not fall within the subnet's address range")
        token = address_token(subnet.inputs["vpcId"], address)
        with self.world.change():
            for other in self.world.all(INTERFACE):
                if address in (other.get("privateIps") or []):
                    if other.outputs["privateIp"] == address:
                        raise Refused(f"InvalidParameterValue: {address} is the primary address of {other.id}")
                    kept = [one for one in other.get("privateIps") if one != address]
                    self.put(other, kept, [one for one in other.holds if one != token])
            mine = self.world.find(INTERFACE, self.interface.id)
            assert mine
            self.put(mine, [*mine.get("privateIps"), address], [*mine.holds, token])
            for elastic in self.world.all(EIP):
                if elastic.outputs.get("privateIp") == address:
                    self.world.put(replace(elastic, outputs={**elastic.outputs, "networkInterface": mine.id}))

    def put(self, interface: Thing, addresses: list[str], holds: list[str]) -> None:
        inputs, outputs = ({**values, "privateIps": addresses} for values in (interface.inputs, interface.outputs))
        self.world.put(replace(interface, inputs=inputs, outputs=outputs, holds=holds))

    def associate(self, address: str, allocation: str) -> None:
        """AssociateAddress with a private address that the interface has."""
        elastic, mine = self.world.find(EIP, allocation), self.world.find(INTERFACE, self.interface.id)
        assert elastic and mine
        self.check(ASSOCIATE, elastic, mine)
        if address not in mine.get("privateIps"):
            raise Refused(f"InvalidParameterValue: {address} is not assigned to {mine.id}")
        tied = {"networkInterface": mine.id, "privateIp": address, "associationId": f"eipassoc-{self.world.next_number():017x}"}
        self.world.disturb(EIP, allocation, **tied)
