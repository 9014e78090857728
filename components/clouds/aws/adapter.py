"""AWS: EC2 instances in the zones of a VPC, those reached from outside in a subnet of their own.

Sources: `facts/clouds.md` 0 and 1, `facts/schemas/README.md` 13 to 19.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import Input, InvokeOptions, ResourceOptions
from pulumi_aws import Provider, ebs, ec2, route53, vpc

from components.clouds.aws.backup_bucket import create_backup_buckets
from components.clouds.aws.budget import create_budget
from components.clouds.aws.groups import GroupRule, list_crowd, own_rules
from components.clouds.aws.mover import Mover
from components.clouds.aws.network import GivenNetwork, OwnNetwork
from components.clouds.base import Cloud, Machine, NodeGroup, SharedAddress
from components.clouds.rules import name_networks
from components.model.catalogue.standby import ADDRESS
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.naming import SIP, disk_name
from components.model.plan import Node, Plan
from components.model.planning.check_shape import growing_roles
from components.model.planning.dns import TTL_SECONDS, Record, Zone
from components.model.share import resolve_catalogue

DEBIAN = "136693071363"
"""The account that publishes Debian's images."""

IMAGE = "debian-12-amd64-*"

GP3_IOPS = 3_000
"""What a gp3 disk has without extra price, and at least."""

DEVICES = "fghijklmnop"
"""Letters of `/dev/sd?` that AWS recommends for data disks; the machine itself never shows them."""


GROUP_MEMBERS = 7
"""Instances in one placement group: as many as it takes in a single zone."""


class Adapter(Cloud):
    """Interfaces, addresses and data disks are resources of their own, so that they outlive an instance."""

    def create_providers(self, plan: Plan) -> list[pulumi.ProviderResource]:
        return [Provider("aws", region=plan.region)]  # without a region it refuses to start

    def create_network(self) -> None:
        self.elastic_ips: dict[str, ec2.Eip] = {}
        self.records: dict[str, route53.Record] = {}
        self.interfaces: dict[str, ec2.NetworkInterface] = {}
        self.mover = Mover(self.plan, self.tags, self) if self.plan.sip_address else None
        if self.mover:
            self.shared = SharedAddress(self.mover.address.public_ip, self.mover.address.allocation_id)
        self.network = GivenNetwork(self.plan) if self.plan.existing else OwnNetwork(self, self.plan, self.tags, self.place)
        self.image = (
            self.settings.image
            or ec2.get_ami_output(
                owners=[DEBIAN],
                most_recent=True,
                filters=[ec2.GetAmiFilterArgs(name="name", values=[IMAGE])],
                opts=InvokeOptions(parent=self),
            ).id
        )
        # An instance enters or leaves a placement group only by being replaced: every role that may grow has its groups from the
        # first node on, a node's group follows from its own number alone, and one that was made without stays without.
        growing = growing_roles(TIERS[self.plan.tier], resolve_catalogue(self.settings))
        self.placement_groups = {
            key: ec2.PlacementGroup(
                key, name=f"{self.plan.stack}-{key}", strategy="spread", tags=self.tags(key), opts=self.child()
            )
            for key in dict.fromkeys(placement_group(node) for node in self.plan.nodes if node.role in growing)
        }

    def create_firewalls(self) -> None:
        # All groups come before the first rule, since rules name other groups.
        self.firewalls = {
            role: ec2.SecurityGroup(
                role,
                name=f"{self.plan.stack}-{role}",
                vpc_id=self.network.id,
                description=f"Nodes of role {role}",  # never to be changed: that replaces the group
                tags=self.tags(role),
                opts=self.child(),
            )
            for role in self.plan.roles
        }
        self.crowds = {role: self.create_crowd(role) for role in self.plan.roles}
        self.egress = {role: self.create_rules(role, group) for role, group in self.firewalls.items()}

    def create_rules(self, role: str, group: ec2.SecurityGroup) -> list[pulumi.Resource]:
        """Create the rules of a role; return those of its ways out."""
        options = ResourceOptions(parent=group)
        entering, leaving = own_rules(self.plan, role)
        for rule, purpose in entering.items():
            vpc.SecurityGroupIngressRule(
                f"{role}-in-{rule.key}",
                security_group_id=group.id,
                ip_protocol=rule.protocol,
                from_port=rule.first,
                to_port=rule.last,
                cidr_ipv4=rule.network or None,
                referenced_security_group_id=self.firewalls[rule.peer_role].id if rule.peer_role else None,
                description=purpose,
                tags=self.tags(f"{role}-in-{rule.key}"),
                opts=options,
            )
        # Inside the network the group at the other end decides. All protocols have no ports.
        for name, network in name_networks(self.plan.networks).items():
            vpc.SecurityGroupEgressRule(
                f"{role}-out-{name}",
                security_group_id=group.id,
                ip_protocol="-1",
                cidr_ipv4=network,
                description="the deployment",
                tags=self.tags(f"{role}-out-{name}"),
                opts=options,
            )
        # The provider takes away the rule that lets everything out, so every way out is a rule of ours.
        return [
            vpc.SecurityGroupEgressRule(
                f"{role}-out-{rule.key}",
                security_group_id=group.id,
                ip_protocol=rule.protocol,
                from_port=rule.first,
                to_port=rule.last,
                cidr_ipv4=rule.network,
                description=purpose,
                tags=self.tags(f"{role}-out-{rule.key}"),
                opts=options,
            )
            for rule, purpose in leaving.items()
        ]

    def create_crowd(self, role: str) -> list[ec2.SecurityGroup]:
        """Create the groups of carriers and phones where there are too many for the role's own.

        Rules inside their groups, as AWS is told first what goes and then what comes: one by one it would be the other way
        round, and a full group has room for none.
        """

        def arguments(rule: GroupRule) -> dict[str, Any]:
            return {"protocol": rule.protocol, "from_port": rule.first, "to_port": rule.last, "cidr_blocks": list(rule.networks)}

        return [
            ec2.SecurityGroup(
                f"{role}-networks-{number}",
                name=f"{self.plan.stack}-{role}-networks-{number}",
                vpc_id=self.network.id,
                description=f"Carriers and phones of role {role}, part {number}",  # never to be changed
                ingress=[ec2.SecurityGroupIngressArgs(**arguments(rule)) for rule in entering],
                egress=[ec2.SecurityGroupEgressArgs(**arguments(rule)) for rule in leaving],
                tags=self.tags(f"{role}-networks-{number}"),
                opts=self.child(),
            )
            for number, (entering, leaving) in enumerate(list_crowd(self.plan, role), 1)
        ]

    def create_ssh_key(self) -> None:
        # No name of ours: the provider would delete it before its successor is made, and with it, since an instance's
        # key counts as a reason to replace it, every instance (`ignore_changes` is not asked there).
        self.ssh_key = ec2.KeyPair(self.plan.stack, public_key=self.ssh_public_key, tags=self.tags("ssh"), opts=self.child())

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, ebs.Volume]:
        return {
            disk.purpose: ebs.Volume(
                f"{node.key}-{disk.purpose}",
                # From the plan, never from an instance: a disk whose zone were derived would go with its instance.
                availability_zone=self.place(node.zone),
                size=disk.size_gib,
                type=self.facts.disk_type_for(node.machine_type),
                iops=self.iops(node),
                encrypted=True,
                kms_key_id=self.settings.disk_key or None,
                tags={**self.tags(node.key, node.role), "Name": disk_name(node.name, disk.purpose)},
                opts=self.kept_disk(group, "kmsKeyId"),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "AWS's private addresses are chosen by the plan"
        tags = self.tags(node.key, node.role)
        inside = ResourceOptions(parent=group, delete_before_replace=True)
        volumes = self.create_disks(node, group)
        moves = self.mover if ADDRESS in node.services else None
        interface = self.interfaces[node.key] = ec2.NetworkInterface(
            node.key,
            subnet_id=self.network.subnet_of(node),
            private_ips=[node.private_address],
            security_groups=[self.firewalls[node.role].id, *(group.id for group in self.crowds[node.role])],
            tags=tags,
            opts=moves.options(group) if moves else inside,
        )
        needs = self.network.list_needs(node)
        address = None
        if node.public is Public.SERVICE:
            # It depends on nothing, so that it can be kept when all else goes; associating it needs the gateway.
            address = ec2.Eip(node.key, domain="vpc", tags=tags, opts=self.kept(group))
            self.elastic_ips[node.key] = address
            needs.append(
                ec2.EipAssociation(
                    node.key,
                    allocation_id=address.allocation_id,
                    network_interface_id=interface.id,
                    private_ip_address=node.private_address,
                    opts=ResourceOptions(parent=group, delete_before_replace=True, depends_on=list(needs)),
                )
            )
        at_creation = ("ami", "userDataBase64", "keyName", "placementGroup", "rootBlockDevice.kmsKeyId")
        options = self.replaceable(group, *at_creation)
        options.depends_on = [*needs, *self.egress[node.role]]  # its first boot installs packages
        instance = ec2.Instance(
            node.key,
            ami=self.image,
            instance_type=node.machine_type.name,
            key_name=self.ssh_key.key_name,
            # What stands on the interface (subnet, addresses, security groups) must not stand here too.
            primary_network_interface=ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
            placement_group=group_of.name if (group_of := self.placement_groups.get(placement_group(node))) else None,
            root_block_device=ec2.InstanceRootBlockDeviceArgs(
                volume_type=self.facts.disk_type_for(node.machine_type),
                volume_size=node.disks[0].size_gib,
                iops=self.iops(node),
                encrypted=True,
                kms_key_id=self.settings.disk_key or None,
                delete_on_termination=True,
                tags={**tags, "Name": disk_name(node.name, "boot")},
            ),
            # Tokens only, and none beyond the machine: containers and what forwards packets do not reach it.
            metadata_options=ec2.InstanceMetadataOptionsArgs(
                http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
            ),
            iam_instance_profile=moves.profile.name if moves else None,
            user_data_base64=user_data,
            disable_api_termination=True,
            force_destroy=True,  # refuses the console, lets Pulumi
            tags=tags,
            opts=options,
        )
        # An instance is stopped before a disk leaves it: unmounted, not torn off.
        attachments = [
            ec2.VolumeAttachment(
                f"{node.key}-{purpose}",
                device_name=f"/dev/sd{letter}",
                volume_id=volume.id,
                instance_id=instance.id,
                stop_instance_before_detaching=True,
                opts=inside,
            )
            for letter, (purpose, volume) in zip(DEVICES, volumes.items(), strict=False)
        ]
        return Machine(
            machine_id=instance.id,
            private_address=node.private_address,
            public_address=address.public_ip if address else None,
            # The order of NVMe devices varies; their serial number is the volume's id without its hyphen.
            devices={
                purpose: pulumi.Output.concat(
                    "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_", volume.id.apply(lambda id: id.replace("-", ""))
                )
                for purpose, volume in volumes.items()
            },
            instance_id=instance.id,
            needs=(instance, *needs, *attachments),
        )

    def place(self, zone: str) -> str:
        """Return the name of a zone."""
        return f"{self.plan.region}{zone}"

    def iops(self, node: Node) -> int:
        """Return the IOPS that each of the node's disks has."""
        return max(GP3_IOPS, TIERS[self.plan.tier].role(node.role).size.iops)

    def tags(self, name: str, role: str = "") -> dict[str, str]:
        """Return the tags of a resource; AWS shows `Name`."""
        of_role = {"webitel:role": role} if role else {}
        own = {"Name": f"{self.plan.stack}-{name}", "webitel:stack": self.plan.stack}
        return {**self.settings.tags, **own, **of_role}

    def create_backup_buckets(self) -> Mapping[str, Input[str]]:
        return create_backup_buckets(self, self.plan.stack, self.settings, self.tags("backup"))

    def create_budget(self) -> None:
        create_budget(
            self.plan.stack,
            self.settings.budget,
            self.plan.monthly_price.currency,
            self.settings.budget_mail,
            self.tags("budget"),
            self.child(),
        )

    def finish_shared(self) -> None:
        if self.mover:
            turns = [node.key for node in self.plan.nodes_with(ADDRESS)]
            self.mover.allow([self.interfaces[key] for key in turns], [self.elastic_ips[key] for key in turns])

    def create_reverse_name(self, key: str, name: str) -> None:
        address, named = self.elastic_ips[key], key
        if self.mover and ADDRESS in self.plan.node(key).services:
            # The name leads to the address that they have in turn.
            if self.mover.is_named:
                return
            self.mover.is_named, address, named = True, self.mover.address, SIP
        ec2.EipDomainName(
            named,
            allocation_id=address.allocation_id,
            domain_name=name,
            # AWS looks whether it leads to the address.
            opts=ResourceOptions(parent=self.groups[key], depends_on=[self.records[f"{name} A"]]),
        )

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        self.records[record.label] = route53.Record(
            record.label, zone_id=zone.key, name=record.name, type=record.type, ttl=TTL_SECONDS, records=values, opts=self.child()
        )


def placement_group(node: Node) -> str:
    """Which of its role's placement groups a node is in; the first has the role's name."""
    part = (node.n - 1) // GROUP_MEMBERS
    return f"{node.role}-{part + 1}" if part else node.role
