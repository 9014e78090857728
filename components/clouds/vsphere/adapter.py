"""VMware vSphere by vCenter: whole copies of a template in clusters, a network and stores that are there.

Sources: `facts/onprem.md` 3, 4 and 7; pulumi_vsphere 4.18.2, the provider's source (`tests/simulator/vsphere/schema.json`).
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import partial

import pulumi
import pulumi_vsphere as vsphere
from pulumi import Input, Output
from pulumi_vsphere.outputs import VirtualMachineDisk

from components.clouds.base import Cloud, Machine, NodeGroup
from components.clouds.first_network import write_metadata, write_network
from components.clouds.vsphere.places import Places
from components.model.machine import Public
from components.model.naming import mac_address
from components.model.plan import Node

BOOT = "boot"
CONTROLLER, CARD = "pvscsi", "vmxnet3"
"""What Debian's kernels have drivers for, the cloud one too."""
ENCODING = "gzip+base64"
SHUTDOWN_MINUTES = 5
"""After them it is powered off: a machine that hears nothing must not keep its successor from being made."""
THICK, WHOLE = "eagerZeroedThick", "lazy"
"""A database writes at one speed from its first day; a recording may wait for its blocks, but their room is there."""


class Adapter(Cloud):
    """No network and no firewall are made: port group, stores and clusters are the company's, the nodes' nftables filter."""

    def create_network(self) -> None:
        """None is made; what there is, is found by its names."""
        self.places = Places(self.plan, self.settings.site)
        self.datacenter = vsphere.get_datacenter_output(name=self.places.datacenter)
        self.clusters = {
            zone: vsphere.get_compute_cluster_output(name=zone, datacenter_id=self.datacenter.id)
            for zone in dict.fromkeys(node.zone for node in self.plan.nodes)
        }
        self.network = vsphere.get_network_output(name=self.places.network, datacenter_id=self.datacenter.id)
        self.store = vsphere.get_datastore_output(name=self.places.store, datacenter_id=self.datacenter.id)
        self.template = vsphere.get_virtual_machine_output(name=self.settings.image, datacenter_id=self.datacenter.id)
        self.made: dict[str, vsphere.VirtualMachine] = {}

    def create_firewalls(self) -> None:
        """None: the nodes' own nftables."""

    def create_ssh_key(self) -> None:
        """None: the metadata has it."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, vsphere.VirtualDisk]:
        # Larger ones are made so in vCenter (docs/operate/vsphere.md): a disk in use is locked for the provider's own way.
        return {
            disk.purpose: vsphere.VirtualDisk(
                f"{node.key}-{disk.purpose}",
                datacenter=self.places.datacenter,
                datastore=self.places.data_store,
                vmdk_path=self.places.disk_path(node, disk.purpose),
                size=disk.size_gib,
                type=THICK if disk.purpose == "database" else WHOLE,
                create_directories=True,
                opts=self.kept_disk(group, "size", "type", "datacenter", "datastore", "vmdkPath", "createDirectories"),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "private addresses are chosen by the plan"
        disks, reserved = self.create_disks(node, group), self.places.reserve(node)
        mac = mac_address(self.facts.mac_prefix, self.plan.stack, node.key)
        vm = vsphere.VirtualMachine(
            node.key,
            name=node.name,
            folder=self.settings.site.folder or None,
            annotation=node.machine_type.name,  # by which a later run knows what was asked for
            resource_pool_id=self.clusters[node.zone].resource_pool_id,
            datastore_id=self.store.id,
            clone=vsphere.VirtualMachineCloneArgs(template_uuid=self.template.id, linked_clone=False),
            # What differs from the template is refused.
            guest_id=self.template.guest_id,
            firmware=self.template.firmware,
            scsi_type=CONTROLLER,
            num_cpus=node.machine_type.vcpus,
            num_cores_per_socket=node.machine_type.vcpus,
            memory=reserved.memory_mib,
            memory_reservation=reserved.memory_mib,
            memory_reservation_locked_to_max=True,
            cpu_reservation=reserved.cpu_mhz,
            cpu_share_level=reserved.shares,
            latency_sensitivity=reserved.latency,
            # Only then do disks have names of their own in the guest.
            enable_disk_uuid=True,
            disks=[
                vsphere.VirtualMachineDiskArgs(
                    label=BOOT,
                    unit_number=0,
                    size=next(disk.size_gib for disk in node.disks if not disk.is_data),
                    thin_provisioned=True,
                ),
                # A disk that is attached outlives the machine; its size must not be said.
                *(
                    vsphere.VirtualMachineDiskArgs(
                        label=purpose,
                        unit_number=number,
                        attach=True,
                        datastore_id=self.find_store(disk.datastore),
                        path=disk.vmdk_path,
                    )
                    for number, (purpose, disk) in enumerate(disks.items(), 1)
                ),
            ],
            network_interfaces=[
                vsphere.VirtualMachineNetworkInterfaceArgs(
                    network_id=self.network.id, adapter_type=CARD, use_static_mac=True, mac_address=mac
                )
            ],
            extra_config={
                "guestinfo.metadata": self.ssh_public_key.apply(lambda key: self.write_first(node, key, mac)),
                "guestinfo.metadata.encoding": ENCODING,
                "guestinfo.userdata": user_data,
                "guestinfo.userdata.encoding": ENCODING,
            },
            # Nothing in the guest reads another one before it is made anew: no reason to restart it.
            extra_config_reboot_required=False,
            # chrony sets the clock.
            sync_time_with_host=False,
            # The address is known; waiting for a guest to tell it takes five minutes where its tools are slow.
            wait_for_guest_net_timeout=0,
            shutdown_wait_timeout=SHUTDOWN_MINUTES,
            force_power_off=True,
            # In another cluster it is another machine: a running one would leave its data disks behind.
            replace_trigger=node.zone,
            opts=self.replaceable(group, "extraConfig", "clone", "guestId", "firmware"),
        )
        self.made[node.key] = vm
        self.keep_apart(node)
        return Machine(
            machine_id=vm.id,
            private_address=node.private_address,
            public_address=self.public_address(node),
            devices={purpose: vm.disks.apply(partial(name_device, purpose)) for purpose in disks},
            instance_id=node.name,
            needs=(vm,),
        )

    def find_store(self, name: Output[str]) -> Output[str]:
        """Return the id of the store that a disk is in, wherever new ones are made by now."""
        return vsphere.get_datastore_output(name=name, datacenter_id=self.datacenter.id).id

    def keep_apart(self, node: Node) -> None:
        """Create the rule that keeps a role's machines of a cluster on different hosts, with the last of them."""
        members = self.places.members(node)
        if not self.settings.site.drs or len(members) < 2 or members[-1].key != node.key:
            return
        vsphere.ComputeClusterVmAntiAffinityRule(
            f"{node.role}-{node.zone}",
            name=f"{self.plan.stack}-{node.role}",
            compute_cluster_id=self.clusters[node.zone].id,
            virtual_machine_ids=[self.made[one.key].id for one in members],
            # Where a host is lost and too few are left, a node beside another one is better than none.
            mandatory=False,
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
        )

    def public_address(self, node: Node) -> str | None:
        """Return where a node is reached: what the owner's router translates to it, or its own address."""
        if node.public is not Public.SERVICE:
            return None
        return str(self.settings.site.public_addresses.get(node.key) or node.private_address)

    def write_first(self, node: Node, key: str, mac: str) -> str:
        """Return cloud-init's metadata with the network in it, as guestinfo takes it: equal text gives equal bytes."""
        metadata = json.loads(write_metadata(node, key))
        metadata["network"] = json.loads(write_network(self.plan, self.settings.site, node, mac))
        return base64.b64encode(gzip.compress(json.dumps(metadata).encode("ascii"), 9, mtime=0)).decode()


def name_device(label: str, disks: Sequence[VirtualMachineDisk]) -> str:
    """Return the path under which a guest finds a disk: its UUID is its world wide name."""
    uuid = next((disk.uuid for disk in disks if disk.label == label), None) or ""
    return f"/dev/disk/by-id/wwn-0x{uuid.replace('-', '').lower()}"
