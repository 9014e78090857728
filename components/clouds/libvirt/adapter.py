"""KVM by libvirt: domains on hosts, each in a network and pools that are there and have the same names on all.

Sources: `facts/onprem.md` 3, 6 and 7; dmacvicar/terraform-provider-libvirt v0.8.3.
"""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape

import pulumi_libvirt as libvirt
from pulumi import Input, ResourceOptions

from components.clouds.base import Cloud, Machine, NodeGroup
from components.clouds.first_network import write_metadata, write_network
from components.clouds.libvirt.adoption import domain_id
from components.model.machine import Public
from components.model.naming import disk_name, mac_address
from components.model.plan import Node

IMAGE = "debian-12-genericcloud-amd64.qcow2"
"""The volume that the recipe of `docs/operate/libvirt.md` makes."""

USUAL = "default"
"""What libvirt itself calls its pool and its network."""

GIB = 1 << 30
MIB_PER_GIB = GIB >> 20

SHEET = """\
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output omit-xml-declaration="yes"/>
<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>
<xsl:template match="/domain/uuid"/>
<xsl:template match="/domain/name"><xsl:copy-of select="."/><uuid>{uuid}</uuid></xsl:template>
<xsl:template match="/domain/devices/memballoon"/>
<xsl:template match="/domain/devices/graphics"/>
<xsl:template match="/domain/devices"><xsl:copy><xsl:apply-templates select="@*|node()"/>\
<memballoon model="none"/></xsl:copy></xsl:template>
<xsl:template match="/domain/devices/interface"><xsl:copy><xsl:apply-templates select="@*|node()"/>\
<driver queues="{queues}"/></xsl:copy></xsl:template>
{more}</xsl:stylesheet>
"""
"""What the provider has no inputs for: the machine's UUID, no memory taken away from it, no screen (the provider makes one that
everybody on the host may use, and some builds of QEMU have none), a queue a vCPU for its packets."""

MODEL = """\
<xsl:template match="/domain/cpu"><cpu mode="custom" match="exact"><model>{model}</model></cpu></xsl:template>
"""

MOST_QUEUES = 8


class Adapter(Cloud):
    """Three things make a machine, each of the one before: the disc with its user data, the boot volume, the domain. So a new
    disc makes all of them anew, and another size of the machine the domain alone, which starts from the volume that it had."""

    def create_network(self) -> None:
        """None: the network and the pools are the hosts'."""
        self.site = self.settings.site
        self.store = self.site.store or USUAL
        zones = dict.fromkeys(node.zone for node in (*self.plan.nodes, *self.plan.kept))
        self.hosts = {
            zone: libvirt.Provider(zone, uri=self.site.hosts[zone], opts=self.child())
            for zone in zones
            if zone in self.site.hosts
        }

    def create_firewalls(self) -> None:
        """None: the nodes' own nftables."""

    def create_ssh_key(self) -> None:
        """None: the user data has it."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, libvirt.Volume]:
        # Every input would replace a volume, its size too; a larger one is made so on the host (docs/operate/libvirt.md).
        return {
            disk.purpose: libvirt.Volume(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                pool=self.site.data_store or self.store,
                size=disk.size_gib * GIB,
                format="raw",
                opts=self.on_host(node, self.kept_disk(group, "size", "pool", "format")),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "private addresses are chosen by the plan"
        disks = self.create_disks(node, group)
        mac = mac_address(self.facts.mac_prefix, self.plan.stack, node.key)
        disc = libvirt.CloudInitDisk(
            node.key,
            name=f"{node.name}.iso",
            pool=self.store,
            user_data=user_data,
            meta_data=self.ssh_public_key.apply(lambda key: write_metadata(node, key)),
            network_config=write_network(self.plan, self.site, node, mac),
            opts=self.on_host(node, self.replaceable(group, "userData", "metaData", "networkConfig", "pool")),
        )
        boot = libvirt.Volume(
            f"{node.key}-boot",
            # A volume of that name would be taken as it is, with the system of the machine before in it.
            name=disc.id.apply(lambda id: f"{node.name}-{id.rpartition(';')[2][:8]}.qcow2"),
            pool=self.store,
            size=next(disk.size_gib for disk in node.disks if not disk.is_data) * GIB,
            format="qcow2",
            base_volume_name=self.settings.image or IMAGE,
            base_volume_pool=self.site.files_store or self.store,
            opts=self.on_host(node, self.replaceable(group, "pool", "size", "format", "baseVolumeName", "baseVolumePool")),
        )
        names = {purpose: wide_name(disk_name(node.name, purpose)) for purpose in disks}
        domain = libvirt.Domain(
            node.key,
            name=node.name,
            # Another volume in its disks would be written down and change nothing, while the old one is deleted under the
            # running machine: what it was made with has to stand where a change makes it anew.
            description=disc.id,
            vcpu=node.machine_type.vcpus,
            memory=int(node.machine_type.memory_gib * MIB_PER_GIB),
            cpu=libvirt.DomainCpuArgs(mode="host-passthrough"),
            machine="pc",  # the disc is on IDE, which q35 has not
            cloudinit=disc.id,
            disks=[
                libvirt.DomainDiskArgs(volume_id=boot.id),
                *(libvirt.DomainDiskArgs(volume_id=disks[purpose].id, scsi=True, wwn=name) for purpose, name in names.items()),
            ],
            network_interfaces=[
                libvirt.DomainNetworkInterfaceArgs(network_name=self.site.network or USUAL, mac=mac, wait_for_lease=False)
            ],
            consoles=[libvirt.DomainConsoleArgs(type="pty", target_type="serial", target_port="0")],
            autostart=True,
            xml=libvirt.DomainXmlArgs(xslt=self.write_sheet(node)),
            opts=self.on_host(node, self.replaceable(group, "xml", "cpu", "machine", "networkInterfaces", "consoles")),
        )
        return Machine(
            machine_id=disc.id,
            private_address=node.private_address,
            public_address=self.public_address(node),
            devices={purpose: f"/dev/disk/by-id/wwn-0x{name}" for purpose, name in names.items()},
            needs=(disc, domain, boot),
        )

    def on_host(self, node: Node, options: ResourceOptions) -> ResourceOptions:
        """Have a resource made on its node's host; without an endpoint of its own that is the one at `libvirt:uri`."""
        options.provider = self.hosts.get(node.zone)
        return options

    def public_address(self, node: Node) -> str | None:
        """Return where a node is reached: what the owner's router translates to it, or its own address."""
        if node.public is not Public.SERVICE:
            return None
        return str(self.site.public_addresses.get(node.key) or node.private_address)

    def write_sheet(self, node: Node) -> str:
        """Return what makes the provider's definition of a machine ours."""
        more = MODEL.format(model=escape(self.site.cpu)) if self.site.cpu else ""
        queues = min(node.machine_type.vcpus, MOST_QUEUES)
        return SHEET.format(uuid=domain_id(node.name), queues=queues, more=more)


def wide_name(name: str) -> str:
    """Return the world wide name by which a node finds a disk, always the same: 16 hexadecimal digits, the first of which says
    that it is one."""
    return f"5{hashlib.sha256(name.encode()).hexdigest()[:15]}"
