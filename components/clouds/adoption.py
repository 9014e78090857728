"""How a resource is found again of which nobody knows whether it was made: by type, from the inputs of its creation.

Sources: the import sections and functions of each provider's documentation, checked against the installed SDKs. What is
found is read by the engine afterwards, so an id made of names may be of something that does not exist.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.request import Request, urlopen

Values = Mapping[str, Any]
Setting = Callable[[str], str]
"""A value of the stack's configuration by its full name, "" without one."""


@dataclass(frozen=True)
class Way:
    """From a creation's inputs to the ids, as the provider takes them for an import, of what it may have made.

    `function` is a function of the provider, asked with `arguments` of the inputs; `nothing` is a regular expression for
    its error that means no more than that there is none. `ask` is for what no function tells. Without both an id is made
    of the inputs alone. `imported`: that id is for an import only, at which the provider finds out the one it reads by.
    """

    ids: Callable[[Values, Values], list[str]]
    function: str = ""
    arguments: Callable[[Values], Values] = lambda inputs: {}
    nothing: str = ""
    ask: Callable[[Setting], Values] | None = None
    imported: bool = False


NONE = "no matching|no results"
"""How functions of AWS' provider say that nothing fits, those that do not answer with an empty list."""

REPEATED = Way(lambda inputs, answer: [])
"""Its provider looks itself before it makes it: made twice it is there once."""


def tell(id: Any) -> str:
    """An id as text: numbers of an answer arrive with a decimal point."""
    return str(int(id)) if isinstance(id, float) else str(id)


def made_of(shape: str, imported: bool = False) -> Way:
    """An id made of inputs."""
    return Way(
        lambda inputs, answer: [shape.format_map({name: tell(value) for name, value in inputs.items()})], imported=imported)


def by_tags(name: str, ids: str = "ids", tags: str = "tags", **more: Any) -> Way:
    """AWS: everything that wears the tags that the program gave it."""
    return Way(
        lambda inputs, answer: list(answer[ids]), f"aws:{name}:{name.rpartition('/')[2]}",
        lambda inputs: {tags: dict(inputs["tags"]), **more}, NONE)


def in_group(path: str) -> Way:
    """Azure: a path made of the subscription, the group and names."""
    return Way(
        lambda inputs, answer: [f"/subscriptions/{answer['subscriptionId']}/resourceGroups/" + path.format_map(inputs)],
        "azure-native:authorization:getClientConfig")


def listed(name: str, field: str) -> Way:
    """Hetzner: by name among what wears the stack's label."""
    return Way(
        lambda inputs, answer: [tell(one["id"]) for one in answer[field] if one["name"] == inputs["name"]],
        f"hcloud:index/{name}:{name}", lambda inputs: {"withSelector": f"stack={inputs['labels']['stack']}"})


def filtered(name: str, field: str) -> Way:
    """DigitalOcean: by name, which several may have, and by tags."""
    return Way(
        lambda inputs, answer: [
            tell(one["id"]) for one in answer[field] if set(inputs.get("tags") or ()) <= set(one.get("tags") or ())],
        f"digitalocean:index/{name}:{name}", lambda inputs: {"filters": [{"key": "name", "values": [inputs["name"]]}]})


def only(name: str, nothing: str, *inputs: str) -> Way:
    """DigitalOcean: the only one of a name."""
    return Way(
        lambda given, answer: [tell(answer["id"])], f"digitalocean:index/{name}:{name}",
        lambda given: {key: given[key] for key in inputs}, nothing)


def list_digitalocean_firewalls(setting: Setting) -> Values:
    """The account's firewalls by the API itself: the provider's function takes an id only."""
    environment = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
    token = setting("digitalocean:token") or next((os.environ[name] for name in environment if os.environ.get(name)), "")
    base = setting("digitalocean:apiEndpoint") or os.environ.get("DIGITALOCEAN_API_URL") or "https://api.digitalocean.com"
    found: list[Any] = []
    url = f"{base.rstrip('/')}/v2/firewalls?per_page=200"
    while url:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=30) as response:
            page = json.load(response)
        found += page["firewalls"]
        url = ((page.get("links") or {}).get("pages") or {}).get("next", "")
    return {"firewalls": found}


ALIVE = ["pending", "running", "stopping", "stopped"]
"""States of an instance that is not being deleted; left out, AWS tells of running ones only."""

WAYS: Mapping[str, Way] = {
    "aws:ebs/volume:Volume": by_tags("ebs/getEbsVolumes"),
    "aws:ec2/eip:Eip": by_tags("ec2/getEips", "allocationIds"),
    "aws:ec2/eipAssociation:EipAssociation": Way(
        lambda inputs, answer: [answer["associationId"]] if answer.get("associationId") else [],
        "aws:ec2/getElasticIp:getElasticIp", lambda inputs: {"id": inputs["allocationId"]}),
    "aws:ec2/instance:Instance": by_tags("ec2/getInstances", tags="instanceTags", instanceStateNames=ALIVE),
    "aws:ec2/internetGateway:InternetGateway": Way(
        lambda inputs, answer: [answer["id"]], "aws:ec2/getInternetGateway:getInternetGateway",
        lambda inputs: {"tags": dict(inputs["tags"])}, NONE),
    "aws:ec2/keyPair:KeyPair": made_of("{keyName}"),
    "aws:ec2/natGateway:NatGateway": by_tags(
        "ec2/getNatGateways", filters=[{"name": "state", "values": ["pending", "available"]}]),
    "aws:ec2/networkInterface:NetworkInterface": by_tags("ec2/getNetworkInterfaces"),
    "aws:ec2/placementGroup:PlacementGroup": made_of("{name}"),
    "aws:ec2/route:Route": made_of("{routeTableId}_{destinationCidrBlock}", imported=True),
    "aws:ec2/routeTable:RouteTable": by_tags("ec2/getRouteTables"),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": made_of("{subnetId}/{routeTableId}", imported=True),
    "aws:ec2/securityGroup:SecurityGroup": by_tags("ec2/getSecurityGroups"),
    "aws:ec2/subnet:Subnet": by_tags("ec2/getSubnets"),
    "aws:ec2/volumeAttachment:VolumeAttachment": made_of("{deviceName}:{volumeId}:{instanceId}", imported=True),
    "aws:ec2/vpc:Vpc": by_tags("ec2/getVpcs"),
    "aws:route53/record:Record": made_of("{zoneId}_{name}_{type}"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": by_tags("vpc/getSecurityGroupRules"),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": by_tags("vpc/getSecurityGroupRules"),

    "azure-native:compute:Disk": in_group("{resourceGroupName}/providers/Microsoft.Compute/disks/{diskName}"),
    "azure-native:compute:VirtualMachine": in_group(
        "{resourceGroupName}/providers/Microsoft.Compute/virtualMachines/{vmName}"),
    "azure-native:dns:RecordSet": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/dnsZones/{zoneName}/{recordType}/{relativeRecordSetName}"),
    "azure-native:network:NatGateway": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/natGateways/{natGatewayName}"),
    "azure-native:network:NetworkInterface": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/networkInterfaces/{networkInterfaceName}"),
    "azure-native:network:NetworkSecurityGroup": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}"),
    "azure-native:network:PublicIPAddress": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/publicIPAddresses/{publicIpAddressName}"),
    "azure-native:network:Subnet": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}"),
    "azure-native:network:VirtualNetwork": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}"),
    "azure-native:resources:ResourceGroup": in_group("{resourceGroupName}"),

    "digitalocean:index/dnsRecord:DnsRecord": Way(
        lambda inputs, answer: [
            f"{inputs['domain']},{tell(one['id'])}" for one in answer["records"]
            if all(one[name] == inputs[name] for name in ("name", "type", "value"))],
        "digitalocean:index/getRecords:getRecords", lambda inputs: {"domain": inputs["domain"]}),
    "digitalocean:index/droplet:Droplet": filtered("getDroplets", "droplets"),
    "digitalocean:index/firewall:Firewall": Way(
        lambda inputs, answer: [one["id"] for one in answer["firewalls"] if one["name"] == inputs["name"]],
        ask=list_digitalocean_firewalls),
    "digitalocean:index/sshKey:SshKey": filtered("getSshKeys", "sshKeys"),
    "digitalocean:index/tag:Tag": made_of("{name}"),
    "digitalocean:index/volume:Volume": only("getVolume", "no volumes found with name", "name", "region"),
    "digitalocean:index/volumeAttachment:VolumeAttachment": REPEATED,
    "digitalocean:index/vpc:Vpc": only("getVpc", "no VPCs found with name", "name"),

    "gcp:compute/address:Address": made_of("projects/{project}/regions/{region}/addresses/{name}"),
    "gcp:compute/disk:Disk": made_of("projects/{project}/zones/{zone}/disks/{name}"),
    "gcp:compute/firewall:Firewall": made_of("projects/{project}/global/firewalls/{name}"),
    "gcp:compute/instance:Instance": made_of("projects/{project}/zones/{zone}/instances/{name}"),
    "gcp:compute/network:Network": made_of("projects/{project}/global/networks/{name}"),
    "gcp:compute/resourcePolicy:ResourcePolicy": made_of("projects/{project}/regions/{region}/resourcePolicies/{name}"),
    "gcp:compute/router:Router": made_of("projects/{project}/regions/{region}/routers/{name}"),
    "gcp:compute/routerNat:RouterNat": made_of("{project}/{region}/{router}/{name}"),
    "gcp:compute/subnetwork:Subnetwork": made_of("projects/{project}/regions/{region}/subnetworks/{name}"),
    "gcp:dns/recordSet:RecordSet": made_of("projects/{project}/managedZones/{managedZone}/rrsets/{name}/{type}"),

    "hcloud:index/firewall:Firewall": listed("getFirewalls", "firewalls"),
    "hcloud:index/network:Network": listed("getNetworks", "networks"),
    "hcloud:index/networkSubnet:NetworkSubnet": made_of("{networkId}-{ipRange}"),
    "hcloud:index/placementGroup:PlacementGroup": listed("getPlacementGroups", "placementGroups"),
    "hcloud:index/primaryIp:PrimaryIp": listed("getPrimaryIps", "primaryIps"),
    "hcloud:index/server:Server": listed("getServers", "servers"),
    "hcloud:index/sshKey:SshKey": listed("getSshKeys", "sshKeys"),
    "hcloud:index/volume:Volume": listed("getVolumes", "volumes"),
    "hcloud:index/volumeAttachment:VolumeAttachment": made_of("{volumeId}"),
    "hcloud:index/zoneRrset:ZoneRrset": made_of("{zone}/{name}/{type}"),
}
"""By type, for all that the adapters make."""
