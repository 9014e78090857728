"""Who reaches whom, by each cloud's own rules."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from components.model.settings import Settings
from tests.plans import make_plan
from tests.simulator import openings, reach
from tests.simulator.aws.images import image_id
from tests.simulator.conftest import KEY, Driver, Made
from tests.simulator.reach import EVERYWHERE, Machine, Rule, between, from_outside, look, to_outside

ANYBODY, OFFICE = "192.0.2.77", "203.0.113.9"
ALL = {"tcp": ((1, 65535),), "udp": ((1, 65535),), "icmp": ((0, 0),)}


def see(cloud: Driver, name: str) -> list[Machine]:
    return look(cloud.world, name)


def test_first_rule_decides_and_layers_meet() -> None:
    web, closed = Rule("tcp", 80, 443, EVERYWHERE), Rule("tcp", 100, 200, EVERYWHERE, allow=False)
    machine = Machine("m", "m", "n", "10.0.0.4", "198.18.0.1", True, True, ((closed, web),), ())
    assert from_outside(machine, ANYBODY) == {"tcp": ((80, 99), (201, 443))}
    assert from_outside(replace(machine, ingress=((web, closed),)), ANYBODY) == {"tcp": ((80, 443),)}
    both = replace(machine, ingress=((web,), (Rule("any", 1, 100, EVERYWHERE),)))
    assert from_outside(both, ANYBODY) == {"tcp": ((80, 443),)}  # all protocols have no ports
    assert from_outside(replace(machine, reachable=False), ANYBODY) == {}
    assert to_outside(machine, ANYBODY) == ALL
    assert to_outside(replace(machine, way_out=False), ANYBODY) == {}
    assert between(machine, replace(machine, network="other")) == {}
    assert reach.union([("tcp", 1, 5), ("tcp", 6, 9), ("udp", 3, 3), ("tcp", 20, 20)]) == {
        "tcp": ((1, 9), (20, 20)), "udp": ((3, 3),)}


def test_hetzner(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("hetzner")
    network = cloud.create("Network", "net", ipRange="10.20.0.0/16")
    subnet = cloud.create(
        "NetworkSubnet", networkId=network.number, type="cloud", networkZone="eu-central", ipRange="10.20.0.0/24")
    rule = {"direction": "in", "protocol": "tcp", "port": "443", "sourceIps": ["203.0.113.0/24"]}
    firewall = cloud.create("Firewall", rules=[rule])
    base = {"serverType": "ccx13", "image": "debian-12", "location": "fsn1"}
    inside = {"networks": [{"subnetId": subnet.id}]}
    cloud.create("Server", "closed", name="closed", **base, **inside, firewallIds=[firewall.number])
    cloud.create("Server", "open", name="open", **base, **inside)
    nothing = cloud.create("Firewall", "out", rules=[{**rule, "direction": "out", "sourceIps": None,
                                                     "destinationIps": ["203.0.113.0/24"]}])
    cloud.create("Server", "shut", name="shut", **base, firewallIds=[nothing.number])
    closed, opened, shut = see(cloud, "hetzner")
    assert from_outside(closed, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(closed, ANYBODY) == {}
    assert to_outside(closed, ANYBODY) == ALL
    assert from_outside(opened, ANYBODY) == ALL
    assert between(opened, closed) == ALL  # the private network is not filtered
    assert from_outside(shut, OFFICE) == {}
    assert to_outside(shut, OFFICE) == {"tcp": ((443, 443),)}
    assert to_outside(shut, ANYBODY) == {}
    assert between(opened, shut) == {}


def test_digitalocean(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("digitalocean")
    for tag in ("edge", "data"):
        cloud.create("Tag", name=tag)
    vpc = cloud.create("Vpc", region="fra1", ipRange="10.20.0.0/16")

    def make(name: str, tags: list[str], **more: Any) -> Made:
        return cloud.create("Droplet", name, name=name, image="debian-12-x64", size="c-2", region="fra1", vpcUuid=vpc.id,
                            tags=tags, **more)

    everything = {"protocol": "tcp", "portRange": "1-65535", "destinationAddresses": ["0.0.0.0/0"]}
    cloud.create("Firewall", "edge", tags=["edge"], outboundRules=[everything], inboundRules=[
        {"protocol": "udp", "portRange": "5060", "sourceAddresses": ["203.0.113.0/24"]}])
    cloud.create("Firewall", "data", tags=["data"], inboundRules=[
        {"protocol": "tcp", "portRange": "5432", "sourceTags": ["edge"]}])
    make("edge", ["edge"])
    make("data", ["data"])
    make("bare", [], publicNetworking=False)
    edge, data, bare = see(cloud, "digitalocean")
    assert from_outside(edge, OFFICE) == {"udp": ((5060, 5060),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert between(data, edge) == {}
    assert between(bare, data) == {}
    assert to_outside(data, ANYBODY) == {}  # no outbound rule, no way out
    assert to_outside(edge, ANYBODY) == {"tcp": ((1, 65535),)}
    assert to_outside(bare, ANYBODY) == {}
    assert between(edge, bare) == {"tcp": ((1, 65535),)}


def test_aws(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("aws")
    vpc = cloud.create("Vpc", cidrBlock="10.20.0.0/16")
    gateway = cloud.create("InternetGateway", vpcId=vpc.id)
    names = ("public", "private")
    subnets = {name: cloud.create("Subnet", name, vpcId=vpc.id, cidrBlock=f"10.20.{n}.0/24") for n, name in enumerate(names)}
    tables = {name: cloud.create("RouteTable", name, vpcId=vpc.id) for name in names}
    for name in names:
        cloud.create("RouteTableAssociation", name, routeTableId=tables[name].id, subnetId=subnets[name].id)
    groups = {name: cloud.create("SecurityGroup", name, name=name, vpcId=vpc.id) for name in ("edge", "data")}
    cloud.create("SecurityGroupIngressRule", "web", securityGroupId=groups["edge"].id, ipProtocol="tcp", fromPort=443,
                 toPort=443, cidrIpv4="203.0.113.0/24")
    cloud.create("SecurityGroupIngressRule", "db", securityGroupId=groups["data"].id, ipProtocol="tcp", fromPort=5432,
                 toPort=5432, referencedSecurityGroupId=groups["edge"].id)
    image = image_id("debian-12-amd64-20260714-2173", "us-east-1")

    def make(name: str, place: str) -> Made:
        interface = cloud.create("NetworkInterface", name, subnetId=subnets[place].id, securityGroups=[groups[name].id])
        cloud.create("Instance", name, ami=image, instanceType="c7a.large", tags={"Name": name},
                     primaryNetworkInterface={"networkInterfaceId": interface.id})
        return interface

    interface = make("edge", "public")
    make("data", "private")
    cloud.create("EipAssociation", allocationId=cloud.create("Eip").id, networkInterfaceId=interface.id)
    edge, data = see(cloud, "aws")
    assert edge.name == "edge"
    assert from_outside(edge, OFFICE) == {}  # no route yet
    cloud.create("Route", routeTableId=tables["public"].id, destinationCidrBlock="0.0.0.0/0", gatewayId=gateway.id)
    edge, data = see(cloud, "aws")
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(edge, data) == {}  # nothing goes out by itself
    for group in groups.values():
        cloud.create("SecurityGroupEgressRule", group.id, securityGroupId=group.id, ipProtocol="-1", cidrIpv4="0.0.0.0/0")
    edge, data = see(cloud, "aws")
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}
    nat = cloud.create("NatGateway", subnetId=subnets["public"].id, allocationId=cloud.create("Eip", "nat").id)
    cloud.create("Route", routeTableId=tables["private"].id, destinationCidrBlock="0.0.0.0/0", natGatewayId=nat.id)
    assert to_outside(see(cloud, "aws")[1], ANYBODY) == ALL


def test_gcp(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("gcp")
    network = cloud.create("Network", name="net", autoCreateSubnetworks=False)
    subnetwork = cloud.create("Subnetwork", name="net", network=network.id, ipCidrRange="10.20.0.0/16")
    boot = {"initializeParams": {"image": "debian-cloud/debian-12"}}

    def make(name: str, tags: list[str], public: bool) -> Made:
        access: dict[str, Any] = {"accessConfigs": [{}]} if public else {}
        return cloud.create("Instance", name, name=name, machineType="c2d-highcpu-2", bootDisk=boot, tags=tags,
                            networkInterfaces=[{"subnetwork": subnetwork.id, **access}], zone="europe-west3-a")

    make("edge", ["edge"], True)
    make("data", ["data"], False)
    edge, data = see(cloud, "gcp")
    assert between(edge, data) == {}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}
    rule = {"network": network.id, "sourceRanges": ["203.0.113.0/24"]}
    cloud.create("Firewall", "a", name="a", **rule, targetTags=["edge"], allows=[{"protocol": "tcp", "ports": ["80", "443"]}])
    cloud.create("Firewall", "b", name="b", **rule, priority=900, denies=[{"protocol": "tcp", "ports": ["80"]}])
    cloud.create("Firewall", "c", name="c", network=network.id, sourceTags=["edge"], targetTags=["data"],
                 allows=[{"protocol": "tcp", "ports": ["5432"]}])
    cloud.create("Firewall", "d", name="d", network=network.id, direction="EGRESS", denies=[{"protocol": "udp"}],
                 destinationRanges=["0.0.0.0/0"], targetTags=["edge"])
    edge, data = see(cloud, "gcp")
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert between(data, edge) == {}
    assert to_outside(edge, ANYBODY) == {"tcp": ((1, 65535),), "icmp": ((0, 0),)}
    router = cloud.create("Router", name="nat", network=network.id)
    cloud.create("RouterNat", name="nat", router=router.inputs["name"], natIpAllocateOption="AUTO_ONLY",
                 sourceSubnetworkIpRangesToNat="ALL_SUBNETWORKS_ALL_IP_RANGES")
    assert to_outside(see(cloud, "gcp")[1], ANYBODY) == ALL


def test_azure(make_driver: Callable[[str], Driver]) -> None:
    cloud = make_driver("azure")
    where = {"resourceGroupName": "test"}
    cloud.create("ResourceGroup", **where)
    cloud.create("VirtualNetwork", **where, virtualNetworkName="net", addressSpace={"addressPrefixes": ["10.20.0.0/16"]})
    subnet = cloud.create("Subnet", "s", **where, virtualNetworkName="net", addressPrefix="10.20.0.0/20",
                          defaultOutboundAccess=False)
    web = {"name": "web", "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*",
           "sourceAddressPrefix": "203.0.113.0/24", "destinationAddressPrefix": "*", "destinationPortRange": "443"}
    shut = {**web, "name": "shut", "priority": 4096, "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*",
            "destinationPortRange": "*"}
    open_group = cloud.create("NetworkSecurityGroup", "open", **where, securityRules=[web])
    shut_group = cloud.create("NetworkSecurityGroup", "shut", **where, securityRules=[
        shut, {**web, "name": "sip", "protocol": "*", "destinationPortRange": None, "destinationPortRanges": ["5060", "5061"]}])

    def make(name: str, group: Made | None, public: bool) -> None:
        place: dict[str, Any] = {"name": "p", "subnet": {"id": subnet.id}}
        if public:
            address = cloud.create("PublicIPAddress", name, **where, sku={"name": "Standard"}, publicIPAllocationMethod="Static")
            place["publicIPAddress"] = {"id": address.id}
        worn = {"networkSecurityGroup": {"id": group.id}} if group else {}
        interface = cloud.create("NetworkInterface", name, **where, ipConfigurations=[place], **worn)
        cloud.create(
            "VirtualMachine", name, **where, vmName=name, hardwareProfile={"vmSize": "Standard_F2als_v6"},
            osProfile={"adminUsername": "debian", "linuxConfiguration": {"ssh": {"publicKeys": [
                {"path": "/home/debian/.ssh/authorized_keys", "keyData": KEY}]}}},
            storageProfile={"osDisk": {"createOption": "FromImage"}, "imageReference": {
                "publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"}},
            networkProfile={"networkInterfaces": [{"id": interface.id}]})

    make("edge", open_group, True)
    make("data", shut_group, False)
    make("bare", None, True)
    edge, data, bare = see(cloud, "azure")
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(data, edge) == ALL  # Azure's own rule for the network
    assert between(edge, data) == {}
    assert from_outside(replace(data, public="198.19.128.9", reachable=True), OFFICE) == {
        "tcp": ((5060, 5061),), "udp": ((5060, 5061),)}
    assert from_outside(bare, ANYBODY) == {}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}


def test_a_plan_is_compared_in_both_directions(monkeypatch: pytest.MonkeyPatch, make_driver: Callable[[str], Driver]) -> None:
    settings = Settings.model_validate({"cloud": "aws", "tier": "basic", "operators": ["203.0.113.0/24"]})
    plan = make_plan(settings, "aws-basic")

    def build(broken: str = "") -> list[Machine]:
        """What a faultless cloud does with the plan."""
        machines: list[Machine] = []
        for node in plan.nodes:
            inward = [
                Rule(one.protocol, *openings.split(one.ports), tuple(
                    network for source in one.sources if ":" not in source for network in _networks(source)),
                    frozenset(other.name for other in plan.nodes if f"role:{other.role}" in one.sources))
                for one in plan.openings if one.role == node.role]
            outward = [Rule(one.protocol, *openings.split(one.ports), tuple(
                network for end in one.destinations for network in _networks(end)))
                for one in plan.egress if one.role == node.role]
            outward.append(Rule("any", 1, 65535, _networks(plan.network)))
            if broken == "drop":
                inward.pop()
            if broken == "open":
                inward.append(Rule("tcp", 22, 22, EVERYWHERE))
            if broken == "out":
                outward.append(Rule("udp", 5000, 5000, EVERYWHERE))
            public = f"198.19.0.{len(machines) + 1}" if node.public.value == "service" else ""
            machines.append(Machine(
                node.name, node.name, "net", node.private_address or "", public, bool(public), True, (tuple(inward),),
                (tuple(outward),)))
        return machines

    world = make_driver("aws").world
    for broken in ("", "drop", "open", "out"):
        monkeypatch.setattr(openings, "look", lambda world, cloud, broken=broken: build(broken))
        problems = list(openings.find_reach_problems(plan, world))
        assert bool(problems) is bool(broken), (broken, problems[:3])
    assert any(problem.startswith("data-1 -> 192.0.2.77: udp") and "5000" in problem for problem in problems), problems[:3]


def _networks(text: str) -> tuple[Any, ...]:
    return (ip_network(text),)
