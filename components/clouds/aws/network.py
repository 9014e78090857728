"""AWS: the VPC that a deployment makes, and the one that it is given. Sources: `facts/clouds.md` 1.1."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network

import pulumi
from pulumi import Input, ResourceOptions
from pulumi_aws import ec2

from components.model.machine import Public
from components.model.plan import Node, Plan
from components.model.planning.addresses import subnet_of
from components.model.planning.firewall import ANYWHERE

NAT_HOST = 4
"""The NAT gateway's place in its subnet: AWS keeps the first four, and of the others it would take any."""


class GivenNetwork:
    """The company's VPC: nothing is made in it, and its subnets have their ways out already."""

    def __init__(self, plan: Plan) -> None:
        assert plan.existing
        self.id: Input[str] = plan.existing.id

    def subnet_of(self, node: Node) -> Input[str]:
        """Return the subnet of a node."""
        return node.subnet

    def list_needs(self, node: Node) -> list[pulumi.Resource]:
        """Return what a node's way out is made of."""
        return []


class OwnNetwork:
    """A VPC with a public subnet in every zone, and a private one with its NAT gateway where nodes need it."""

    def __init__(
        self, cloud: pulumi.Resource, plan: Plan, tags: Callable[[str], dict[str, str]], place: Callable[[str], str]
    ) -> None:
        self.cloud, self.plan, self.tags, self.place = cloud, plan, tags, place
        vpc = ec2.Vpc(
            "network",
            cidr_block=self.plan.network,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self.tags("network"),
            opts=ResourceOptions(parent=self.cloud),
        )
        self.id = vpc.id
        self.gateway = ec2.InternetGateway(
            "gateway", vpc_id=self.id, tags=self.tags("gateway"), opts=ResourceOptions(parent=self.cloud)
        )
        self.subnets: dict[tuple[Public, str], ec2.Subnet] = {}
        self.ways_out: dict[tuple[Public, str], ec2.Route] = {}
        inner = {node.zone for node in self.plan.nodes if node.public is Public.NO}
        # A NAT gateway stands in a public subnet of its zone.
        for zone in self.plan.zones:
            self.subnets[Public.SERVICE, zone] = self.create_subnet("public", Public.SERVICE, zone)
            self.ways_out[Public.SERVICE, zone] = ec2.Route(
                self.named("public", zone),
                route_table_id=self.create_route_table("public", Public.SERVICE, zone).id,
                destination_cidr_block=ANYWHERE,
                gateway_id=self.gateway.id,
                opts=ResourceOptions(parent=self.cloud),
            )
            if zone in inner:
                self.create_nat(zone)

    def subnet_of(self, node: Node) -> Input[str]:
        """Return the subnet of a node."""
        return self.subnets[node.public, node.zone].id

    def list_needs(self, node: Node) -> list[pulumi.Resource]:
        """Return what a node's way out is made of."""
        return [self.ways_out[node.public, node.zone]]

    def named(self, name: str, zone: str) -> str:
        """Name what every zone has of its own; the first one's name has had none of the zone since before there were
        several."""
        return name if zone == self.plan.zone else f"{name}-{zone}"

    def create_subnet(self, name: str, public: Public, zone: str) -> ec2.Subnet:
        return ec2.Subnet(
            self.named(name, zone),
            vpc_id=self.id,
            cidr_block=str(self.network_of(public, zone)),
            availability_zone=self.place(zone),
            map_public_ip_on_launch=False,
            tags=self.tags(self.named(name, zone)),
            opts=ResourceOptions(parent=self.cloud),
        )

    def create_route_table(self, name: str, public: Public, zone: str) -> ec2.RouteTable:
        key = self.named(name, zone)
        table = ec2.RouteTable(key, vpc_id=self.id, tags=self.tags(key), opts=ResourceOptions(parent=self.cloud))
        ec2.RouteTableAssociation(
            key, route_table_id=table.id, subnet_id=self.subnets[public, zone].id, opts=ResourceOptions(parent=self.cloud)
        )
        return table

    def create_nat(self, zone: str) -> None:
        """Make the way out for a zone's nodes without an address of their own: another zone's would be lost with that zone."""
        key = self.named("nat", zone)
        self.subnets[Public.NO, zone] = self.create_subnet("private", Public.NO, zone)
        address = ec2.Eip(key, domain="vpc", tags=self.tags(key), opts=ResourceOptions(parent=self.cloud))
        nat = ec2.NatGateway(
            key,
            subnet_id=self.subnets[Public.SERVICE, zone].id,
            allocation_id=address.allocation_id,
            private_ip=str(self.network_of(Public.SERVICE, zone)[NAT_HOST]),
            tags=self.tags(key),
            opts=ResourceOptions(parent=self.cloud, depends_on=[self.gateway]),
        )
        self.ways_out[Public.NO, zone] = ec2.Route(
            self.named("private", zone),
            route_table_id=self.create_route_table("private", Public.NO, zone).id,
            destination_cidr_block=ANYWHERE,
            nat_gateway_id=nat.id,
            opts=ResourceOptions(parent=self.cloud),
        )

    def network_of(self, public: Public, zone: str) -> IPv4Network:
        """Return the range of a subnet: one for nodes reached from outside, one for the others, since routes are by subnet."""
        return subnet_of(IPv4Network(self.plan.network), self.plan.facts, public, self.plan.slots[zone])
