"""Google Cloud: rules that forward an address to one instance, accounts, their roles, and what a machine's account lets it do
(`facts/edge-google.md` 1-3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from provider.server import Properties
from tests.simulator.call import Call
from tests.simulator.gcp.resources import ADDRESS, INSTANCE, LINK, NETWORK, SUBNETWORK, Google, take_private
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing, World

TARGET, RULE = "gcp:compute/targetInstance:TargetInstance", "gcp:compute/forwardingRule:ForwardingRule"
ACCOUNT, MEMBER = "gcp:serviceaccount/account:Account", "gcp:projects/iAMMember:IAMMember"
ROLE, KEY = "gcp:projects/iAMCustomRole:IAMCustomRole", "gcp:serviceaccount/key:Key"
SCOPES = {"https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/compute"}
_EQUALS = re.compile(r'resource\.name == "([^"]+)"')
_RIGHT = re.compile(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+")


class TargetInstance(Google):
    """Of one instance of its zone."""

    type = TARGET

    def make(self, call: Call) -> Properties:
        instance = self.refer(call, INSTANCE, call.inputs["instance"], "instance")
        made = super().make(call)
        if instance.get("zone") != made["zone"]:
            raise Refused(f"googleapi: Error 400: instance {instance.id} and the target instance are in different zones")
        return made


class ForwardingRule(Google):
    """Of an address of the region; keeps what it leads to."""

    type = RULE

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if inputs.get("ipProtocol") == "L3_DEFAULT" and not inputs.get("allPorts"):
            raise Refused("googleapi: Error 400: The L3_DEFAULT protocol requires allPorts be set to true")
        if sum(bool(inputs.get(name)) for name in ("allPorts", "ports", "portRange")) > 1:
            raise Refused("googleapi: Error 400: ports, portRange and allPorts are mutually exclusive")
        if not inputs.get("target"):
            raise Refused("googleapi: Error 400: Invalid value for field 'resource.target': ''")
        target = self.refer(call, TARGET, inputs["target"], "target")
        made = super().make(call)
        if not target.get("zone").startswith(made["region"]):
            raise Refused(f"googleapi: Error 400: target {target.id} is not in region {made['region']}")
        address = self._take_inside(call) if inputs["loadBalancingScheme"] == "INTERNAL" else self._take_outside(call)
        number = call.lasting("forwardingRuleId", str)
        return {**made, "ipAddress": address, "target": LINK + target.id, "forwardingRuleId": number}

    def _take_inside(self, call: Call) -> str:
        if not call.inputs.get("subnetwork"):
            raise Refused("googleapi: Error 400: a network in custom subnet mode needs the subnetwork")
        if call.inputs.get("ipProtocol") not in ("TCP", "UDP"):
            raise Refused("googleapi: Error 400: internal protocol forwarding is documented for TCP and UDP")
        self.refer(call, NETWORK, call.inputs["network"], "network")
        subnetwork = self.refer(call, SUBNETWORK, call.inputs["subnetwork"], "subnetwork")
        for address in call.world.all(ADDRESS):
            shared = address.get("purpose") == "SHARED_LOADBALANCER_VIP"
            if shared and subnetwork.key in address.uses and address.get("address") == call.inputs.get("ipAddress"):
                call.use(address)
                call.hold(f"{call.inputs['ipProtocol']} of {address.id}")
                return str(address.get("address"))
        return take_private(call, subnetwork, call.inputs.get("ipAddress") or call.outputs.get("ipAddress"))

    def _take_outside(self, call: Call) -> str:
        wanted = call.inputs.get("ipAddress")
        for address in call.world.all(ADDRESS):
            if wanted in (address.get("address"), address.id, LINK + address.id):
                call.use(address)
                call.hold(f"use of {address.id}")
                return str(address.get("address"))
        raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.IPAddress': '{wanted}'. It was not found.")


class Account(Google):
    """Its keys go with it."""

    type = ACCOUNT

    def make_id(self, call: Call) -> str:
        project = self.place(call, "project")
        return f"projects/{project}/serviceAccounts/{call.inputs['accountId']}@{project}.iam.gserviceaccount.com"

    def make(self, call: Call) -> Properties:
        email = call.id.rpartition("/")[2]
        return {
            "project": self.place(call, "project"),
            "email": email,
            "member": f"serviceAccount:{email}",
            "name": call.id,
            "uniqueId": call.lasting("uniqueId", str),
        }

    def end(self, call: Call, thing: Thing) -> None:
        super().end(call, thing)
        for key in call.world.all(KEY):
            if key.inputs["serviceAccountId"] == thing.id:
                call.world.drop(key)


class CustomRole(Google):
    type = ROLE

    def make_id(self, call: Call) -> str:
        return f"projects/{self.place(call, 'project')}/roles/{call.inputs['roleId']}"

    def make(self, call: Call) -> Properties:
        if wrong := [one for one in call.inputs["permissions"] if not _RIGHT.fullmatch(one)]:
            raise Refused(f"googleapi: Error 400: Permission {wrong[0]} is not valid.")
        return {"project": self.place(call, "project"), "name": call.id, "deleted": False}


class Member(Simulated):
    """One member of a role, with a condition or none. A role that is deleted counts for nothing, so it goes first."""

    type = MEMBER

    def make_id(self, call: Call) -> str:
        inputs = call.inputs
        title = f"/{inputs['condition']['title']}" if inputs.get("condition") else ""
        return f"{inputs['project']}/{inputs['role']}/{inputs['member']}{title}"

    def make(self, call: Call) -> Properties:
        call.use(call.find(ROLE, call.inputs["role"]))
        if call.inputs["member"] not in {one.get("member") for one in call.world.all(ACCOUNT)}:
            raise Refused(f"googleapi: Error 400: Service account {call.inputs['member']} does not exist., badRequest")
        return {"etag": "e"}


TYPES = (TargetInstance, ForwardingRule, Account, CustomRole, Member)


def list_rights(world: World, member: str, name: str) -> Iterator[str]:
    """What a member may do to a thing of that name."""
    for one in world.all(MEMBER):
        role = world.find(ROLE, one.inputs["role"])
        condition = one.inputs.get("condition")
        if one.inputs["member"] == member and role and (not condition or name in _EQUALS.findall(condition["expression"])):
            yield from role.inputs["permissions"]


class Node:
    """A machine that asks Google as its program does. Raises Refused where Google would refuse it."""

    def __init__(self, world: World, key: str) -> None:
        self.world = world
        (self.instance,) = [one for one in world.all(INSTANCE) if one.urn.endswith(f"::{key}")]

    def check(self, right: str, thing: Thing) -> None:
        """The machine's scopes and its account's roles both have to allow it."""
        account = self.instance.get("serviceAccount") or {}
        member = f"serviceAccount:{account.get('email')}"
        if not SCOPES & {*account.get("scopes", ())} or right not in list_rights(self.world, member, thing.id):
            raise Refused(f"googleapi: Error 403: Required '{right}' permission for '{thing.id}', forbidden")

    def find(self, type: str, path: str) -> Thing:
        """What a path leads to."""
        found = self.world.find(type, path.removeprefix(LINK))
        if not found:
            raise Refused(f"googleapi: Error 404: The resource '{path}' was not found, notFound")
        return found

    def read(self, rule: str) -> str:
        """forwardingRules.get: where the rule leads."""
        found = self.find(RULE, rule)
        self.check("compute.forwardingRules.get", found)
        return str(found.get("target"))

    def aim(self, rule: str, target: str) -> None:
        """forwardingRules.setTarget."""
        found = self.find(RULE, rule)
        self.check("compute.forwardingRules.setTarget", found)
        wanted = self.find(TARGET, target)
        self.check("compute.targetInstances.use", wanted)
        kept = [key for key in found.uses if not key.startswith(f"{TARGET}|")]
        inputs, outputs = ({**values, "target": LINK + wanted.id} for values in (found.inputs, found.outputs))
        with self.world.change():
            self.world.put(replace(found, inputs=inputs, outputs=outputs, uses=[*kept, wanted.key]))

    def take(self) -> None:
        """Have all rules lead here."""
        for rule in self.world.all(RULE):
            self.aim(rule.id, self.aim_of(rule.id))

    def aim_of(self, rule: str) -> str:
        """What a rule leads to on this machine."""
        return f"{self.instance.id.replace('/instances/', '/targetInstances/')}-{rule.rpartition('-')[2]}"
