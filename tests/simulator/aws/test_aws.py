"""The rules of AWS, one by one."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from provider.server import UNKNOWN
from tests.simulator.aws.images import image_id, publish_image
from tests.simulator.aws.view import look
from tests.simulator.conftest import ALL, ANYBODY, KEY, OFFICE, CheckFailed, Driver, Made
from tests.simulator.reach import between, from_outside, to_outside
from tests.simulator.world import Refused

AMI = image_id("debian-12-amd64-20260714-2173", "us-east-1")


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("aws")


class Net:
    """A network with a subnet and a security group, with a gateway if wanted."""

    def __init__(self, cloud: Driver, gateway: bool = True) -> None:
        self.vpc = cloud.create("Vpc", cidrBlock="10.20.0.0/16")
        if gateway:
            self.gateway = cloud.create("InternetGateway", vpcId=self.vpc.id)
        self.subnet = cloud.create("Subnet", vpcId=self.vpc.id, cidrBlock="10.20.0.0/20", availabilityZone="us-east-1a")
        self.group = cloud.create("SecurityGroup", name="edge", vpcId=self.vpc.id)


def make_instance(cloud: Driver, net: Net, name: str = "edge-1", **inputs: Any) -> Made:
    given = {"ami": AMI, "instanceType": "c7a.large", "subnetId": net.subnet.id, "vpcSecurityGroupIds": [net.group.id], **inputs}
    return cloud.create("Instance", name, **given)


def test_subnets_routes_and_gateways(cloud: Driver) -> None:
    net = Net(cloud)
    for block, words in (("10.20.8.0/24", "Conflict"), ("10.21.0.0/24", "Range"), ("10.20.32.0/29", "Range")):
        with pytest.raises(Refused, match=words):
            cloud.create("Subnet", vpcId=net.vpc.id, cidrBlock=block)
    with pytest.raises(Refused, match="availability zone"):
        cloud.create("Subnet", vpcId=net.vpc.id, cidrBlock="10.20.32.0/24", availabilityZone="eu-central-1a")
    for region, letter in (("eu-central-1", "d"), ("ca-central-1", "c"), ("us-east-1", "g")):
        with pytest.raises(Refused, match="availability zone"):
            cloud.create("Volume", region=region, availabilityZone=f"{region}{letter}", size=100)
    with pytest.raises(CheckFailed, match="IPv4 CIDR"):
        cloud.create("Subnet", vpcId=net.vpc.id, cidrBlock="10.20.32.1/24")
    with pytest.raises(CheckFailed, match="within /16 to /28"):
        cloud.create("Vpc", cidrBlock="10.0.0.0/8")
    with pytest.raises(Refused, match="internet gateway of"):
        cloud.create("InternetGateway", vpcId=net.vpc.id)
    table = cloud.create("RouteTable", vpcId=net.vpc.id)
    everything = {"routeTableId": table.id, "destinationCidrBlock": "0.0.0.0/0"}
    with pytest.raises(CheckFailed, match="exactly one of"):
        cloud.create("Route", **everything)
    with pytest.raises(CheckFailed, match="exactly one of"):
        cloud.create("Route", **everything, gatewayId="igw-1", natGatewayId="nat-1")
    with pytest.raises(Refused, match="not found"):
        cloud.create("Route", **everything, gatewayId="igw-1")
    route = cloud.create("Route", **everything, gatewayId=net.gateway.id)
    assert cloud.diff(route, destinationCidrBlock="10.0.0.0/8").replaces == ["destinationCidrBlock"]
    assert cloud.diff(route, gatewayId=None, natGatewayId="nat-1").replaces == []
    with pytest.raises(Refused, match="already exists"):
        cloud.create("Route", **everything, gatewayId=net.gateway.id)
    with pytest.raises(Refused, match="routed locally"):
        cloud.create("Route", routeTableId=table.id, destinationCidrBlock="10.20.0.0/16", gatewayId=net.gateway.id)
    cloud.create("RouteTableAssociation", routeTableId=table.id, subnetId=net.subnet.id)
    with pytest.raises(Refused, match="route table of"):
        cloud.create("RouteTableAssociation", routeTableId=table.id, subnetId=net.subnet.id)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(net.vpc)
    assert cloud.diff(net.vpc, cidrBlock="10.30.0.0/16").replaces == ["cidrBlock"]


def test_interface_takes_fixed_addresses(cloud: Driver) -> None:
    net = Net(cloud)
    inputs = {"subnetId": net.subnet.id, "securityGroups": [net.group.id]}
    interface = cloud.create("NetworkInterface", **inputs, privateIps=["10.20.0.10"])
    assert interface.outputs["privateIp"] == "10.20.0.10"
    assert cloud.create("NetworkInterface", **inputs).outputs["privateIp"] == "10.20.0.4"
    for address in ("10.20.0.10", "10.20.0.3", "10.20.15.255", "10.20.16.1"):
        with pytest.raises(Refused, match=address):
            cloud.create("NetworkInterface", **inputs, privateIps=[address])
    assert cloud.diff(interface, privateIps=["10.20.0.11"]).replaces == ["privateIps"]
    assert cloud.diff(interface, privateIps=["10.20.0.10", "10.20.0.11"]).replaces == []
    with pytest.raises(Refused, match="5 security groups"):
        groups = [cloud.create("SecurityGroup", f"g{n}", vpcId=net.vpc.id).id for n in range(6)]
        cloud.create("NetworkInterface", subnetId=net.subnet.id, securityGroups=groups)
    other = cloud.create("SecurityGroup", vpcId=cloud.create("Vpc", cidrBlock="10.30.0.0/16").id)
    with pytest.raises(Refused, match="does not belong"):
        cloud.create("NetworkInterface", subnetId=net.subnet.id, securityGroups=[other.id])


def test_security_groups_and_rules(cloud: Driver) -> None:
    net = Net(cloud)
    assert cloud.diff(net.group, description="other").replaces == ["description"]
    assert cloud.diff(net.group, description="other").delete_before_replace  # the name stays
    generated = cloud.create("SecurityGroup", "g", vpcId=net.vpc.id)
    assert not cloud.diff(generated, description="other").delete_before_replace
    with pytest.raises(Refused, match="name edge"):
        cloud.create("SecurityGroup", name="edge", vpcId=net.vpc.id)
    with pytest.raises(Refused, match="VPCIdNotSpecified"):
        cloud.create("SecurityGroup", name="other")
    with pytest.raises(Refused, match="name or description"):
        cloud.create("SecurityGroup", name="other", vpcId=net.vpc.id, description="no – dash")
    web = {"securityGroupId": net.group.id, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIpv4": "0.0.0.0/0"}
    rule = cloud.create("SecurityGroupIngressRule", **web)
    assert cloud.diff(rule, cidrIpv4="10.0.0.0/8", toPort=444).replaces == []
    assert "cidrIpv4" in cloud.diff(rule, cidrIpv4=None, referencedSecurityGroupId=generated.id).replaces
    for wrong, words in (
        ({"referencedSecurityGroupId": net.group.id}, "exactly one of"),
        ({"cidrIpv4": None}, "exactly one of"),
        ({"cidrIpv4": "10.0.0.1/8"}, "IPv4 CIDR"),
        ({"fromPort": 70000}, "not within"),
        ({"cidr": "0.0.0.0/0"}, "no input"),
    ):
        with pytest.raises(CheckFailed, match=words):
            cloud.create("SecurityGroupIngressRule", **{**web, **wrong})
    for wrong, words in (
        ({}, "already in use"),
        ({"ipProtocol": "-1"}, "must not be given"),
        ({"ipProtocol": "sip"}, "IP protocol"),
        ({"fromPort": 500}, "port range"),
        ({"fromPort": None}, "port range"),
        ({"cidrIpv4": "10.0.0.0/8", "description": "a–b"}, "description"),
        ({"securityGroupId": "sg-none"}, "not found"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("SecurityGroupIngressRule", **{**web, **wrong})
    for number in range(59):
        cloud.create("SecurityGroupIngressRule", **{**web, "fromPort": number, "toPort": number})
    with pytest.raises(Refused, match="RulesPerSecurityGroupLimitExceeded"):
        cloud.create("SecurityGroupIngressRule", **{**web, "fromPort": 1000, "toPort": 1000})
    cloud.create("SecurityGroupEgressRule", securityGroupId=net.group.id, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    with pytest.raises(Refused, match="in use"):
        cloud.delete(net.group)


def test_elastic_addresses_need_the_gateway_and_serve_one_interface(cloud: Driver) -> None:
    closed = Net(cloud, gateway=False)
    address = cloud.create("Eip", domain="vpc")
    interface = cloud.create("NetworkInterface", subnetId=closed.subnet.id, securityGroups=[closed.group.id])
    with pytest.raises(Refused, match="NotAttached"):
        cloud.create("EipAssociation", allocationId=address.id, networkInterfaceId=interface.id)
    with pytest.raises(Refused, match="NotAttached"):
        cloud.create("NatGateway", subnetId=closed.subnet.id, allocationId=address.id)
    gateway = cloud.create("InternetGateway", vpcId=closed.vpc.id)
    made = cloud.create("EipAssociation", allocationId=address.id, networkInterfaceId=interface.id)
    assert made.outputs["publicIp"] == address.outputs["publicIp"]
    assert cloud.diff(made, allocationId="eipalloc-2").replaces == ["allocationId"]
    with pytest.raises(Refused, match="in use"):
        cloud.delete(gateway)
    with pytest.raises(Refused, match="association of"):
        cloud.create("NatGateway", subnetId=closed.subnet.id, allocationId=address.id)
    with pytest.raises(Refused, match="public address of"):
        cloud.create("EipAssociation", allocationId=cloud.create("Eip").id, networkInterfaceId=interface.id)
    with pytest.raises(Refused, match="MissingParameter"):
        cloud.create("EipAssociation", allocationId=cloud.create("Eip").id)
    with pytest.raises(Refused, match="allocationId"):
        cloud.create("NatGateway", subnetId=closed.subnet.id)
    with pytest.raises(CheckFailed, match="not allowed when connectivityType=private"):
        cloud.create("NatGateway", subnetId=closed.subnet.id, connectivityType="private", allocationId=address.id)
    nat = cloud.create("NatGateway", subnetId=closed.subnet.id, allocationId=cloud.create("Eip").id)
    assert cloud.diff(nat, subnetId="subnet-2").replaces == ["subnetId"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"userData": "x" * 16385}, "16385 characters"),
        ({"userDataBase64": "not base64!"}, "base64"),
        ({"userData": "x", "userDataBase64": "eA=="}, "conflicts"),
        ({"primaryNetworkInterface": {"networkInterfaceId": "eni-1"}}, "conflicts with"),
        ({"networkInterface": []}, "no input"),
        ({"tenancy": "shared"}, "not one of"),
        ({"metadataOptions": {"httpTokens": "maybe"}}, "not one of"),
        ({"metadataOptions": {"httpPutResponseHopLimit": 65}}, "not within"),
        ({"rootBlockDevice": {"volumeType": "nvme"}}, "not one of"),
        ({"rootBlockDevice": {"volumeId": "vol-1"}}, "cannot be given"),
        ({"ami": None}, "at least one of"),
    ],
)
def test_instance_inputs_refused_by_the_provider(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_instance(cloud, Net(cloud), **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ami": "ami-1"}, "InvalidAMIID"),
        ({"instanceType": "c7a.tiny"}, "instanceType: c7a.tiny"),
        ({"keyName": "none"}, "keyName"),
        ({"subnetId": None}, "No subnets"),
        ({"userDataBase64": base64.b64encode(b"x" * 16385).decode()}, "16384"),
        ({"rootBlockDevice": {"volumeSize": 4}}, "smaller"),
        ({"rootBlockDevice": {"volumeType": "gp3", "volumeSize": 20, "iops": 100}}, "gp3"),
        ({"availabilityZone": "us-east-1b"}, "not the zone"),
        ({"tags": {"aws:name": "x"}}, "tags"),
        ({"placementGroup": "none"}, "not found"),
    ],
)
def test_instance_refused_by_the_cloud(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_instance(cloud, Net(cloud), **wrong)


def test_what_replaces_an_instance(cloud: Driver) -> None:
    net = Net(cloud)
    instance = make_instance(cloud, net, userDataBase64="eA==", rootBlockDevice={"volumeSize": 20, "encrypted": True})
    replacing: tuple[dict[str, Any], ...] = (
        {"ami": "ami-2"},
        {"keyName": "k"},
        {"subnetId": "s"},
        {"placementGroup": "g"},
        {"instanceType": "c8g.large"},
        {"rootBlockDevice": {"volumeSize": 20, "encrypted": False}},
    )
    for inputs in replacing:
        assert cloud.diff(instance, **inputs).replaces == list(inputs), inputs
    kept: tuple[dict[str, Any], ...] = (
        {"userDataBase64": "eQ=="},
        {"instanceType": "c7a.xlarge"},
        {"tags": {"a": "b"}},
        {"rootBlockDevice": {"volumeSize": 30, "encrypted": True}},
    )
    for inputs in kept:
        assert cloud.diff(instance, **inputs).replaces == [], inputs
        assert cloud.update(instance, **inputs).outputs["privateIp"] == instance.outputs["privateIp"]
    assert "userDataBase64" in cloud.diff(instance, userDataBase64="eQ==", userDataReplaceOnChange=True).replaces


def test_instance_on_an_interface_of_its_own(cloud: Driver) -> None:
    net = Net(cloud)
    interface = cloud.create("NetworkInterface", subnetId=net.subnet.id, securityGroups=[net.group.id])
    own = {"networkInterfaceId": interface.id}
    bare: dict[str, Any] = {"subnetId": None, "vpcSecurityGroupIds": None, "primaryNetworkInterface": own}
    instance = make_instance(cloud, net, **bare)
    assert instance.outputs["privateIp"] == interface.outputs["privateIp"]
    assert instance.outputs["availabilityZone"] == "us-east-1a"
    with pytest.raises(Refused, match="attachment of"):
        make_instance(cloud, net, "b", **bare)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(interface)


def test_protected_instance_is_not_terminated(cloud: Driver) -> None:
    instance = make_instance(cloud, Net(cloud), disableApiTermination=True)
    with pytest.raises(Refused, match="OperationNotPermitted"):
        cloud.delete(instance)
    assert cloud.read(instance)
    cloud.delete(cloud.update(instance, forceDestroy=True))
    assert cloud.read(instance) is None


def test_volumes(cloud: Driver) -> None:
    net = Net(cloud)
    volume = cloud.create("Volume", availabilityZone="us-east-1a", size=100, type="gp3", encrypted=True)
    for inputs, words in (
        ({"type": "io2"}, "required when"),
        ({"type": "gp2", "iops": 3000}, "not allowed when"),
        ({"throughput": 250}, "not allowed when"),
        ({"type": "gp3", "throughput": 100}, "not within"),
        ({"size": None}, "at least one of"),
    ):
        with pytest.raises(CheckFailed, match=words):
            cloud.create("Volume", **{"availabilityZone": "us-east-1a", "size": 100, **inputs})
    for inputs, words in (
        ({"type": "gp4"}, "type: gp4"),
        ({"type": "gp3", "throughput": 1000}, "gp3"),
        ({"availabilityZone": "eu-central-1a"}, "availability zone"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Volume", **{"availabilityZone": "us-east-1a", "size": 100, **inputs})
    assert cloud.diff(volume, encrypted=False).replaces == ["encrypted"]
    assert cloud.diff(volume, size=200, type="io2", iops=100).replaces == []
    with pytest.raises(Refused, match="smaller"):
        cloud.update(volume, size=50)
    instance = make_instance(cloud, net)
    cloud.create("VolumeAttachment", deviceName="/dev/sdf", volumeId=volume.id, instanceId=instance.id)
    for inputs, words in (({"deviceName": "/dev/sdg"}, "attachment of"), ({"deviceName": "/dev/nvme1n1"}, "invalid")):
        with pytest.raises(Refused, match=words):
            cloud.create("VolumeAttachment", **{"volumeId": volume.id, "instanceId": instance.id, **inputs})
    second = cloud.create("Volume", availabilityZone="us-east-1a", size=1)
    with pytest.raises(Refused, match="/dev/sdf of"):
        cloud.create("VolumeAttachment", deviceName="/dev/sdf", volumeId=second.id, instanceId=instance.id)
    far = cloud.create("Volume", availabilityZone="us-east-1b", size=1)
    with pytest.raises(Refused, match="ZoneMismatch"):
        cloud.create("VolumeAttachment", deviceName="/dev/sdh", volumeId=far.id, instanceId=instance.id)


def test_spread_group_takes_seven_a_zone(cloud: Driver) -> None:
    net = Net(cloud)
    group = cloud.create("PlacementGroup", name="data", strategy="spread")
    assert group.id == "data"
    for number in range(7):
        make_instance(cloud, net, f"n{number}", placementGroup="data")
    with pytest.raises(Refused, match="7 running instances"):
        make_instance(cloud, net, "n8", placementGroup="data")
    with pytest.raises(CheckFailed, match="not allowed when"):
        cloud.create("PlacementGroup", strategy="spread", partitionCount=3)
    with pytest.raises(CheckFailed, match="not one of"):
        cloud.create("PlacementGroup", strategy="apart")


def test_images_are_found_and_new_ones_appear(cloud: Driver) -> None:
    assert cloud.provider.invoke
    wish = {"owners": ["136693071363"], "filters": [{"name": "name", "values": ["debian-12-amd64-*"]}], "mostRecent": True}

    def find(**more: Any) -> str:
        assert cloud.provider.invoke
        return str(cloud.provider.invoke(cloud.request("", ""), "aws:ec2/getAmi:getAmi", {**wish, **more})["id"])

    assert find() == AMI
    with pytest.raises(Exception, match="more than one"):
        find(mostRecent=False)
    with pytest.raises(Exception, match="no results"):
        find(owners=["1"])
    publish_image(cloud.world, "debian-12-amd64-20261101-2300")
    assert find() == image_id("debian-12-amd64-20261101-2300", "us-east-1")
    make_instance(cloud, Net(cloud), ami=find())
    with pytest.raises(Exception, match="not simulated"):
        cloud.provider.invoke(cloud.request("", ""), "aws:ec2/getHost:getHost", {})


def test_region_is_needed(cloud: Driver) -> None:
    assert cloud.provider.configure
    cloud.provider.configure({})
    with pytest.raises(Refused, match="Missing region"):
        cloud.create("Vpc", cidrBlock="10.0.0.0/16")
    vpc = cloud.create("Vpc", cidrBlock="10.0.0.0/16", region="eu-central-1")
    assert cloud.diff(vpc, region="us-east-1").replaces == ["region"]
    assert cloud.diff(vpc, region=None).replaces == []


def test_preview_knows_what_was_given_only(cloud: Driver) -> None:
    seen = cloud.preview("Vpc", cidrBlock="10.0.0.0/16")
    assert seen["cidrBlock"] == "10.0.0.0/16"
    assert seen["mainRouteTableId"] is UNKNOWN


def test_key_and_records(cloud: Driver) -> None:
    assert cloud.create("KeyPair", keyName="k", publicKey=KEY).id == "k"
    with pytest.raises(Refused, match="already exists"):
        cloud.create("KeyPair", keyName="k", publicKey=KEY)
    zone = cloud.create("route53/Zone", name="example.com")
    record = cloud.create("Record", zoneId=zone.id, name="voice", type="A", ttl=60, records=["192.0.2.1"])
    assert record.outputs["fqdn"] == "voice.example.com"
    with pytest.raises(CheckFailed, match="exactly one of"):
        cloud.create("Record", zoneId=zone.id, name="x", type="A", ttl=60)


def test_who_reaches_whom(cloud: Driver) -> None:
    vpc = cloud.create("Vpc", cidrBlock="10.20.0.0/16")
    gateway = cloud.create("InternetGateway", vpcId=vpc.id)
    names = ("public", "private")
    subnets = {name: cloud.create("Subnet", name, vpcId=vpc.id, cidrBlock=f"10.20.{n}.0/24") for n, name in enumerate(names)}
    tables = {name: cloud.create("RouteTable", name, vpcId=vpc.id) for name in names}
    for name in names:
        cloud.create("RouteTableAssociation", name, routeTableId=tables[name].id, subnetId=subnets[name].id)
    groups = {name: cloud.create("SecurityGroup", name, name=name, vpcId=vpc.id) for name in ("edge", "data")}
    cloud.create(
        "SecurityGroupIngressRule",
        "web",
        securityGroupId=groups["edge"].id,
        ipProtocol="tcp",
        fromPort=443,
        toPort=443,
        cidrIpv4="203.0.113.0/24",
    )
    cloud.create(
        "SecurityGroupIngressRule",
        "db",
        securityGroupId=groups["data"].id,
        ipProtocol="tcp",
        fromPort=5432,
        toPort=5432,
        referencedSecurityGroupId=groups["edge"].id,
    )

    def make(name: str, place: str) -> Made:
        interface = cloud.create("NetworkInterface", name, subnetId=subnets[place].id, securityGroups=[groups[name].id])
        cloud.create(
            "Instance",
            name,
            ami=AMI,
            instanceType="c7a.large",
            tags={"Name": name},
            primaryNetworkInterface={"networkInterfaceId": interface.id},
        )
        return interface

    interface = make("edge", "public")
    make("data", "private")
    cloud.create("EipAssociation", allocationId=cloud.create("Eip").id, networkInterfaceId=interface.id)
    edge, data = look(cloud.world)
    assert edge.name == "edge"
    assert from_outside(edge, OFFICE) == {}  # no route yet
    cloud.create("Route", routeTableId=tables["public"].id, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway.id)
    edge, data = look(cloud.world)
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(edge, data) == {}  # nothing goes out by itself
    for group in groups.values():
        cloud.create("SecurityGroupEgressRule", group.id, securityGroupId=group.id, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    edge, data = look(cloud.world)
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}
    nat = cloud.create("NatGateway", subnetId=subnets["public"].id, allocationId=cloud.create("Eip", "nat").id)
    cloud.create("Route", routeTableId=tables["private"].id, destinationCidrBlock="0.0.0.0/0", natGatewayId=nat.id)
    assert to_outside(look(cloud.world)[1], ANYBODY) == ALL


def test_budgets(cloud: Driver) -> None:
    alarm = {
        "comparisonOperator": "GREATER_THAN",
        "notificationType": "ACTUAL",
        "threshold": 80,
        "thresholdType": "PERCENTAGE",
        "subscriberEmailAddresses": ["ops@your-company.com"],
    }
    good = {"budgetType": "COST", "timeUnit": "MONTHLY", "limitAmount": "2000", "limitUnit": "USD", "notifications": [alarm]}
    for wrong, words in (
        ({"limitUnit": "EUR"}, "limitUnit USD"),
        ({"limitAmount": "0"}, "limitAmount"),
        ({"notifications": [alarm, alarm]}, "Duplicate"),
        ({"notifications": [{**alarm, "subscriberEmailAddresses": []}]}, "at least one subscriber"),
        ({"name": "a:b"}, "neither"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Budget", **{"name": "refused", **good, **wrong})
    made = cloud.create("Budget", name="mine", **good)
    assert made.id.endswith(":mine") and made.outputs["arn"].startswith("arn:aws:budgets::")
    cloud.update(made, limitAmount="3000")
    with pytest.raises(Refused):
        cloud.create("Budget", "twice", name="mine", **good)


@pytest.mark.parametrize(("sizes", "fits"), [((60,), True), ((61,), False), ((30, 30), True), ((30, 31), False)])
def test_rules_inside_a_group_count_by_their_sources(cloud: Driver, sizes: tuple[int, ...], fits: bool) -> None:
    vpc = cloud.create("Vpc", cidrBlock="10.20.0.0/16").id
    rules = [
        {"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": [f"62.{part}.{n}.0/24" for n in range(size)]}
        for part, size in enumerate(sizes)
    ]
    if fits:
        cloud.create("SecurityGroup", name="g", vpcId=vpc, description="g", ingress=rules)
    else:
        with pytest.raises(Refused, match="RulesPerSecurityGroupLimitExceeded"):
            cloud.create("SecurityGroup", name="g", vpcId=vpc, description="g", ingress=rules)


def test_an_address_gets_only_a_name_that_leads_to_it(cloud: Driver) -> None:
    Net(cloud)
    address, zone = cloud.create("Eip", domain="vpc"), cloud.create("Zone", name="example.com")
    with pytest.raises(Refused, match="does not lead to"):
        cloud.create("EipDomainName", allocationId=address.id, domainName="voice.example.com")
    record = {"zoneId": zone.id, "name": "voice.example.com", "type": "A", "ttl": 300, "records": [address.outputs["publicIp"]]}
    cloud.create("Record", **record)
    name = cloud.create("EipDomainName", allocationId=address.id, domainName="voice.example.com")
    assert name.id == address.id and name.outputs["ptrRecord"] == "voice.example.com."
    with pytest.raises(Refused, match="in use"):
        cloud.delete(address)
