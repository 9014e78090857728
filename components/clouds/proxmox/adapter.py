"""Proxmox VE: machines on hosts of one's own, on a bridge that is there, their data disks with machines that never run.

Sources: `facts/onprem.md` 2 and 7, pulumi_proxmoxve 8.6.0, the provider's source (`tests/simulator/proxmox/schema.json`).
"""

from __future__ import annotations

import pulumi
import pulumi_proxmoxve as proxmoxve
from pulumi import Input

from components.clouds.base import Cloud, Machine, NodeGroup
from components.clouds.first_network import find_gateway, find_name_servers, write_address, write_metadata
from components.clouds.proxmox.places import CONTROLLER, KEEPER, MIB_PER_GIB, Places
from components.model.machine import Public
from components.model.naming import disk_name
from components.model.plan import Node

HOST_CPU = "host"
"""Else it would be `qemu64`, without AES and AVX."""
VOICE_UNITS = 400
"""Four times the share of a machine that says nothing, where a host has too much to do all the same."""
MOST_QUEUES = 64
SHUTDOWN_SECONDS = 180
"""After them it is stopped: a machine that hears nothing must not keep its successor from being made."""
DEVICE = "/dev/disk/by-id/virtio-{serial}"


class Adapter(Cloud):
    """No network and no firewall are made: the bridge is the company's, and the nodes' nftables are all that filters."""

    def create_network(self) -> None:
        self.places = Places(self.plan, self.settings.site, self.settings.image, self.settings.tags)
        self.images: dict[str, proxmoxve.download.File] = {}
        if self.places.template:
            return
        checksum = self.settings.site.image_checksum
        for host in dict.fromkeys(node.zone for node in self.plan.nodes):
            self.images[host] = proxmoxve.download.File(
                f"image-{host}",
                node_name=host,
                datastore_id=self.places.files_store,
                content_type="import",
                file_name=self.places.image_file(host),
                url=self.settings.image,
                checksum=checksum,
                checksum_algorithm="sha512" if len(checksum) > 64 else "sha256",
                # Otherwise it is loaded again whenever the size at the address is another one.
                overwrite=False,
                overwrite_unmanaged=True,
                opts=self.child(),
            )

    def create_firewalls(self) -> None:
        """None: those of Proxmox VE follow connections on the host, which the audio of some hundred calls fills."""

    def create_ssh_key(self) -> None:
        """None: a machine is told the key itself."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, proxmoxve.VmLegacy]:
        """Create for every data disk a machine that never runs: a disk belongs to a machine, and goes with it."""
        return {
            disk.purpose: proxmoxve.VmLegacy(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                node_name=node.zone,
                vm_id=self.places.vm_id(node, disk.purpose),
                description=KEEPER,
                tags=self.places.tags_of(node),
                started=False,
                on_boot=False,
                protection=self.guards,
                disks=[
                    proxmoxve.VmLegacyDiskArgs(
                        interface="virtio0", datastore_id=self.places.data_store, size=disk.size_gib, file_format="raw"
                    )
                ],
                # What else is in the stores is nobody's to tidy up.
                delete_unreferenced_disks_on_destroy=False,
                opts=self.kept(group),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        assert node.private_address, "the plan chooses the private addresses"
        disks, places = self.create_disks(node, group), self.places
        voice, machine = places.is_voice(node), node.machine_type
        # With user data of our own Proxmox VE tells a machine no key, and makes its identity of that text.
        texts = {"user": user_data, "meta": self.ssh_public_key.apply(lambda key: write_metadata(node, key))}
        snippets = {kind: self.create_snippet(node, group, kind, text) for kind, text in texts.items()}
        boot = next(disk.size_gib for disk in node.disks if not disk.is_data)
        vm = proxmoxve.VmLegacy(
            node.key,
            name=node.name,
            node_name=node.zone,
            vm_id=places.vm_id(node),
            tags=places.tags_of(node),
            description=machine.name,  # by which a later run knows what was asked for
            clone=self.find_template(),
            machine="pc",  # the cloud kernel has no driver for the CD of `q35`
            scsi_hardware=CONTROLLER,
            operating_system=proxmoxve.VmLegacyOperatingSystemArgs(type="l26"),
            cpu=proxmoxve.VmLegacyCpuArgs(
                cores=machine.vcpus,
                sockets=1,
                type=self.settings.site.cpu or HOST_CPU,
                numa=voice,
                units=VOICE_UNITS if voice else None,
                limit=0,  # it would take the CPU away in steps, which is heard
            ),
            # Without a balloon: what the plan says is there.
            memory=proxmoxve.VmLegacyMemoryArgs(dedicated=int(machine.memory_gib * MIB_PER_GIB), floating=0),
            disks=[
                proxmoxve.VmLegacyDiskArgs(
                    interface="virtio0",
                    datastore_id=places.store,
                    import_from=self.images[node.zone].id if self.images else None,
                    size=boot,
                    iothread=True,
                    discard="on",
                ),
                *(
                    proxmoxve.VmLegacyDiskArgs(
                        interface=f"virtio{number}",
                        datastore_id=disk.disks[0].datastore_id,
                        path_in_datastore=disk.disks[0].path_in_datastore,
                        size=disk.disks[0].size,
                        file_format="raw",
                        serial=purpose,
                        iothread=True,
                        discard="on",
                    )
                    for number, (purpose, disk) in enumerate(disks.items(), 1)
                ),
            ],
            network_devices=[
                # No MAC address: a new machine gets another one, by which it is known.
                proxmoxve.VmLegacyNetworkDeviceArgs(
                    bridge=places.bridge,
                    vlan_id=self.settings.site.vlan or None,
                    model="virtio",
                    queues=min(machine.vcpus, MOST_QUEUES) if voice else None,
                    firewall=False,
                )
            ],
            initialization=proxmoxve.VmLegacyInitializationArgs(
                datastore_id=places.store,
                interface="ide2",
                ip_configs=[
                    proxmoxve.VmLegacyInitializationIpConfigArgs(
                        ipv4=proxmoxve.VmLegacyInitializationIpConfigIpv4Args(
                            address=write_address(self.plan, node), gateway=find_gateway(self.plan, self.settings.site)
                        )
                    )
                ],
                dns=proxmoxve.VmLegacyInitializationDnsArgs(servers=find_name_servers(self.plan, self.settings.site)),
                user_data_file_id=snippets["user"].id,
                meta_data_file_id=snippets["meta"].id,
            ),
            # An agent that is not in the image would be waited for, a quarter of an hour each time.
            agent=proxmoxve.VmLegacyAgentArgs(enabled=False),
            serial_devices=[proxmoxve.VmLegacySerialDeviceArgs(device="socket")],
            vga=proxmoxve.VmLegacyVgaArgs(type="serial0"),
            started=True,
            on_boot=True,
            reboot_after_update=True,
            stop_on_destroy=False,
            timeout_shutdown_vm=SHUTDOWN_SECONDS,
            delete_unreferenced_disks_on_destroy=False,
            opts=self.replaceable(
                group, "disks[0].importFrom", "clone", "initialization.userDataFileId", "initialization.metaDataFileId"
            ),
        )
        # Without a router that translates, whoever comes from outside comes to the private address.
        public = self.settings.site.public_addresses.get(node.key, node.private_address)
        return Machine(
            machine_id=vm.mac_addresses.apply(lambda found: found[0]),
            private_address=node.private_address,
            public_address=str(public) if node.public is Public.SERVICE else None,
            devices={purpose: DEVICE.format(serial=purpose) for purpose in disks},
            instance_id=node.name,
            needs=(vm,),
        )

    def create_snippet(self, node: Node, group: NodeGroup, kind: str, text: Input[str]) -> proxmoxve.FileLegacy:
        """Create a file of what the machine boots with. It stays as it was: a machine whose file changed would begin anew when
        it is next started."""
        return proxmoxve.FileLegacy(
            f"{node.key}-{kind}",
            node_name=node.zone,
            datastore_id=self.places.files_store,
            content_type="snippets",
            source_raw=proxmoxve.FileLegacySourceRawArgs(data=text, file_name=f"{node.name}-{kind}.yaml"),
            overwrite=True,
            opts=pulumi.ResourceOptions(parent=group, delete_before_replace=True, ignore_changes=["sourceRaw"]),
        )

    def find_template(self) -> proxmoxve.VmLegacyCloneArgs | None:
        """Return the template of which machines are whole copies, None where they are made of an image."""
        if not (template := self.places.template):
            return None
        host, number = template
        return proxmoxve.VmLegacyCloneArgs(vm_id=number, node_name=host or None, datastore_id=self.places.store, full=True)
