"""AWS: networks, routes, security groups, keys, names (`facts/clouds.md` 1.1-1.3, `facts/schemas/README.md` 13-19)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network
from typing import Any, ClassVar
from zlib import crc32

from provider.server import Properties, ProviderError
from tests.simulator.call import Call
from tests.simulator.records import check_record
from tests.simulator.resource import Simulated
from tests.simulator.ssh_keys import fingerprint
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": "InsufficientInstanceCapacity: We currently do not have sufficient {instanceType} capacity in the "
    "Availability Zone you requested",
    "quota": "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit allows for {instanceType}",
    "rate": "RequestLimitExceeded: Request limit exceeded.",
    "error": "InternalError: An internal error has occurred",
}
OWNER = "123456789012"
_DESCRIPTION = re.compile(r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]*")
_ZONE = re.compile(r"([a-z]{2}(?:-[a-z]+)+-\d)([a-f])")
_ZONES = {"us-east-1": "abcdef", "us-west-2": "abcd", "ap-northeast-1": "acd", "ap-northeast-2": "abcd", "ca-central-1": "abd"}
"""Of a new account; every other region has a, b and c."""

VPC, SUBNET, GATEWAY = "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway"
TABLE, ROUTE, GROUP = "aws:ec2/routeTable:RouteTable", "aws:ec2/route:Route", "aws:ec2/securityGroup:SecurityGroup"
NAT, INTERFACE = "aws:ec2/natGateway:NatGateway", "aws:ec2/networkInterface:NetworkInterface"
INSTANCE, EIP, VOLUME, KEY = "aws:ec2/instance:Instance", "aws:ec2/eip:Eip", "aws:ebs/volume:Volume", "aws:ec2/keyPair:KeyPair"
ASSOCIATION, PLACEMENT = "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/placementGroup:PlacementGroup"
ZONE = "aws:route53/zone:Zone"


def check_settings(settings: Properties) -> None:
    """Refuses a region that cannot be one; without it every resource has to name its own."""
    if settings.get("region") and not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", settings["region"]):
        raise ProviderError(f"Invalid region value: {settings['region']}")


def region_of(call: Call) -> str:
    """The region of a thing: its own, else the provider's."""
    region = call.inputs.get("region") or call.account.settings.get("region")
    if not region:
        raise Refused("Missing region configuration: set aws:region")
    return str(region)


def check_zone(call: Call, zone: str) -> None:
    """Refuses an availability zone that is not of the region."""
    found, region = _ZONE.fullmatch(zone), region_of(call)
    if not found or found[1] != region or found[2] not in _ZONES.get(region, "abc"):
        raise Refused(f"InvalidParameterValue: availability zone {zone} is not one of {region_of(call)}")


def gateway_of(call: Call, vpc: str) -> Thing:
    """The internet gateway of a network; refused without one."""
    for gateway in call.world.all(GATEWAY):
        if gateway.inputs.get("vpcId") == vpc:
            return gateway
    raise Refused(f"Gateway.NotAttached: Network {vpc} has no Internet gateway attached")


class Aws(Simulated):
    """What all types share: ids such as `vpc-` and 17 hexadecimal digits, tags, the region."""

    def make_id(self, call: Call) -> str:
        shape = self.account.schema.resources[self.type]["id"]
        return str(shape.replace("<17 hex>", f"{call.number():017x}").replace("<number>", str(call.number())))

    def make(self, call: Call) -> Properties:
        tags = call.inputs.get("tags") or {}
        wrong = [key for key, value in tags.items() if not 0 < len(key) <= 128 or len(value) > 256 or key.startswith("aws:")]
        if wrong or len(tags) > 50:
            raise Refused(f"InvalidParameterValue: tags {wrong or len(tags)}: at most 50, keys 128, values 256, no aws:")
        kind = self.type.rpartition(":")[2].lower()
        known = {"arn": f"arn:aws:ec2:{region_of(call)}:{OWNER}:{kind}/{call.id}", "ownerId": OWNER, "tagsAll": tags}
        names = self.account.schema.output_names(self.type)
        return {name: value for name, value in {**known, "region": region_of(call)}.items() if name in names}

    def find_by(self, given: str, shape: Callable[[Properties], str]) -> str:
        """The id of the thing whose inputs make what an import was given; that itself where there is none."""
        return next((thing.id for thing in self.account.world.all(self.type) if shape(thing.inputs) == given), given)


class Vpc(Aws):
    type = VPC

    def make(self, call: Call) -> Properties:
        if not call.inputs.get("cidrBlock"):
            raise Refused("MissingParameter: either cidrBlock or ipv4IpamPoolId")
        number = call.id.removeprefix("vpc-")
        return {
            **super().make(call),
            "defaultRouteTableId": f"rtb-{number}",
            "mainRouteTableId": f"rtb-{number}",
            "defaultSecurityGroupId": f"sg-{number}",
            "defaultNetworkAclId": f"acl-{number}",
            "dhcpOptionsId": "dopt-0",
            "enableDnsHostnames": call.inputs.get("enableDnsHostnames") or False,
        }


class Subnet(Aws):
    type = SUBNET
    references: ClassVar = {"vpcId": VPC}

    def make(self, call: Call) -> Properties:
        if not call.inputs.get("cidrBlock"):
            raise Refused("MissingParameter: cidrBlock")
        mine, whole = IPv4Network(call.inputs["cidrBlock"]), IPv4Network(call.find(VPC, call.inputs["vpcId"]).inputs["cidrBlock"])
        if not mine.subnet_of(whole) or not 16 <= mine.prefixlen <= 28:
            raise Refused(f"InvalidSubnet.Range: The CIDR '{mine}' is invalid in {whole}")
        for other in call.world.all(SUBNET):
            same = other.inputs["vpcId"] == call.inputs["vpcId"] and other.id != call.id
            if same and mine.overlaps(IPv4Network(other.inputs["cidrBlock"])):
                raise Refused(f"InvalidSubnet.Conflict: The CIDR '{mine}' conflicts with another subnet")
        zone = call.inputs.get("availabilityZone") or f"{region_of(call)}a"
        check_zone(call, zone)
        return {**super().make(call), "availabilityZone": zone, "availabilityZoneId": f"use1-az{ord(zone[-1]) - 96}"}


class InternetGateway(Aws):
    """One a network; it cannot go while addresses are mapped through it."""

    type = GATEWAY
    references: ClassVar = {"vpcId": VPC}

    def make(self, call: Call) -> Properties:
        if vpc := call.inputs.get("vpcId"):
            call.hold(f"internet gateway of {vpc}")
        return super().make(call)


class RouteTable(Aws):
    type = TABLE
    references: ClassVar = {"vpcId": VPC, "routes[].gatewayId": GATEWAY, "routes[].natGatewayId": NAT}


class Route(Aws):
    """One destination once a table, to something of the same network."""

    type = ROUTE
    references: ClassVar = {"routeTableId": TABLE, "gatewayId": GATEWAY, "natGatewayId": NAT, "networkInterfaceId": INTERFACE}

    def make_id(self, call: Call) -> str:
        return f"r-{call.inputs['routeTableId']}{crc32((call.inputs.get('destinationCidrBlock') or '').encode())}"

    def find_imported(self, id: str) -> str:
        return self.find_by(id, lambda inputs: f"{inputs['routeTableId']}_{inputs.get('destinationCidrBlock')}")

    def make(self, call: Call) -> Properties:
        table = call.find(TABLE, call.inputs["routeTableId"])
        destination = call.inputs.get("destinationCidrBlock")
        call.hold(f"route to {destination} in {table.id}")
        vpc = call.find(VPC, table.inputs["vpcId"])
        if destination and IPv4Network(destination).subnet_of(IPv4Network(vpc.inputs["cidrBlock"])):
            raise Refused(f"RouteAlreadyExists: {destination} is routed locally")
        gateway = call.inputs.get("gatewayId")
        if gateway and call.find(GATEWAY, gateway).inputs.get("vpcId") != vpc.id:
            raise Refused(f"InvalidParameterValue: route table {table.id} and gateway {gateway} belong to different networks")
        return {**super().make(call), "state": "active", "origin": "CreateRoute"}


class RouteTableAssociation(Aws):
    type = ASSOCIATION
    references: ClassVar = {"routeTableId": TABLE, "subnetId": SUBNET}

    def find_imported(self, id: str) -> str:
        return self.find_by(id, lambda inputs: f"{inputs.get('subnetId')}/{inputs['routeTableId']}")

    def make(self, call: Call) -> Properties:
        if subnet := call.inputs.get("subnetId"):
            call.hold(f"route table of {subnet}")
            if call.find(SUBNET, subnet).inputs["vpcId"] != call.find(TABLE, call.inputs["routeTableId"]).inputs["vpcId"]:
                raise Refused(f"InvalidParameterValue: {subnet} and the route table belong to different networks")
        return super().make(call)


class SecurityGroup(Aws):
    """Closed both ways: AWS' rule that lets everything out is revoked at creation."""

    type = GROUP
    references: ClassVar = {"vpcId": VPC}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if not inputs.get("vpcId"):
            raise Refused("VPCIdNotSpecified: No default VPC for this user")
        if inputs["name"].startswith("sg-") or not _DESCRIPTION.fullmatch(inputs["name"] + inputs["description"]):
            raise Refused(f"InvalidParameterValue: name or description of {inputs['name']}")
        call.hold(f"security group name {inputs['name']} in {inputs['vpcId']}")
        sides = {side: inputs.get(side) or [] for side in ("ingress", "egress")}
        if any(len(rules) > 60 for rules in sides.values()):
            raise Refused("RulesPerSecurityGroupLimitExceeded: 60 rules each way")
        return {**super().make(call), **sides}


class SecurityGroupRule(Aws):
    """One source or destination a rule, no ports with all protocols, 60 rules each way, none twice."""

    references: ClassVar = {"securityGroupId": GROUP, "referencedSecurityGroupId": GROUP}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        low, high, protocol = inputs.get("fromPort"), inputs.get("toPort"), inputs["ipProtocol"]
        if protocol == "-1":
            if (low, high) != (None, None):
                raise Refused("InvalidParameterValue: ports must not be given for all protocols")
        elif protocol not in ("tcp", "udp", "icmp", "icmpv6", "6", "17", "1"):
            raise Refused(f"InvalidParameterValue: Invalid value '{protocol}' for IP protocol")
        elif low is None or high is None or (low > high and high != -1):
            raise Refused(f"InvalidParameterValue: Invalid TCP/UDP port range ({low}:{high})")
        if not _DESCRIPTION.fullmatch(inputs.get("description") or "") or len(inputs.get("description") or "") > 255:
            raise Refused(f"InvalidParameterValue: Invalid rule description {inputs['description']!r}")
        ends = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
        end = next(inputs[name] for name in ends if inputs.get(name))
        call.hold(f"rule {self.type} {inputs['securityGroupId']} {protocol} {low} {high} {end}")
        rules = [rule for rule in call.world.all(self.type) if rule.inputs["securityGroupId"] == inputs["securityGroupId"]]
        if sum(rule.id != call.id for rule in rules) >= 60:
            raise Refused("RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.")
        return {**super().make(call), "securityGroupRuleId": call.id}


class SecurityGroupIngressRule(SecurityGroupRule):
    type = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


class SecurityGroupEgressRule(SecurityGroupRule):
    type = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


class KeyPair(Aws):
    type = KEY

    def make_id(self, call: Call) -> str:
        return str(call.inputs["keyName"])

    def make(self, call: Call) -> Properties:
        kind = "rsa" if call.inputs["publicKey"].startswith("ssh-rsa") else "ed25519"
        mark = fingerprint(call.inputs["publicKey"])
        return {
            **super().make(call),
            "fingerprint": mark,
            "keyPairId": call.lasting("keyPairId", "key-{:017x}".format),
            "keyType": kind,
        }


class PlacementGroup(Aws):
    type = PLACEMENT

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])

    def make(self, call: Call) -> Properties:
        spread = {"spreadLevel": call.inputs.get("spreadLevel") or "rack"} if call.inputs["strategy"] == "spread" else {}
        return {**super().make(call), **spread, "placementGroupId": call.lasting("placementGroupId", "pg-{:017x}".format)}


class Zone(Aws):
    type = ZONE

    def make_id(self, call: Call) -> str:
        return f"Z{call.number():012d}"

    def make(self, call: Call) -> Properties:
        servers = [f"ns-{n}.awsdns-0{n}.com" for n in range(4)]
        return {**super().make(call), "nameServers": servers, "primaryNameServer": servers[0], "zoneId": call.id}


class Record(Aws):
    type = "aws:route53/record:Record"
    references: ClassVar = {"zoneId": ZONE}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['zoneId']}_{call.inputs['name']}_{call.inputs['type']}"

    def make(self, call: Call) -> Properties:
        zone: Any = call.find(ZONE, call.inputs["zoneId"]).inputs["name"]
        name = call.inputs["name"]
        # A name that does not end with the zone's is one inside it.
        whole = name if name == zone or name.endswith(f".{zone}") else f"{name}.{zone}"
        check_record(whole, zone, call.inputs["type"], call.inputs.get("records") or ())
        return {"fqdn": whole}


TYPES = (
    Vpc,
    Subnet,
    InternetGateway,
    RouteTable,
    Route,
    RouteTableAssociation,
    SecurityGroup,
    SecurityGroupIngressRule,
    SecurityGroupEgressRule,
    KeyPair,
    PlacementGroup,
    Zone,
    Record,
)
