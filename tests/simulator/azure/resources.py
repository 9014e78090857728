"""Azure's groups, networks, rules and names (`facts/clouds.md` 3.1-3.2, `facts/schemas/README.md` 24-26).

Ids are paths; Azure compares them without regard to case. All names are inputs of the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from typing import Any, ClassVar

from provider.server import Failure, Properties, ProviderError, Request
from tests.simulator.call import Account, Call
from tests.simulator.records import check_record
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": 'Code="SkuNotAvailable" Message="The requested VM size {hardwareProfile} is currently not available in '
    "location '{location}'\"",
    "quota": 'Code="OperationNotAllowed" Message="Operation could not be completed as it results in exceeding approved '
    'cores quota" {hardwareProfile}',
    "rate": 'Code="TooManyRequests" Message="The request is being throttled"',
    "error": 'Code="InternalExecutionError" Message="An internal execution error occurred"',
}
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
_LOCATION = re.compile(r"[a-z]+\d?")
_SERVICE_TAGS = {"*", "Internet", "VirtualNetwork", "AzureLoadBalancer", "Storage", "AzureCloud", "AzurePlatformDNS"}
_WITHOUT_ZONES = {"westus", "northcentralus", "westcentralus", "canadaeast", "ukwest", "southindia", "koreasouth"}
_PORTS = re.compile(r"\*|(\d+)(?:-(\d+))?")

GROUP, NETWORK = "azure-native:resources:ResourceGroup", "azure-native:network:VirtualNetwork"
SUBNET, RULES = "azure-native:network:Subnet", "azure-native:network:NetworkSecurityGroup"
ADDRESS, NAT = "azure-native:network:PublicIPAddress", "azure-native:network:NatGateway"
INTERFACE, DISK = "azure-native:network:NetworkInterface", "azure-native:compute:Disk"
MACHINE, AVAILABILITY = "azure-native:compute:VirtualMachine", "azure-native:compute:AvailabilitySet"
SCALE_SET = "azure-native:compute:VirtualMachineScaleSet"
DNS_ZONE = "azure-native:dns:Zone"


def check_settings(settings: Properties) -> None:
    """Refuses a location that cannot be one."""
    if settings.get("location") and not _LOCATION.fullmatch(settings["location"].replace(" ", "").lower()):
        raise ProviderError(f"location {settings['location']} is invalid")


def find_subscription(account: Account) -> str:
    """The subscription that everything is made in."""
    return str(account.settings.get("subscriptionId") or "00000000-0000-0000-0000-000000000000")


class Azure(Simulated):
    """What all types share: a path as id, the group, location and tags. `name_input` is the name's place in the path."""

    name_input: ClassVar[str]
    path: ClassVar[str]
    references: ClassVar = {}

    def make_id(self, call: Call) -> str:
        group = f"/subscriptions/{find_subscription(call.account)}/resourceGroups/{call.inputs['resourceGroupName']}"
        parts = self.path.format(**call.inputs)
        return f"{group}/providers/{parts}/{call.inputs[self.name_input]}" if parts else group

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        name = inputs[self.name_input]
        if not _NAME.fullmatch(name):
            raise Refused(f'Code="InvalidResourceName" Message="Resource name {name} is invalid"')
        tags = inputs.get("tags") or {}
        wrong = [key for key, value in tags.items() if len(key) > 512 or len(value) > 256 or re.search(r"[<>%&\\?/]", key)]
        if len(tags) > 50 or wrong:
            raise Refused(f'Code="InvalidTagName" Message="tags {tags}"')
        made = {
            "name": name,
            "provisioningState": "Succeeded",
            "etag": 'W/"1"',
            "azureApiVersion": "",
            "type": self.path.partition("{")[0].rstrip("/"),
        }
        if "location" in self.account.schema.inputs(self.type):
            made["location"] = self._locate(call)
        names = self.account.schema.output_names(self.type)
        return {key: value for key, value in made.items() if key in names}

    def _locate(self, call: Call) -> str:
        location = call.inputs.get("location") or call.account.settings.get("location")
        if self.type != GROUP:
            group = self.find_group(call)
            call.use(group)
            location = location or group.get("location")
        if not location or not _LOCATION.fullmatch(location.replace(" ", "").lower()):
            raise Refused(f'Code="LocationNotAvailableForResourceType" Message="location \'{location}\'"')
        place, zones = str(location.replace(" ", "").lower()), call.inputs.get("zones") or []
        if zones and (place in _WITHOUT_ZONES or not set(zones) <= {"1", "2", "3"}):
            raise Refused(f'Code="LocationDoesNotSupportAvailabilityZones" Message="zones {zones} of {place}"')
        return place

    def find_group(self, call: Call) -> Thing:
        """The resource group that an input names."""
        wanted = call.inputs["resourceGroupName"].lower()
        for group in call.world.all(GROUP):
            if group.inputs["resourceGroupName"].lower() == wanted:
                return group
        raise Refused(f'Code="ResourceGroupNotFound" Message="Resource group \'{wanted}\' could not be found."')

    def refer(self, call: Call, type: str, reference: Any, path: str, *, same_location: bool = True) -> Thing:
        """What `{"id": ...}` refers to; it has to be in the same location."""
        id = reference.get("id") if isinstance(reference, dict) else reference
        for thing in call.world.all(type):
            if thing.id.lower() == str(id).lower():
                call.use(thing)
                if same_location and thing.get("location") not in (None, self._locate(call)):
                    raise Refused(f'Code="InvalidResourceReference" Message="{path}: {id} is in {thing.get("location")}"')
                return thing
        raise Refused(f'Code="InvalidResourceReference" Message="{path}: Resource {id} referenced was not found"')


class ResourceGroup(Azure):
    """All that lies in a group goes with it."""

    type = GROUP
    name_input = "resourceGroupName"
    path = ""

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        with self.account.world.change() as world:
            for thing in world.all():
                if thing.id.lower().startswith(f"{id.lower()}/"):
                    world.drop(thing)
        super().delete(request, id, inputs, outputs)


class VirtualNetwork(Azure):
    type = NETWORK
    name_input = "virtualNetworkName"
    path = "Microsoft.Network/virtualNetworks"

    def make(self, call: Call) -> Properties:
        prefixes = (call.inputs.get("addressSpace") or {}).get("addressPrefixes") or []
        if not prefixes:
            raise Refused('Code="InvalidRequestFormat" Message="addressSpace is required"')
        for prefix in prefixes:
            parse_network(prefix, "addressSpace")
        if call.inputs.get("subnets"):
            raise Refused("this simulator knows subnets as resources of their own only")
        return {**super().make(call), "resourceGuid": call.lasting("resourceGuid", "guid-{}".format)}


def parse_network(text: str, path: str) -> IPv4Network:
    """A network; refused where it is none."""
    try:
        return IPv4Network(text)
    except ValueError as error:
        raise Refused(f'Code="InvalidAddressPrefixFormat" Message="{path}: {error}"') from error


class Subnet(Azure):
    type = SUBNET
    name_input = "subnetName"
    path = "Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets"

    def make(self, call: Call) -> Properties:
        inputs, group = call.inputs, self.find_group(call)
        network = self.refer(
            call,
            NETWORK,
            f"{group.id}/providers/{VirtualNetwork.path}/{inputs['virtualNetworkName']}",
            "virtualNetworkName",
            same_location=False,
        )
        prefix = inputs.get("addressPrefix") or next(iter(inputs.get("addressPrefixes") or []), None)
        if not prefix:
            raise Refused('Code="InvalidRequestFormat" Message="addressPrefix is required"')
        mine = parse_network(prefix, "addressPrefix")
        if not any(mine.subnet_of(IPv4Network(whole)) for whole in network.inputs["addressSpace"]["addressPrefixes"]):
            raise Refused(f'Code="NetcfgInvalidSubnet" Message="Subnet {mine} is not contained in the address space"')
        for other in call.world.all(SUBNET):
            if network.key in other.uses and other.id != call.id and mine.overlaps(IPv4Network(other.get("addressPrefix"))):
                raise Refused(f'Code="NetcfgSubnetRangesOverlap" Message="Subnet {mine} overlaps {other.id}"')
        if call.is_changed("addressPrefix") and call.world.users_of(Thing(SUBNET, call.id, "", {})):
            raise Refused(f'Code="InUsePrefixCannotBeDeleted" Message="{call.id} is in use"')
        for name, type in (("natGateway", NAT), ("networkSecurityGroup", RULES)):
            if inputs.get(name):
                self.refer(call, type, inputs[name], name, same_location=False)
        return {**super().make(call), "addressPrefix": prefix}


class NetworkSecurityGroup(Azure):
    """Rules by priority, allowing or denying; Azure's own three each way come after them."""

    type = RULES
    name_input = "networkSecurityGroupName"
    path = "Microsoft.Network/networkSecurityGroups"

    def make(self, call: Call) -> Properties:
        rules = call.inputs.get("securityRules") or []
        names = [(rule.get("name") or "").lower() for rule in rules]
        places = [(rule["direction"], rule.get("priority")) for rule in rules]
        if len(set(names)) < len(names) or "" in names or len(rules) > 1000:
            raise Refused('Code="SecurityRuleConflict" Message="every rule needs a name of its own, at most 1000 rules"')
        if len(set(places)) < len(places):
            raise Refused('Code="SecurityRuleConflict" Message="Security rules conflict: same priority and direction"')
        for rule in rules:
            check_rule(rule)
        return super().make(call)


def check_rule(rule: Properties) -> None:
    """Refuses what is no rule: priority, ports and prefixes of both ends."""
    name = rule.get("name")
    if not isinstance(rule.get("priority"), int) or not 100 <= rule["priority"] <= 4096:
        raise Refused(f'Code="SecurityRuleInvalidPriority" Message="{name}: priority {rule.get("priority")}"')
    if len(rule.get("description") or "") > 140 or not _NAME.fullmatch(str(name)):
        raise Refused(f'Code="InvalidRequestFormat" Message="{name}: name, or description over 140 characters"')
    for side in ("source", "destination"):
        for one, many, what in (
            (f"{side}PortRange", f"{side}PortRanges", "port"),
            (f"{side}AddressPrefix", f"{side}AddressPrefixes", "prefix"),
        ):
            values = [*([rule[one]] if rule.get(one) else []), *(rule.get(many) or [])]
            if bool(rule.get(one)) == bool(rule.get(many)):
                raise Refused(f'Code="SecurityRuleParameterRequired" Message="{name}: either {one} or {many}"')
            for value in values:
                if not (is_port(value) if what == "port" else is_prefix(value)):
                    raise Refused(f'Code="SecurityRuleInvalid{what.title()}" Message="{name}: {one} {value}"')
        if rule.get(f"{side}AddressPrefixes") and {"*", "Internet", "VirtualNetwork"} & {*rule[f"{side}AddressPrefixes"]}:
            raise Refused(f'Code="SecurityRuleInvalidPrefix" Message="{name}: service tags stand alone"')


def is_port(text: str) -> bool:
    """Whether it is `*`, a port or a range of them."""
    found = _PORTS.fullmatch(text)
    return bool(found) and (text == "*" or int(found[1]) <= int(found[2] or found[1]) <= 65535)  # type: ignore[index]


def is_prefix(text: str) -> bool:
    """Whether it is a service tag, an address or a network."""
    try:
        return text in _SERVICE_TAGS or bool(ip_network(text))
    except ValueError:
        return False


class DnsZone(Azure):
    type = DNS_ZONE
    name_input = "zoneName"
    path = "Microsoft.Network/dnsZones"

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if inputs.get("location") != "Global":
            yield Failure("location", "a DNS zone's location is Global")

    def make(self, call: Call) -> Properties:
        return {**super().make(call), "nameServers": [f"ns{n}-01.azure-dns.com." for n in range(1, 5)]}


class RecordSet(Azure):
    type = "azure-native:dns:RecordSet"
    name_input = "relativeRecordSetName"
    path = "Microsoft.Network/dnsZones/{zoneName}/{recordType}"

    def make(self, call: Call) -> Properties:
        zone = f"{self.find_group(call).id}/providers/{DnsZone.path}/{call.inputs['zoneName']}"
        self.refer(call, DNS_ZONE, zone, "zoneName", same_location=False)
        name, given = call.inputs["relativeRecordSetName"], call.inputs
        values = {
            "A": [str(one.get("ipv4Address")) for one in given.get("aRecords") or ()],
            "SRV": [
                " ".join(f"{one[key]:.0f}" for key in ("priority", "weight", "port")) + f" {one['target']}"
                for one in given.get("srvRecords") or ()
            ],
        }
        if any(values[type] for type in values if type != given["recordType"]):
            raise Refused(f"BadRequest: a record set of type {given['recordType']} holds records of another type")
        if given["recordType"] in values:
            check_record(f"{name}.{given['zoneName']}", given["zoneName"], given["recordType"], values[given["recordType"]])
        return {"name": name, "fqdn": f"{name}.{call.inputs['zoneName']}.", "provisioningState": "Succeeded"}


TYPES = (ResourceGroup, VirtualNetwork, Subnet, NetworkSecurityGroup, DnsZone, RecordSet)
