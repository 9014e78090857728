"""What a machine may do in the account: nothing, but for the nodes that take turns for SIP, which may move its address (AWS)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from policy.resources import SERVED, role_of
from policy.values import Inputs, maps_of, texts_of

ALLOWED = frozenset({"ec2:AssignPrivateIpAddresses", "ec2:AssociateAddress"})
"""Both know resources, so that none is every one (service authorization reference of EC2)."""
GOOGLE = frozenset({"compute.forwardingRules.get", "compute.forwardingRules.setTarget", "compute.targetInstances.use"})
"""The first two of named rules alone; with the third by itself nothing can be changed (facts/edge-google.md 2)."""
ON_ITS_OWN = ("_sip_lead",)
"""The end of roles that are bound without a condition."""
GRANTS = ("iAMBinding:IAMBinding", "iAMMember:IAMMember", "iAMPolicy:IAMPolicy")

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
    yield from check_google(type, inputs)


def check_google(type: str, inputs: Inputs) -> Iterator[str]:
    """Find roles with other rights, roles that others write or that are of all things of a project, and accounts of machines
    that need none."""
    if type == "gcp:projects/iAMCustomRole:IAMCustomRole":
        for right in texts_of(inputs.get("permissions")):
            if right not in GOOGLE:
                yield f"permissions: {right}: nodes need no other right than {' and '.join(sorted(GOOGLE))}"
    if type.startswith("gcp:") and type.endswith(GRANTS):
        role = inputs.get("role")
        if not type.startswith("gcp:projects/iAMMember:"):
            yield "it takes rights from others, or gives them: use projects.IAMMember"
        elif isinstance(role, str) and "_sip_" not in role:
            yield f"role: {role}: write a role with the rights that are needed"
        elif isinstance(role, str) and not role.endswith(ON_ITS_OWN) and not inputs.get("condition"):
            yield "condition: name the rules that may be changed"
    if type == "gcp:compute/instance:Instance" and inputs.get("serviceAccount") and role_of(inputs) not in SERVED:
        yield "serviceAccount: the node asks Google for nothing"


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
