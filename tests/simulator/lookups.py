"""Functions that find what exists, by id, name, tags or another input: how a lost creation is found again.

Only functions of the real SDKs, with their arguments: those that tell of one thing and fail without it, and those that
list all that fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider.server import Properties, ProviderError
from tests.simulator.call import Account
from tests.simulator.world import Thing

Function = Callable[[Account, Properties], Properties]

_RULES = [f"aws:vpc/securityGroup{side}Rule:SecurityGroup{side}Rule" for side in ("Ingress", "Egress")]
_TIE = "aws:ec2/eipAssociation:EipAssociation"
_IDS = {"id", "firewallId", "internetGatewayId", "routeTableId", "instanceId", "securityGroupRuleId", "selfLink"}
_TAGS = {"tags", "instanceTags"}
_OPTIONS = {"mostRecent", "withSelector", "withStatuses", "region", "project", "includePublicKey", "getUserData", "gpu"}
_FILTERS = {
    "vpc-id": "vpcId",
    "subnet-id": "subnetId",
    "group-name": "name",
    "group-id": "securityGroupId",
    "availability-zone": "availabilityZone",
}


@dataclass(frozen=True)
class Lookups:
    """A package's functions: `names` of things by module, each told alone; `lists` by token with the type and where the
    answer has the ids, or the things; `nothing` is what one says that found none; `types` of things with another name."""

    names: Mapping[str, tuple[str, ...]]
    nothing: str
    lists: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    def make_functions(self) -> Mapping[str, Function]:
        """The functions by token."""
        single = {
            f"{module}/get{name}:get{name}": _make(self, module, name) for module, names in self.names.items() for name in names
        }
        return single | {f"{token}:{token.rpartition('/')[2]}": _make_list(*found) for token, found in self.lists.items()}


def _make_list(type: str, field: str) -> Function:
    types = _RULES if type.startswith("aws:vpc/securityGroupRule") else [type]

    def look_up(account: Account, arguments: Properties) -> Properties:
        asked = dict(arguments)
        if (selector := asked.pop("withSelector", None)) is not None:
            asked["labels"] = dict(part.split("=", 1) for part in selector.split(","))
        # Nothing here is stopped, or on its way.
        asked = {name: value for name, value in asked.items() if value is not None and name != "instanceStateNames"}
        if "filters" in asked:
            asked["filters"] = [one for one in asked["filters"] if one.get("name") != "state"]
        found = [thing for type in types for thing in account.world.all(type) if _fits(thing, asked)]
        if type.startswith("aws:"):
            return {**arguments, field: [thing.id for thing in found]}
        return {**arguments, field: [{**thing.inputs, **thing.outputs, "id": int(thing.id)} for thing in found]}

    return look_up


def _make(lookups: Lookups, module: str, name: str) -> Function:
    types = [lookups.types.get(f"{module}/get{name}", f"{module}/{name[0].lower()}{name[1:]}:{name}")]
    if name == "SecurityGroupRule":
        types = _RULES

    def look_up(account: Account, arguments: Properties) -> Properties:
        asked = {key: value for key, value in arguments.items() if value is not None and key not in _OPTIONS}
        if not asked:
            raise ProviderError(f"get{name}: nothing to look for, give an id or a name")
        found = [thing for type in types for thing in account.world.all(type) if _fits(thing, asked)]
        if not found:
            shown = name.lower().replace("vpc", "VPC") if "digitalocean" in module else name
            raise ProviderError(lookups.nothing.format(name=shown, asked={"name": "", **asked}))
        if len(found) > 1:
            raise ProviderError(f"get{name}: {len(found)} {name} found for {asked}")
        # An address tells what it is tied to, whoever tied it.
        ties = [one.id for one in account.world.all(_TIE) if one.inputs.get("allocationId") == found[0].id]
        tied = {"associationId": ties[0] if ties else ""} if name == "ElasticIp" else {}
        return {**arguments, **found[0].inputs, **found[0].outputs, **tied, "id": found[0].id}

    return look_up


def _fits(thing: Thing, asked: Properties) -> bool:
    tags = thing.inputs.get("tags") or {}
    for key, value in asked.items():
        if key in _IDS:
            fits = str(value) in (thing.id, thing.get("selfLink"))
        elif key in _TAGS and isinstance(value, dict):
            fits = tags.items() >= value.items()
        elif key == "labels":
            fits = (thing.inputs.get("labels") or {}).items() >= value.items()
        elif key == "filters":
            fits = all(
                thing.get(one["key"]) in one["values"] if "key" in one else _filter_fits(thing, tags, one["name"], one["values"])
                for one in value
            )
        else:
            fits = str(thing.get(key)) == str(value)
        if not fits:
            return False
    return True


def _filter_fits(thing: Thing, tags: Mapping[str, Any], name: str, values: list[str]) -> bool:
    if name.startswith("tag:"):
        return tags.get(name[4:]) in values
    if name not in _FILTERS:
        raise ProviderError(f"InvalidParameterValue: The filter '{name}' is invalid")
    return thing.get(_FILTERS[name]) in values
