"""AWS in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from typing import Any

from components.clouds.aws.facts import FACTS
from tests.simulator.aws.images import image_id
from tests.simulator.aws.resources import ASSOCIATION, EIP, GATEWAY, NAT, ROUTE, SUBNET, TABLE, VPC
from tests.simulator.aws.view import read_record, read_reverse_names, see
from tests.simulator.bugs import NEIGHBOUR, RTP, WORLD, Bug, forget, put, update
from tests.simulator.case import RECORD_LABEL, RECORD_NAME, ZONE, Case, Given, Needed, Types

MACHINE = FACTS.machine_resource
RULE_IN = ":SecurityGroupIngressRule"
RULE_OUT = ":SecurityGroupEgressRule"
DEFAULT_REGION = FACTS.default_region

GIVEN_SOURCE = {"cidrIpv4": "10.40.0.0/16", "referencedSecurityGroupId": None}

BUGS = (
    Bug("dropped rule", RULE_IN, forget, f"edge-in-tcp-443-{WORLD}"),
    Bug("widened source", RULE_IN, put("cidrIpv4", WORLD), "edge-in-tcp-22-203.0.113.0/24"),
    Bug("other port range", RULE_IN, update(fromPort=20000, toPort=29999), f"edge-in-udp-{RTP}-{WORLD}"),
    Bug("another role's rule", RULE_IN, forget, "data-in-tcp-5432-app"),
    Bug("other protocol", RULE_IN, put("ipProtocol", "udp"), "data-in-tcp-5432-app"),
    Bug("a way out dropped", RULE_OUT, forget, f"app-out-udp-123-{WORLD}"),
    Bug("everything out", RULE_OUT, put("cidrIpv4", WORLD), "data-out-network"),
    Bug("audio tracked", RULE_OUT, put("fromPort", 1024), f"edge-out-udp-0-65535-{WORLD}"),
    Bug("no way to the other nodes", RULE_OUT, forget, "app-out-network"),
    Bug("firewall not attached", ":NetworkInterface", put("securityGroups", []), "data-1"),
    Bug("public address too many", ":EipAssociation", put("networkInterfaceId", None), "edge-1"),
    Bug("no public address", ":EipAssociation", forget, "edge-1"),
    Bug("smaller machine type", ":Instance", put("instanceType", "c7i.large"), "data-1"),
    Bug("other private address", ":NetworkInterface", put("privateIps", [NEIGHBOUR]), "app-1"),
    Bug("other user data", ":Instance", put("userDataBase64", lambda text: text[:-8]), "app-1"),
    Bug("unencrypted disk", ":Volume", put("encrypted", False), "data-1-database"),
    Bug("unencrypted boot disk", ":Instance", put("rootBlockDevice.encrypted", False), "app-1"),
    Bug("smaller boot disk", ":Instance", put("rootBlockDevice.volumeSize", 8), "app-1"),
    Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
    Bug("disk in another zone", ":Volume", put("availabilityZone", "us-east-1b"), "data-1-database"),
    Bug("subnet in another zone", ":Subnet", put("availabilityZone", "us-east-1c"), "private-b", zones=True),
    Bug("way out through another zone", ":Subnet", put("availabilityZone", "us-east-1a"), "public-b", zones=True),
    Bug("one zone's disk in another", ":Volume", put("availabilityZone", "us-east-1a"), "data-2-database", zones=True),
    Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
    Bug("metadata without token", ":Instance", put("metadataOptions.httpTokens", "optional"), "app-1"),
    Bug("no protection by the cloud", ":Instance", put("disableApiTermination", False)),
    Bug("no placement group", ":Instance", put("placementGroup", None), "data-2"),
    Bug("no placement group of a role without a cluster", ":Instance", put("placementGroup", None), "app-2"),
    Bug("no placement group in a zone", ":Instance", put("placementGroup", None), "app-4", zones=True),
    Bug("a boot disk that outlives its machine", ":Instance", put("rootBlockDevice.deleteOnTermination", False), "app-1"),
    Bug("an instance that nobody can end", ":Instance", put("forceDestroy", False), "app-1"),
    Bug("a disk torn from a running machine", ":VolumeAttachment", put("stopInstanceBeforeDetaching", None), "data-1-database"),
    Bug(
        "instance ended at the machine's own shutdown",
        ":Instance",
        update(instanceInitiatedShutdownBehavior="terminate"),
        "app-1",
    ),
    Bug("all members on one rack", ":PlacementGroup", put("strategy", "cluster"), "data"),
    Bug("a disk that spins", ":Volume", lambda draft: draft.inputs.update(type="st1", iops=None), "data-1-database"),
    Bug("no metadata, so no user data", ":Instance", put("metadataOptions.httpEndpoint", "disabled"), "app-1"),
    Bug("no way out", ":Route", forget, "private"),
    Bug("a subnet without its table", ":RouteTableAssociation", forget, "private"),
    Bug("a disk at another device's name", ":VolumeAttachment", put("deviceName", "/dev/sda1"), "data-1-database"),
    Bug("no SSH key", ":Instance", put("keyName", None), "app-1"),
    Bug("the account's rights for every process", ":Instance", update(iamInstanceProfile="admin"), "app-1"),
    Bug("every machine gets an address", ":Subnet", put("mapPublicIpOnLaunch", True), "private"),
    Bug("no firewall in the company's network", ":NetworkInterface", put("securityGroups", None), "data-1", given=True),
    Bug("wide open to it", RULE_IN, lambda draft: draft.inputs.update(GIVEN_SOURCE), "data-in-tcp-5432-app", given=True),
    Bug("input unknown to the cloud", ":Instance", update(userdata="x"), "app-1"),
)

RECORD_BUGS = (
    Bug("another port", "Record", put("records.0", f"10 10 5061 {RECORD_NAME}."), RECORD_LABEL),
    Bug("no value", "Record", put("records", ["5060"]), RECORD_LABEL),
    Bug("no address", "Record", put("records.0", "edge-1"), f"{RECORD_NAME} A"),
    Bug("outside the zone", "Record", put("name", "_sip._udp.voice.example.org"), RECORD_LABEL),
    Bug("forgotten", "", forget, RECORD_LABEL),
    Bug("no name for the address", ":EipDomainName", forget),
    Bug("a name that leads nowhere", ":EipDomainName", put("domainName", "edge-1.example.com")),
)


def make_given(zones: tuple[str, ...]) -> list[tuple[str, str, dict[str, Any]]]:
    """A VPC as a company has it: in each zone a public and a private subnet, with routes and a NAT gateway of its own."""
    made: list[tuple[str, str, dict[str, Any]]] = [
        ("network", VPC, {"cidrBlock": "10.40.0.0/16"}),
        ("gateway", GATEWAY, {"vpcId": "<network>"}),
    ]
    for number, zone in enumerate(zones):
        for part, kind in enumerate(("public", "private")):
            place = {"availabilityZone": f"{DEFAULT_REGION}{zone}", "cidrBlock": f"10.40.{2 * number + part}.0/24"}
            made += [
                (f"{kind}-{zone}", SUBNET, {"vpcId": "<network>", **place}),
                (f"table-{kind}-{zone}", TABLE, {"vpcId": "<network>"}),
                (f"tie-{kind}-{zone}", ASSOCIATION, {"routeTableId": f"<table-{kind}-{zone}>", "subnetId": f"<{kind}-{zone}>"}),
            ]
        everywhere = {"destinationCidrBlock": WORLD}
        made += [
            (f"address-{zone}", EIP, {"domain": "vpc"}),
            (f"nat-{zone}", NAT, {"subnetId": f"<public-{zone}>", "allocationId": f"<address-{zone}>"}),
            (f"out-{zone}", ROUTE, {"routeTableId": f"<table-public-{zone}>", "gatewayId": "<gateway>", **everywhere}),
            (f"way-{zone}", ROUTE, {"routeTableId": f"<table-private-{zone}>", "natGatewayId": f"<nat-{zone}>", **everywhere}),
        ]
    return made


def list_given(zones: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Those subnets, as the setting has them."""
    return {
        f"{kind}-{zone}": {"range": f"10.40.{2 * number + part}.0/24", "zone": zone, "public": not part}
        for number, zone in enumerate(zones)
        for part, kind in enumerate(("public", "private"))
    }


CASE = Case(
    types=Types(
        MACHINE,
        "aws:ebs/volume:Volume",
        ("ami", "userDataBase64", "keyName", "placementGroup"),
        "aws:ec2/eip:Eip",
        "aws:ec2/keyPair:KeyPair",
        "aws:ec2/volumeAttachment:VolumeAttachment",
    ),
    see=see,
    off=("instanceState", "stopped"),
    bugs=BUGS,
    record_bugs=RECORD_BUGS,
    settings={"region": "us-east-1"},
    variables={"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
    account="account 123456789012",
    quota=("L-1216C47A", r"Running On-Demand Standard .*: 10, 20 needed", "request-service-quota-increase"),
    refusals={
        "capacity": "creating EC2 Instance: operation error EC2: RunInstances, api error "
        "InsufficientInstanceCapacity: We currently do not have sufficient c7a.xlarge capacity in the Availability "
        "Zone you requested",
        "quota": "api error VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 5",
        "rate": "api error RequestLimitExceeded: Request limit exceeded.",
    },
    image=image_id("debian-13-amd64-20260801-2190", DEFAULT_REGION),
    zone=f"{{id}}/{ZONE}",
    zones=(("aws:route53/zone:Zone", {"name": ZONE}),),
    records={"aws:route53/record:Record": read_record},
    reverse_names=read_reverse_names,
    rule=("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "cidrIpv4", "10.0.0.0/8"),
    needed=(
        Needed(MACHINE, "rootBlockDevice.deleteOnTermination", True, "the boot disk stays and is paid for"),
        Needed(MACHINE, "forceDestroy", True, "its own protection refuses every deletion"),
        Needed(MACHINE, "instanceInitiatedShutdownBehavior", None, "who shuts it down from inside may end it for good"),
        Needed(MACHINE, "iamInstanceProfile", None, "every process on the node gets rights in the account from the metadata"),
        Needed(SUBNET, "mapPublicIpOnLaunch", False, "whatever is made there has a public address"),
        Needed(
            "aws:ec2/volumeAttachment:VolumeAttachment",
            "stopInstanceBeforeDetaching",
            True,
            "the disk is torn from a database that runs",
        ),
    ),
    given=Given(make_given, list_given),
    unknown=("Instance", {"rootBlockDevice": {"speed": 1}}),
)
