"""Hetzner Cloud: CCX servers in one network, each with a public address, most of them closed.

Sources: `facts/clouds.md` 0 and 5, `facts/schemas/README.md` 1 to 8.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_hcloud as hcloud
from pulumi import Input

from components.clouds.base import Cloud, Machine, NodeGroup, SharedAddress
from components.clouds.hetzner.firewalls import Entry, distribute
from components.clouds.rules import by_ports, rules_in, rules_out
from components.model.catalogue.standby import ADDRESS
from components.model.machine import Public
from components.model.naming import SIP, disk_name
from components.model.plan import Node
from components.model.planning.dns import TTL_SECONDS, Record, Zone

IMAGE = "debian-12"

NETWORK_ZONES = {
    "fsn1": "eu-central",
    "nbg1": "eu-central",
    "hel1": "eu-central",
    "ash": "us-east",
    "hil": "us-west",
    "sin": "ap-southeast",
}
"""The network zone of each location."""

GROUP_MEMBERS = 10
"""Servers in one placement group."""


class Adapter(Cloud):
    """Ids are numbers in strings, references to them are numbers: hence `id.apply(int)`."""

    def create_network(self) -> None:
        self.primary_ips: dict[str, hcloud.PrimaryIp] = {}
        self.labels = {**self.settings.tags, "stack": self.plan.stack, "managed-by": "webitel"}
        self.floating = self.create_floating() if self.plan.sip_address else None
        self.network = hcloud.Network(
            "network", name=self.plan.stack, ip_range=self.plan.network, labels=self.labels, opts=self.child()
        )
        self.subnet = hcloud.NetworkSubnet(
            "subnet",
            network_id=self.network.id.apply(int),
            type="cloud",
            network_zone=NETWORK_ZONES[self.plan.region],
            ip_range=self.plan.network,
            opts=self.child(),
        )
        # A running server may enter a group but never leave or change it: every role has its groups from the first
        # node on, and a node's group follows from its own number alone.
        self.placement_groups = {
            (role, part): hcloud.PlacementGroup(
                f"{role}-spread-{part}",
                name=f"{self.plan.stack}-{role}-spread-{part}",
                type="spread",
                labels=self.labels,
                opts=self.child(),
            )
            for role, part in dict.fromkeys((node.role, placement_part(node)) for node in self.plan.nodes)
        }

    def create_floating(self) -> hcloud.FloatingIp:
        """Create the public address that nodes for SIP have in turn. No server is named, here or by an assignment: the node that
        takes calls moves it, and what Pulumi reads afterwards is no change (`facts/edge-hetzner.md`)."""
        floating = hcloud.FloatingIp(
            SIP,
            name=f"{self.plan.stack}-{SIP}",
            type="ipv4",
            home_location=self.plan.region,
            delete_protection=self.guards,
            labels=self.labels,
            opts=pulumi.ResourceOptions(parent=self, protect=self.facts.in_earnest),
        )
        self.shared = SharedAddress(floating.ip_address, floating.id)
        self.is_named = False
        return floating

    def create_firewalls(self) -> None:
        """Create the firewall of the public side: Hetzner never filters the private network, the nodes' nftables do."""
        self.firewalls = {role: self.create_role(role) for role in self.plan.roles}

    def create_role(self, role: str) -> list[hcloud.Firewall]:
        """Make the firewalls of a role: one, and further ones for networks that it has no room for."""
        entries = [
            Entry(direction, protocol, ports, found[rules[0]], networks)
            for direction, found in (("in", rules_in(self.plan, role)), ("out", rules_out(self.plan, role)))
            for (protocol, ports), rules in by_ports(found).items()
            if (networks := [rule.network for rule in rules if rule.network])
        ]
        return [
            self.create_firewall(role, f"{role}-networks-{number}" if number else role, part)
            for number, part in enumerate(distribute(entries))
        ]

    def create_firewall(self, role: str, name: str, entries: Sequence[Entry]) -> hcloud.Firewall:
        return hcloud.Firewall(
            name,
            name=f"{self.plan.stack}-{name}",
            # Without a single outgoing rule everything would be let out.
            rules=[
                hcloud.FirewallRuleArgs(
                    direction=entry.direction,
                    protocol=entry.protocol,
                    port=entry.ports,
                    source_ips=entry.networks if entry.direction == "in" else None,
                    destination_ips=entry.networks if entry.direction == "out" else None,
                    description=entry.purpose,
                )
                for entry in entries
            ],
            labels={**self.labels, "role": role},
            opts=self.child(),
        )

    def create_ssh_key(self) -> None:
        # No name of ours: the provider would delete it before its successor is made, and with it, since a server's keys
        # count as a reason to replace it, every server (`ignore_changes` is not asked there). So the new key comes first.
        self.ssh_key = hcloud.SshKey(self.plan.stack, public_key=self.ssh_public_key, labels=self.labels, opts=self.child())

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, hcloud.Volume]:
        return {
            disk.purpose: hcloud.Volume(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                size=disk.size_gib,
                location=self.plan.region,
                delete_protection=self.guards,
                labels=self.labels_of(node),
                opts=self.kept(group),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "Hetzner's private addresses are chosen by the plan"
        labels, volumes = self.labels_of(node), self.create_disks(node, group)
        moves = self.floating is not None and ADDRESS in node.services
        address = None
        if node.public is Public.SERVICE:
            address = hcloud.PrimaryIp(
                node.key,
                name=node.name,
                type="ipv4",
                location=self.plan.region,
                # Otherwise it vanishes with the server, whatever Pulumi knows of it.
                auto_delete=False,
                delete_protection=self.guards,
                labels=labels,
                opts=self.kept(group),
            )
            self.primary_ips[node.key] = address
        server = hcloud.Server(
            node.key,
            name=node.name,
            server_type=node.machine_type.name,
            location=self.plan.region,
            image=self.settings.image or IMAGE,
            ssh_keys=[self.ssh_key.id],
            user_data=user_data,
            # Attached after the boot, whatever is written here, as soon as a server has a public address: the
            # configuration waits for it, user data knows no address. Without `alias_ips` every run would attach it anew.
            networks=[hcloud.ServerNetworkArgs(subnet_id=self.subnet.id, ip=node.private_address, alias_ips=[])],
            public_nets=[
                hcloud.ServerPublicNetArgs(
                    ipv4_enabled=node.public is not Public.NO, ipv4=address.id.apply(int) if address else None, ipv6_enabled=False
                )
            ],
            firewall_ids=[firewall.id.apply(int) for firewall in self.firewalls[node.role]],
            placement_group_id=self.placement_groups[node.role, placement_part(node)].id.apply(int),
            # The provider never lifts them at a deletion (its documentation says otherwise): with them, neither `destroy` nor
            # a lowered count nor a replacement could delete the server, which would stay behind, shut down.
            delete_protection=False,
            rebuild_protection=False,
            keep_disk=True,  # a larger type would enlarge the boot disk for good, and no smaller type would fit again
            shutdown_before_deletion=True,
            labels=labels,
            opts=self.replaceable(group, "image", "userData", "sshKeys", *(["networks[0].aliasIps"] if moves else [])),
        )
        attachments = tuple(
            hcloud.VolumeAttachment(
                f"{node.key}-{purpose}",
                volume_id=volume.id.apply(int),
                server_id=server.id.apply(int),
                automount=False,
                opts=self.exclusive(group),
            )
            for purpose, volume in volumes.items()
        )
        needs: tuple[pulumi.Resource, ...] = (server, *attachments)
        return Machine(
            machine_id=server.id,
            private_address=node.private_address,
            public_address=address.ip_address if address else None,
            devices={purpose: volume.linux_device for purpose, volume in volumes.items()},
            instance_id=server.id,
            needs=needs,
        )

    def labels_of(self, node: Node) -> dict[str, str]:
        """Return the labels of everything that belongs to a node."""
        return {**self.labels, "role": node.role, "node": node.key}

    def create_reverse_name(self, key: str, name: str) -> None:
        if self.floating and ADDRESS in self.plan.node(key).services:
            # The name leads to the address that they have in turn.
            if not self.is_named:
                self.is_named = True
                hcloud.Rdns(
                    SIP,
                    floating_ip_id=self.floating.id.apply(int),
                    ip_address=self.floating.ip_address,
                    dns_ptr=name,
                    opts=self.child(),
                )
            return
        address = self.primary_ips[key]
        hcloud.Rdns(
            key,
            primary_ip_id=address.id.apply(int),
            ip_address=address.ip_address,
            dns_ptr=name,
            opts=pulumi.ResourceOptions(parent=self.groups[key]),
        )

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        hcloud.ZoneRrset(
            record.label,
            zone=zone.name,
            name=record.inside(zone),
            type=record.type,
            ttl=TTL_SECONDS,
            labels=self.labels,
            records=[hcloud.ZoneRrsetRecordArgs(value=value) for value in values],
            opts=self.child(),
        )


def placement_part(node: Node) -> int:
    """Which of its role's placement groups a node stands in, from 1."""
    return (node.n - 1) // GROUP_MEMBERS + 1
