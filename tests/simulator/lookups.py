"""Functions that find what exists, by id, name, tags or another input: how a lost creation is found again.

Only functions of the real SDKs, with their arguments; none finds more than one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provider.server import Properties, ProviderError
from tests.simulator.resource import Account
from tests.simulator.world import Thing

Function = Callable[[Account, Properties], Properties]

_NAMES: Mapping[str, tuple[str, ...]] = {
    "hcloud:index": ("Network", "Server", "Firewall", "SshKey", "PrimaryIp", "Volume", "PlacementGroup", "Zone", "ZoneRrset"),
    "digitalocean:index": ("Vpc", "Droplet", "Firewall", "Volume", "SshKey", "Tag", "ReservedIp", "Domain", "Record"),
    "aws:ec2": ("Vpc", "Subnet", "InternetGateway", "NatGateway", "RouteTable", "SecurityGroup", "NetworkInterface", "ElasticIp",
                "Instance", "KeyPair"),
    "aws:vpc": ("SecurityGroupRule",),
    "aws:ebs": ("Volume",),
    "gcp:compute": ("Network", "Subnetwork", "Router", "RouterNat", "Address", "Instance", "Disk", "ResourcePolicy"),
}
_TYPES = {
    "digitalocean:index/getRecord": "digitalocean:index/dnsRecord:DnsRecord", "aws:ec2/getElasticIp": "aws:ec2/eip:Eip",
}
_IDS = {"id", "firewallId", "internetGatewayId", "routeTableId", "instanceId", "securityGroupRuleId", "selfLink"}
_TAGS = {"tags", "instanceTags"}
_OPTIONS = {"mostRecent", "withSelector", "withStatuses", "region", "project", "includePublicKey", "getUserData", "gpu"}
_FILTERS = {"vpc-id": "vpcId", "subnet-id": "subnetId", "group-name": "name", "group-id": "securityGroupId",
            "availability-zone": "availabilityZone"}


def make_functions(package: str) -> Mapping[str, Function]:
    """The functions of a package by token."""
    return {
        f"{module}/get{name}:get{name}": _make(module, name)
        for module, names in _NAMES.items() if module.partition(":")[0] == package for name in names
    }


def _make(module: str, name: str) -> Function:
    types = [_TYPES.get(f"{module}/get{name}", f"{module}/{name[0].lower()}{name[1:]}:{name}")]
    if name == "SecurityGroupRule":
        types = [f"aws:vpc/securityGroup{side}Rule:SecurityGroup{side}Rule" for side in ("Ingress", "Egress")]

    def look_up(account: Account, arguments: Properties) -> Properties:
        asked = {key: value for key, value in arguments.items() if value is not None and key not in _OPTIONS}
        if not asked:
            raise ProviderError(f"get{name}: nothing to look for, give an id or a name")
        found = [thing for type in types for thing in account.world.all(type) if _fits(thing, asked)]
        if len(found) != 1:
            raise ProviderError(f"get{name}: {len(found) or 'no'} {name} found for {asked}")
        return {**arguments, **found[0].inputs, **found[0].outputs, "id": found[0].id}

    return look_up


def _fits(thing: Thing, asked: Properties) -> bool:
    tags = thing.inputs.get("tags") or {}
    for key, value in asked.items():
        if key in _IDS:
            fits = str(value) in (thing.id, thing.get("selfLink"))
        elif key in _TAGS and isinstance(value, dict):
            fits = tags.items() >= value.items()
        elif key == "filters":
            fits = all(_filter_fits(thing, tags, one["name"], one["values"]) for one in value)
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
