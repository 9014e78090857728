"""What a machine may do in the account: nothing, but for the nodes that take turns for SIP, which may move its address (AWS)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from policy.resources import SERVED, role_of
from policy.values import Inputs, maps_of, texts_of

ALLOWED = frozenset({"ec2:AssignPrivateIpAddresses", "ec2:AssociateAddress"})
"""Both know resources, so that none is every one (service authorization reference of EC2)."""

POLICIES = (
    "aws:iam/groupPolicy:GroupPolicy",
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/userPolicy:UserPolicy",
)
ATTACHMENTS = ("aws:iam/policyAttachment:PolicyAttachment", "aws:iam/rolePolicyAttachment:RolePolicyAttachment")


def check_rights(type: str, inputs: Inputs) -> Iterator[str]:
    """Find rights beyond the two, rights on what is not named, and machines with a role that need none."""
    if type in POLICIES:
        yield from check_policy("policy", inputs.get("policy"))
    if type in ATTACHMENTS:
        yield "a policy that others write: write one with the rights that are needed"
    if type == "aws:iam/role:Role":
        for one in maps_of(inputs.get("inlinePolicies")):
            yield from check_policy("inlinePolicies", one.get("policy"))
        for arn in texts_of(inputs.get("managedPolicyArns")):
            yield f"managedPolicyArns: {arn}: write a policy with the rights that are needed"
    if type == "aws:ec2/instance:Instance" and inputs.get("iamInstanceProfile") and role_of(inputs) not in SERVED:
        yield "iamInstanceProfile: the node asks AWS for nothing"


def check_policy(path: str, policy: object) -> Iterator[str]:
    """Find what is too wide in a policy; what a preview does not know yet is judged at the creation."""
    if isinstance(policy, str):
        try:
            policy = json.loads(policy)
        except ValueError:
            yield f"{path}: no JSON"
            return
    if not isinstance(policy, Mapping):
        return
    statements = policy.get("Statement")
    for one in maps_of(statements if isinstance(statements, list | tuple) else [statements]):
        if one.get("Effect") == "Deny":
            continue
        if "NotAction" in one or "NotResource" in one:
            yield f"{path}: NotAction, NotResource: name what is allowed"
        for action in texts_of(one.get("Action")):
            if action not in ALLOWED:
                yield f"{path}: {action}: nodes need no other right than {' and '.join(sorted(ALLOWED))}"
        for resource in texts_of(one.get("Resource")):
            if "*" in resource or "?" in resource:
                yield f"{path}: {resource}: name the interfaces and the address"
