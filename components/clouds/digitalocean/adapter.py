"""DigitalOcean: dedicated-CPU droplets in a VPC, each with a public address, most of them closed.

Sources: `facts/clouds.md` 0 and 4, `facts/schemas/README.md` 8 to 12.
"""

from __future__ import annotations

import pulumi
import pulumi_digitalocean as digitalocean
from pulumi import Input

from components.clouds.base import Cloud, Machine, NodeGroup
from components.clouds.rules import by_ports, rules_in, rules_out
from components.model.machine import Public
from components.model.naming import disk_name
from components.model.plan import Node
from components.model.planning.dns import PRIORITY, TTL_SECONDS, WEIGHT, Record, Zone
from components.model.planning.firewall import ANY_PORT

IMAGE = "debian-12-x64"

CREATED_TOGETHER = 10
"""Droplets that the API creates at the same time."""


class Adapter(Cloud):
    """Ids of droplets are numbers in strings, references to them are numbers: hence `id.apply(int)`."""

    def create_network(self) -> None:
        self.vpc = digitalocean.Vpc(
            "network", name=self.plan.stack, region=self.plan.region, ip_range=self.plan.network, opts=self.child()
        )
        # A firewall that names a tag nobody made is refused, so tags come before everything that wears them.
        self.stack_tag = digitalocean.Tag("stack", name=f"webitel:{self.plan.stack}", opts=self.child())
        self.role_tags = {
            role: digitalocean.Tag(role, name=f"webitel:{self.plan.stack}:{role}", opts=self.child()) for role in self.plan.roles
        }
        self.droplets: list[digitalocean.Droplet] = []

    def create_firewalls(self) -> None:
        """By tag, so that a droplet is covered from its first second; a firewall also filters the private network."""
        for role in self.plan.roles:
            self.create_firewall(role)

    def create_firewall(self, role: str) -> digitalocean.Firewall:
        incoming = [
            digitalocean.FirewallInboundRuleArgs(
                protocol=protocol,
                port_range=ports,
                source_addresses=[rule.network for rule in rules if rule.network] or None,
                source_tags=[self.role_tags[rule.peer_role].name for rule in rules if rule.peer_role] or None,
            )
            for (protocol, ports), rules in by_ports(rules_in(self.plan, role)).items()
        ]
        outgoing = [
            digitalocean.FirewallOutboundRuleArgs(
                protocol=protocol, port_range=ports, destination_addresses=[rule.network for rule in rules]
            )
            for (protocol, ports), rules in by_ports(rules_out(self.plan, role)).items()
        ]
        # What is not listed is denied on the private network too; there the firewall at the other end decides.
        inside = [
            digitalocean.FirewallOutboundRuleArgs(
                protocol=protocol, port_range=ANY_PORT, destination_addresses=[self.plan.network]
            )
            for protocol in ("tcp", "udp")
        ]
        return digitalocean.Firewall(
            role,
            name=f"{self.plan.stack}-{role}",
            tags=[self.role_tags[role].name],
            inbound_rules=incoming,
            outbound_rules=[*outgoing, *inside],
            opts=self.child(),
        )

    def create_ssh_key(self) -> None:
        # No name of ours: the provider would delete it before its successor is made, and with it, since a droplet's keys
        # count as a reason to replace it, every droplet (`ignore_changes` is not asked there). So the new key comes first.
        self.ssh_key = digitalocean.SshKey(self.plan.stack, public_key=self.ssh_public_key, opts=self.child())

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, digitalocean.Volume]:
        return {
            disk.purpose: digitalocean.Volume(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                region=self.plan.region,
                size=disk.size_gib,
                tags=self.tags_of(node),
                opts=self.kept(group),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        volumes = self.create_disks(node, group)
        # Of an adopted droplet nobody knows whether it has the agent, and a change of that would replace it.
        options = self.replaceable(group, "image", "userData", "sshKeys", "dropletAgent")
        options.depends_on = [self.droplets[-CREATED_TOGETHER]] if len(self.droplets) >= CREATED_TOGETHER else []
        droplet = digitalocean.Droplet(
            node.key,
            name=node.name,
            size=node.machine_type.name,
            region=self.plan.region,
            image=self.settings.image or IMAGE,
            vpc_uuid=self.vpc.id,
            ssh_keys=[self.ssh_key.fingerprint],
            user_data=user_data,
            tags=self.tags_of(node),
            ipv6=False,
            public_networking=node.public is not Public.NO,
            # Both replace the droplet when changed, also when a new version of the provider changes its default.
            monitoring=False,
            droplet_agent=False,
            resize_disk=False,  # true enlarges the boot disk for good, and no smaller size would fit again
            graceful_shutdown=True,
            opts=options,
        )
        self.droplets.append(droplet)
        attachments: list[pulumi.Resource] = []
        for purpose, volume in volumes.items():
            # One after the other: a droplet with a pending event refuses the next one.
            attachments.append(
                digitalocean.VolumeAttachment(
                    f"{node.key}-{purpose}",
                    droplet_id=droplet.id.apply(int),
                    volume_id=volume.id,
                    opts=self.exclusive(group, attachments[-1:]),
                )
            )
        return Machine(
            machine_id=droplet.id,
            # Nobody can choose it: known once the droplet exists, and another one when it is replaced.
            private_address=droplet.ipv4_address_private,
            # The droplet's own: a reserved address arrives on another one (the anchor), and what goes out does not
            # carry it, so RTP could not use it. A replaced droplet has a new one.
            public_address=droplet.ipv4_address if node.public is Public.SERVICE else None,
            devices={purpose: f"/dev/disk/by-id/scsi-0DO_Volume_{disk_name(node.name, purpose)}" for purpose in volumes},
            instance_id=droplet.id,
            needs=(droplet, *attachments),
        )

    def tags_of(self, node: Node) -> list[Input[str]]:
        """Return the tags of everything that belongs to a node.

        The user's own are the account's: what wears one makes it, and a resource here would take it from all others.
        """
        own = [f"{name}:{value}" for name, value in self.settings.tags.items()]
        return [self.stack_tag.name, self.role_tags[node.role].name, *own]

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        priority, weight, port = (None, None, None) if record.nodes else (PRIORITY, WEIGHT, record.port)
        for number, value in enumerate(values if record.nodes else [f"{record.target}."], 1):
            digitalocean.DnsRecord(
                f"{record.label} {number}",
                domain=zone.name,
                type=record.type,
                name=record.inside(zone),
                value=value,
                ttl=TTL_SECONDS,
                priority=priority,
                weight=weight,
                port=port,
                opts=self.child(),
            )
