"""XCP-ng by Xen Orchestra: machines of a template in a pool, in a network and stores that are there.

Sources: `facts/onprem.md` 5 and 7, pulumi_xenorchestra 2.4.0, the provider's source (`tests/simulator/xen/schema.json`).
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_xenorchestra as xenorchestra
from pulumi import Input, Output

from components.clouds.base import Cloud, Machine, NodeGroup
from components.clouds.first_network import write_network_v1
from components.clouds.xen.places import BYTES_PER_GIB, Places
from components.model.machine import Disk, Public
from components.model.naming import disk_name, mac_address
from components.model.plan import Node

FIRST_DEVICE = ord("a")
PATIENCE = pulumi.CustomTimeouts(create="1h", update="30m", delete="30m")
"""The provider's own is five minutes, in which no disk is copied to another store."""


class Adapter(Cloud):
    """A node is one resource: its data disks are the machine's and go with it, so that one with data is protected, and nothing
    here ever replaces it."""

    def create_network(self) -> None:
        """None is made: pool, network, template, hosts and stores are asked for by their names."""
        site = self.settings.site
        self.places = Places(self.plan, site, self.settings.tags)
        self.pool = xenorchestra.get_xoa_pool_output(name_label=site.pool).id if site.pool else None
        self.network = xenorchestra.get_xoa_network_output(name_label=self.places.network, pool_id=self.pool).id
        self.template = xenorchestra.get_xoa_template_output(name_label=self.settings.image, pool_id=self.pool)
        self.hosts = {
            zone: xenorchestra.get_xoa_host_output(name_label=zone).id
            for zone in dict.fromkeys(node.zone for node in self.plan.nodes)
        }
        self.stores: dict[str, Output[str]] = {}

    def create_firewalls(self) -> None:
        """None: the nodes' own nftables."""

    def create_ssh_key(self) -> None:
        """None: the user data has it."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, pulumi.Resource]:
        """None by themselves."""
        return {}

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "the plan chooses the private addresses"
        machine, places = node.machine_type, self.places
        data = [disk for disk in node.disks if disk.is_data]
        memory = int(machine.memory_gib * BYTES_PER_GIB)
        mac = mac_address(self.facts.mac_prefix, self.plan.stack, node.key)
        # Data disks last, always in this order: the provider knows them by their place.
        disks = [*(disk for disk in node.disks if not disk.is_data), *data]
        vm = xenorchestra.Vm(
            node.key,
            name_label=node.name,
            name_description=machine.name,  # by which a later run knows what was asked for
            tags=places.tags_of(node),
            template=self.template.id,
            clone_type="fast",
            # As the template's: a system that was installed for the one does not start by the other.
            hvm_boot_firmware=self.template.boot_firmware,
            affinity_host=self.hosts[node.zone],
            cpus=machine.vcpus,
            # Both the same: what the plan says is there, and nothing takes it back.
            memory_max=memory,
            memory_min=memory,
            disks=[self.describe_disk(node, disk) for disk in disks],
            # No `expected_ip_cidr`: without guest tools it is waited for in vain.
            networks=[xenorchestra.VmNetworkArgs(network_id=self.network, mac_address=mac)],
            cloud_config=user_data,
            cloud_network_config=write_network_v1(self.plan, self.settings.site, node, mac),
            # It would be deleted before it was read (onprem.md 5.2).
            destroy_cloud_config_vdi_after_boot=False,
            auto_poweron=True,
            blocked_operations=["destroy"] if data and self.guards else [],
            opts=self.lasting(group, bool(data), len(disks)),
        )
        return Machine(
            machine_id=vm.id,
            private_address=node.private_address,
            public_address=self.public_address(node),
            devices={
                disk.purpose: find_device(vm.disks, disk_name(node.name, disk.purpose), number)
                for number, disk in enumerate(disks)
                if disk.is_data
            },
            instance_id=vm.id,
            needs=(vm,),
        )

    def describe_disk(self, node: Node, disk: Disk) -> xenorchestra.VmDiskArgs:
        """Return a disk of a node's machine."""
        return xenorchestra.VmDiskArgs(
            name_label=disk_name(node.name, disk.purpose),
            size=disk.size_gib * BYTES_PER_GIB,
            sr_id=self.find_store(self.places.store(node, data=disk.is_data)),
        )

    def find_store(self, name: str) -> Output[str]:
        """Return the id of a store, asked for once."""
        if name not in self.stores:
            self.stores[name] = xenorchestra.get_xoa_storage_repository_output(name_label=name, pool_id=self.pool).id
        return self.stores[name]

    def lasting(self, group: NodeGroup, has_data: bool, disks: int) -> pulumi.ResourceOptions:
        """Return the options of a machine, protected where its data would go with it. A disk that was moved to another store
        stays there: the provider cannot move one."""
        stores = (f"disks[{number}].srId" for number in range(disks))
        options = self.replaceable(group, "template", "cloudConfig", "cloudNetworkConfig", "hvmBootFirmware", "networks", *stores)
        options.protect = has_data and self.facts.in_earnest
        options.custom_timeouts = PATIENCE
        return options

    def public_address(self, node: Node) -> str | None:
        """Return where a node is reached: what the owner's router translates to it, or its own address."""
        if node.public is not Public.SERVICE:
            return None
        return str(self.settings.site.public_addresses.get(node.key) or node.private_address)


def find_device(disks: Output[Sequence[xenorchestra.outputs.VmDisk]], name: str, number: int) -> Output[str]:
    """Return the path of a disk in the node: Xen names it by its place, which Xen Orchestra tells and never changes."""

    def find(found: Sequence[xenorchestra.outputs.VmDisk]) -> str:
        place = next((disk.position for disk in found if disk.name_label == name), None)
        return f"/dev/xvd{chr(FIRST_DEVICE + int(place or number))}"

    return disks.apply(find)
