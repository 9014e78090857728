"""What the AWS adapter asks for: each test is one of the traps of facts/clouds.md 1."""

import base64
import gzip

import pytest

from tests.clouds.budgets import check_alarm
from tests.clouds.conftest import Ask, Asked

AMI = {"aws:ec2/getAmi:getAmi": {"id": "ami-newest"}}

pytestmark = pytest.mark.clouds  # the SDK alone takes seconds to read, and that part reads it anyway


@pytest.fixture
def basic(ask: Ask) -> Asked:
    return ask("aws-basic", AMI)


def test_a_subnet_has_the_way_out_that_its_nodes_need(basic: Asked) -> None:
    routes = {name: one.inputs for name, one in basic.all("Route").items()}
    assert routes["public"]["gatewayId"] == basic.id("InternetGateway", "gateway")
    assert routes["private"]["natGatewayId"] == basic.id("NatGateway", "nat")
    for name, inputs in routes.items():
        pair = basic.one("RouteTableAssociation", name)
        assert pair["routeTableId"] == inputs["routeTableId"] == basic.id("RouteTable", name)
        assert pair["subnetId"] == basic.id("Subnet", name)
    subnets = {name: basic.id("Subnet", name) for name in ("public", "private")}
    interfaces = {name: one.inputs["subnetId"] for name, one in basic.all("NetworkInterface").items()}
    assert interfaces == {"edge-1": subnets["public"], "data-1": subnets["private"], "app-1": subnets["private"]}
    assert basic.one("NatGateway", "nat")["subnetId"] == subnets["public"]
    assert basic.one("NatGateway", "nat")["privateIp"] == "10.20.128.4", "it might take a node's address"


def test_no_nat_is_paid_for_where_no_node_needs_it(ask: Ask) -> None:
    assert not ask("aws-single", AMI).all("NatGateway")


def test_only_nodes_reached_from_outside_have_an_address(basic: Asked) -> None:
    assert basic.all("Eip").keys() == {"nat", "edge-1"}
    pair = basic.one("EipAssociation", "edge-1")
    assert pair["networkInterfaceId"] == basic.id("NetworkInterface", "edge-1")
    assert pair["privateIpAddress"] == basic.one("NetworkInterface", "edge-1")["privateIps"][0] == "10.20.128.30"
    assert not any(one.inputs["mapPublicIpOnLaunch"] for one in basic.all("Subnet").values())


def test_no_machine_has_rights_where_no_address_moves(basic: Asked) -> None:
    assert not basic.all("Role") and not basic.all("InstanceProfile") and not basic.all("RolePolicy")
    assert not any(one.inputs.get("iamInstanceProfile") for one in basic.all("Instance").values())


def test_an_instance_stands_on_its_interface(basic: Asked) -> None:
    for name, one in basic.all("Instance").items():
        assert one.inputs["primaryNetworkInterface"]["networkInterfaceId"] == basic.id("NetworkInterface", name)
        conflicting = {"subnetId", "privateIp", "vpcSecurityGroupIds", "associatePublicIpAddress", "networkInterfaces"}
        assert not conflicting & one.inputs.keys()


def test_metadata_needs_a_token_and_stays_on_the_machine(basic: Asked) -> None:
    for one in basic.all("Instance").values():
        options = one.inputs["metadataOptions"]
        assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_disks_are_encrypted_and_data_disks_are_kept(basic: Asked) -> None:
    for one in basic.all("Instance").values():
        root = one.inputs["rootBlockDevice"]
        assert root["encrypted"]
        assert (root["volumeType"], root["iops"]) == ("gp3", 3000)
    for one in basic.all("Volume").values():
        assert one.inputs["encrypted"]
        assert one.protect
        assert one.inputs["availabilityZone"] == "us-east-1a"
    assert basic.all("Volume").keys() == {"data-1-database", "data-1-recordings"}
    assert all(one.inputs["stopInstanceBeforeDetaching"] for one in basic.all("VolumeAttachment").values())


def test_a_data_disk_is_found_by_its_id(basic: Asked) -> None:
    devices = basic.one("NodeConfiguration", "data-1")["devices"]
    serial = basic.id("Volume", "data-1-database").replace("-", "")
    assert devices["database"] == f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}"


def test_nothing_of_the_first_boot_replaces_an_instance(basic: Asked) -> None:
    for one in basic.all("Instance").values():
        assert {"ami", "userDataBase64", "keyName"} <= set(one.ignore_changes)
        assert one.delete_before_replace
        assert one.inputs["disableApiTermination"]
        assert one.inputs["forceDestroy"], "without it Pulumi could not delete it either"
        assert gzip.decompress(base64.b64decode(one.inputs["userDataBase64"])).startswith(b"#cloud-config\n")
    # A name of ours would have the key replaced before its successor exists, and every instance with it.
    assert all(one.inputs["keyName"] != "aws-basic" for one in basic.all("KeyPair").values())


def test_the_first_boot_finds_its_way_out(basic: Asked) -> None:
    route = {name: one.urn for name, one in basic.all("Route").items()}
    depends = {name: one.depends_on for name, one in basic.all("Instance").items()}
    assert route["private"] in depends["data-1"]
    assert basic.all("EipAssociation")["edge-1"].urn in depends["edge-1"]


def test_every_way_out_is_a_rule(basic: Asked) -> None:
    out = [one.inputs for one in basic.all("SecurityGroupEgressRule").values()]
    everything = [one for one in out if one["ipProtocol"] == "-1"]
    assert [one["cidrIpv4"] for one in everything] == ["10.20.0.0/16"] * 3
    assert not any("fromPort" in one for one in everything)
    assert all(one["fromPort"] <= one["toPort"] for one in out if one not in everything)


def test_rules_name_groups_and_never_repeat(ask: Ask) -> None:
    asked = ask("aws-basic", AMI, carriers=["198.51.100.0/24"], phones=["198.51.100.0/24"])
    rules = [one.inputs for one in asked.all("SecurityGroupIngressRule").values()]
    key = ("securityGroupId", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "referencedSecurityGroupId")
    assert len({tuple(one.get(name) for name in key) for one in rules}) == len(rules)
    assert not any(one.get("cidrIpv4", "").startswith("10.20.") for one in rules)
    assert asked.all("SecurityGroupIngressRule")["edge-in-udp-5060-198.51.100.0/24"]


def test_nodes_of_a_role_stand_apart_from_the_first_on_seven_in_a_group(ask: Ask, basic: Asked) -> None:
    many = ask("aws-basic", AMI, counts={"data": 3, "app": 8})
    for asked in (basic, many):
        assert asked.one("PlacementGroup", "data")["strategy"] == "spread"
        groups = {name: one.inputs.get("placementGroup") for name, one in asked.all("Instance").items()}
        assert groups["data-1"] == "aws-basic-data" and groups["app-1"] == "aws-basic-app"
        assert groups["edge-1"] is None, "it can never have a peer"
        assert all("placementGroup" in one.ignore_changes for one in asked.all("Instance").values()), "or it would be replaced"
    assert (groups["app-7"], groups["app-8"]) == ("aws-basic-app", "aws-basic-app-2")
    assert not ask("aws-single", AMI).all("PlacementGroup"), "its one node can never have a peer"


def test_an_image_by_id_needs_no_look_up(ask: Ask) -> None:
    asked = ask("aws-basic", image="ami-0123456789abcdef0")  # a look-up would fail: no function is known
    assert {one.inputs["ami"] for one in asked.all("Instance").values()} == {"ami-0123456789abcdef0"}


def test_everything_is_tagged_with_its_stack(basic: Asked) -> None:
    without = {"EipAssociation", "Route", "RouteTableAssociation", "VolumeAttachment"}
    for one in basic.registrations:
        if one.type.startswith("aws:") and one.type.rpartition(":")[2] not in without:
            assert one.inputs["tags"]["webitel:stack"] == "aws-basic"


@pytest.mark.parametrize("region", ["eu-central-1", "us-west-2"])
def test_the_region_is_the_plans(ask: Ask, region: str) -> None:
    asked = ask("aws-single", AMI, region=region, zone="b", machine_types={"all": "c7a.2xlarge"})
    assert asked.one("aws", "aws")["region"] == region
    assert asked.one("Subnet", "public")["availabilityZone"] == f"{region}b"


def test_the_alarm_of_a_budget_is_made_where_it_is_asked_for(ask: Ask) -> None:
    check_alarm(ask, "aws", {"limitAmount": "2000", "limitUnit": "USD"})
