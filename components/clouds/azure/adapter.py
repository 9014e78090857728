"""Azure: virtual machines in one virtual network, those reached from outside in a subnet of their own.

Sources: `facts/clouds.md` 0 and 3, `facts/schemas/README.md` 24 to 27. Azure encrypts every disk by itself. The provider
sends a change of what cannot change as an update, which Azure refuses: hence `ignore_changes` and `replace_on_changes`.
"""

from __future__ import annotations

import copy
import re
from ipaddress import IPv4Network

from pulumi import Input, ResourceOptions, ResourceTransformationArgs, ResourceTransformationResult
from pulumi_azure_native import compute, dns, network, resources

from components.clouds.azure.budget import create_budget
from components.clouds.azure.machines import IMAGE, name_controller, name_device, refer_to_image
from components.clouds.azure.security import list_rules_in, list_rules_out
from components.clouds.base import Cloud, Machine, NodeGroup
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.naming import disk_name
from components.model.plan import Node
from components.model.planning.addresses import subnet_of
from components.model.planning.check_shape import growing_roles
from components.model.planning.dns import PRIORITY, TTL_SECONDS, WEIGHT, Record, Zone
from components.model.share import resolve_catalogue

V2_IOPS, V2_MBPS = 3000, 125
"""What a data disk has at no price of its own."""

VERSIONED = re.compile(r":\w+/v\d{8}\w*:")


def drop_versions(made: ResourceTransformationArgs) -> ResourceTransformationResult:
    """Without the SDK's aliases of versioned types, some thirty a resource, which made a large preview take twice as long."""
    # Only a state made with such a type needs them, and ours has none. The others stay: they are types that moved.
    options = copy.copy(made.opts)
    options.aliases = [alias for alias in made.opts.aliases or [] if not VERSIONED.search(str(getattr(alias, "type_", "")))]
    return ResourceTransformationResult(made.props, options)


class Adapter(Cloud):
    """Every name is ours: left out, azure-native would add random characters to it."""

    transformations = (drop_versions,)

    def create_network(self) -> None:
        self.tags = {**self.settings.tags, "stack": self.plan.stack, "managed-by": "webitel"}
        self.group = resources.ResourceGroup(
            "group", resource_group_name=self.plan.stack, location=self.plan.region, tags=self.tags, opts=self.child()
        )
        if not self.plan.existing:  # else with its subnets, and their ways out
            self.create_own_network()
        self.scale_sets = {key: self.create_scale_set(*key) for key in self.list_scale_sets()}

    def create_own_network(self) -> None:
        # Subnets are resources of their own: listed here too, each update of one would delete the others.
        self.network = network.VirtualNetwork(
            "network",
            resource_group_name=self.group.name,
            virtual_network_name=self.plan.stack,
            location=self.plan.region,
            address_space=network.AddressSpaceArgs(address_prefixes=[self.plan.network]),
            tags=self.tags,
            opts=ResourceOptions(parent=self, ignore_changes=["subnets"]),
        )
        self.subnets: dict[tuple[Public, int | None], network.Subnet] = {}
        for node in sorted(self.plan.nodes, key=lambda node: node.public is not Public.SERVICE):
            if self.subnet_key(node) not in self.subnets:
                self.subnets[self.subnet_key(node)] = self.create_subnet(node)

    def subnet_key(self, node: Node) -> tuple[Public, int | None]:
        """Return what tells a node's subnet from others: in a deployment from before there were zones they are the region's."""
        return node.public, self.plan.slots[node.zone]

    def named(self, name: str, zone: str) -> str:
        """Name what every zone has of its own; the first one's name has had none of the zone since before there were
        several."""
        return f"{name}-{zone}" if self.plan.slots[zone] else name

    def create_subnet(self, node: Node) -> network.Subnet:
        """Make the subnet of a node and of those like it, with its own way out where they have no address of their own."""
        inner = node.public is not Public.SERVICE
        name, after = self.named("private" if inner else "public", node.zone), list(self.subnets.values())[-1:]
        return network.Subnet(
            name,
            resource_group_name=self.group.name,
            virtual_network_name=self.network.name,
            subnet_name=name,
            address_prefix=str(subnet_of(IPv4Network(self.plan.network), self.facts, node.public, self.plan.slots[node.zone])),
            nat_gateway=network.SubResourceArgs(id=self.create_nat(node.zone).id) if inner else None,
            default_outbound_access=False,  # else every machine goes out by an address that nobody knows
            # One after the other: Azure refuses a second change of a network while the first is under way.
            opts=ResourceOptions(parent=self, depends_on=after),
        )

    def create_nat(self, zone: str) -> network.NatGateway:
        """Make the way out for a zone's nodes without an address of their own: another zone's would be lost with that zone. Where
        subnets are the region's, the first zone's is everybody's."""
        key = self.named("nat", zone)
        address = self.create_address(key, f"{self.plan.stack}-{key}", self.tags, self.child())
        return network.NatGateway(
            key,
            resource_group_name=self.group.name,
            nat_gateway_name=f"{self.plan.stack}-{key}",
            location=self.plan.region,
            sku=network.NatGatewaySkuArgs(name="Standard"),
            # In no zone it would stand in one that Azure chooses and tells nobody. It stays where it was made.
            zones=list_zones(zone if self.plan.slots[zone] is not None else self.plan.zone),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            tags=self.tags,
            opts=ResourceOptions(parent=self, ignore_changes=["zones"]),
        )

    def list_scale_sets(self) -> list[tuple[str, str]]:
        """Role and zone of every scale set, where the role may grow."""
        growing = growing_roles(TIERS[self.plan.tier], resolve_catalogue(self.settings))
        return list(dict.fromkeys((node.role, node.zone) for node in self.plan.nodes if node.role in growing))

    def create_scale_set(self, role: str, zone: str) -> compute.VirtualMachineScaleSet:
        """Make what keeps a role's machines of one zone apart, as far as Azure can: availability sets know no zones."""
        name = f"{role}-zone-{zone}" if zone else role
        return compute.VirtualMachineScaleSet(
            name,
            resource_group_name=self.group.name,
            vm_scale_set_name=f"{self.plan.stack}-{name}",
            location=self.plan.region,
            orchestration_mode="Flexible",
            platform_fault_domain_count=1,  # as many as there are, says Azure by that
            single_placement_group=False,
            zones=list_zones(zone),
            tags=self.tags,
            opts=self.child(),
        )

    def create_address(
        self,
        key: str,
        name: str,
        tags: dict[str, str],
        options: ResourceOptions,
    ) -> network.PublicIPAddress:
        """Make a public address in all zones, so that a machine may move to another with it."""
        return network.PublicIPAddress(
            key,
            resource_group_name=self.group.name,
            public_ip_address_name=name,
            location=self.plan.region,
            sku=network.PublicIPAddressSkuArgs(name="Standard", tier="Regional"),
            public_ip_allocation_method="Static",
            public_ip_address_version="IPv4",
            zones=list(self.facts.zones_in(self.plan.region)) or None,
            tags=tags,
            opts=options,
        )

    def create_firewalls(self) -> None:
        self.firewalls = {
            role: network.NetworkSecurityGroup(
                role,
                resource_group_name=self.group.name,
                network_security_group_name=f"{self.plan.stack}-{role}",
                location=self.plan.region,
                security_rules=[*list_rules_in(self.plan, role), *list_rules_out(self.plan, role)],
                tags=self.tags,
                opts=self.child(),
            )
            for role in self.plan.roles
        }

    def create_ssh_key(self) -> None:
        """None: a machine is given the key itself."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, compute.Disk]:
        key = self.settings.disk_key
        kept = self.kept_disk(group, "sku", "diskIOPSReadWrite", "diskMBpsReadWrite", "encryption")
        kept.replace_on_changes = ["zones"]  # so that the protection refuses it, with its reason, and not Azure
        # A disk stays of the kind that it was made of: earlier versions made another, which takes no IOPS, and Azure changes
        # the kind of none that a machine has. `webitel:disk_sizes` and replacing a member of a cluster are the ways to a new one.
        return {
            disk.purpose: compute.Disk(
                f"{node.key}-{disk.purpose}",
                resource_group_name=self.group.name,
                disk_name=disk_name(node.name, disk.purpose),
                location=self.plan.region,
                zones=list_zones(node.zone),
                creation_data=compute.CreationDataArgs(create_option="Empty"),
                disk_size_gb=disk.size_gib,
                sku=compute.DiskSkuArgs(name=self.facts.disk_type_for(node.machine_type, data=True)),
                disk_iops_read_write=max(V2_IOPS, TIERS[self.plan.tier].role(node.role).size.iops),
                disk_m_bps_read_write=V2_MBPS,
                encryption=compute.EncryptionArgs(
                    disk_encryption_set_id=key, type=compute.EncryptionType.ENCRYPTION_AT_REST_WITH_CUSTOMER_KEY
                )
                if key
                else None,
                network_access_policy="DenyAll",
                public_network_access="Disabled",
                tags=self.tags_of(node),
                opts=kept,
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        tags, disks, key = self.tags_of(node), self.create_disks(node, group), self.settings.disk_key
        address = None
        if node.public is Public.SERVICE:
            address = self.create_address(node.key, node.name, tags, self.kept(group))
        interface = network.NetworkInterface(
            node.key,
            resource_group_name=self.group.name,
            network_interface_name=node.name,
            location=self.plan.region,
            enable_accelerated_networking=True,
            network_security_group=network.NetworkSecurityGroupArgs(id=self.firewalls[node.role].id),
            ip_configurations=[
                network.NetworkInterfaceIPConfigurationArgs(
                    name="primary",
                    primary=True,
                    private_ip_address=node.private_address,
                    private_ip_allocation_method="Static",
                    subnet=network.SubnetArgs(id=node.subnet or self.subnets[self.subnet_key(node)].id),
                    public_ip_address=network.PublicIPAddressArgs(id=address.id) if address else None,
                )
            ],
            tags=tags,
            opts=ResourceOptions(parent=group, delete_before_replace=True),
        )
        scale_set = self.scale_sets.get((node.role, node.zone))
        options = self.replaceable(group, *self.list_only_at_creation(node))
        options.replace_on_changes = [
            "osProfile.adminUsername",
            "osProfile.computerName",
            "storageProfile.osDisk.diskSizeGB",
            "storageProfile.diskControllerType",
            "zones",
        ]
        machine = compute.VirtualMachine(
            node.key,
            resource_group_name=self.group.name,
            vm_name=node.name,
            location=self.plan.region,
            zones=list_zones(node.zone),
            virtual_machine_scale_set=compute.SubResourceArgs(id=scale_set.id) if scale_set else None,
            hardware_profile=compute.HardwareProfileArgs(vm_size=node.machine_type.name),
            os_profile=compute.OSProfileArgs(
                computer_name=node.name,
                admin_username=self.facts.login_user,
                custom_data=user_data,
                linux_configuration=compute.LinuxConfigurationArgs(
                    disable_password_authentication=True,
                    ssh=compute.SshConfigurationArgs(
                        public_keys=[
                            compute.SshPublicKeyArgs(
                                path=f"/home/{self.facts.login_user}/.ssh/authorized_keys", key_data=self.ssh_public_key
                            )
                        ]
                    ),
                ),
            ),
            storage_profile=compute.StorageProfileArgs(
                image_reference=refer_to_image(self.settings.image or IMAGE),
                disk_controller_type=name_controller(node.machine_type),
                os_disk=compute.OSDiskArgs(
                    name=disk_name(node.name, "boot"),
                    create_option="FromImage",
                    caching=compute.CachingTypes.READ_WRITE,
                    disk_size_gb=node.disks[0].size_gib,
                    delete_option="Delete",
                    managed_disk=compute.ManagedDiskParametersArgs(
                        storage_account_type=self.facts.disk_type_for(node.machine_type),
                        disk_encryption_set=compute.DiskEncryptionSetParametersArgs(id=key) if key else None,
                    ),
                ),
                data_disks=[
                    compute.DataDiskArgs(
                        lun=lun,
                        create_option="Attach",
                        caching=compute.CachingTypes.NONE,
                        delete_option="Detach",
                        managed_disk=compute.ManagedDiskParametersArgs(id=disk.id),
                    )
                    for lun, disk in enumerate(disks.values())
                ],
            ),
            network_profile=compute.NetworkProfileArgs(
                network_interfaces=[compute.NetworkInterfaceReferenceArgs(id=interface.id, primary=True, delete_option="Detach")]
            ),
            diagnostics_profile=compute.DiagnosticsProfileArgs(boot_diagnostics=compute.BootDiagnosticsArgs(enabled=True)),
            tags=tags,
            opts=options,
        )
        return Machine(
            machine_id=machine.vm_id,  # `id` is made of names and stays when the machine is replaced
            private_address=node.private_address or "",
            public_address=address.ip_address.apply(lambda text: text or "") if address else None,
            devices={purpose: name_device(node.machine_type, lun) for lun, purpose in enumerate(disks)},
            needs=(machine,),
        )

    def list_only_at_creation(self, node: Node) -> list[str]:
        """Return what counts when a machine is made: it enters a scale set then, and never leaves it. A boot disk's size
        too, unless somebody chose it: ours has grown since."""
        chosen = f"{node.role}.{node.disks[0].purpose}" in self.settings.disk_sizes
        grown = [] if chosen else ["storageProfile.osDisk.diskSizeGB"]
        return [
            "osProfile.customData",
            "osProfile.linuxConfiguration",
            "storageProfile.imageReference",
            "storageProfile.osDisk.managedDisk.diskEncryptionSet",
            "virtualMachineScaleSet",
            *grown,
        ]

    def tags_of(self, node: Node) -> dict[str, str]:
        """Return the tags of everything that belongs to a node."""
        return {**self.tags, "role": node.role, "node": node.key}

    def create_budget(self) -> None:
        create_budget(self.plan.stack, self.settings.budget, self.group.id, self.settings.budget_mail, self.child())

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        service = dns.SrvRecordArgs(priority=PRIORITY, weight=WEIGHT, port=record.port, target=f"{record.target}.")
        dns.RecordSet(
            record.label,
            resource_group_name=zone.key,
            zone_name=zone.name,
            record_type=record.type,
            ttl=TTL_SECONDS,
            relative_record_set_name=record.inside(zone),
            a_records=[dns.ARecordArgs(ipv4_address=value) for value in values] if record.nodes else None,
            srv_records=None if record.nodes else [service],
            opts=self.child(),
        )


def list_zones(zone: str) -> list[str] | None:
    """Return a zone as Azure takes it; nothing where the region has none."""
    return [zone] if zone else None
