"""Google Cloud: instances in the zones of a region, in a network of their own, told apart by network tags.

Sources: `facts/clouds.md` 0 and 2, `facts/schemas/README.md` 20 to 23. Google encrypts every disk by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi
from pulumi import Input, Output, RunError
from pulumi_gcp import Provider, compute, config, dns

from components.clouds.base import Cloud, Machine, NodeGroup, SharedAddress
from components.clouds.gcp.backup_bucket import create_backup_buckets
from components.clouds.gcp.budget import create_budget
from components.clouds.gcp.mover import Mover
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import ADDRESS
from components.model.catalogue.tiers import TIERS
from components.model.machine import Public
from components.model.naming import disk_name
from components.model.plan import EgressRule, Node, Opening, Plan
from components.model.planning.check_shape import clustered_roles
from components.model.planning.dns import TTL_SECONDS, Record, Zone
from components.model.planning.firewall import ANYWHERE

IMAGE = "projects/debian-cloud/global/images/family/debian-12"
"""Google resolves the family when a disk is made: no look-up."""

LAST = 65534
"""The priority of what closes, before Google's own rules, which let everything out."""

FIRST_AMONG_OTHERS, LAST_AMONG_OTHERS = 900, 990
"""Priorities of ours in a network of the company's: before 1000, which firewalls have that name none."""

DOMAINS = 8
"""Availability domains of a placement policy. It cannot grow with a cluster: another number is another policy."""

HYPERDISK = "hyperdisk"
HYPERDISK_IOPS = 3_000
"""What a Hyperdisk has without extra price, and at least."""

LEAST_PORTS, MOST_PORTS = 256, 65_536
"""Ports of the NAT's address for one machine, powers of two: set aside, and taken as they are needed. An address has 64 512, so
that 252 machines go out by it."""


class Adapter(Cloud):
    """Every name is ours: it is checked by the plan, and a failed creation is found again by it."""

    def create_providers(self, plan: Plan) -> list[pulumi.ProviderResource]:
        if not config.project:  # asked here, since Google would say so once for each resource
            raise RunError(
                "gcp:project is not set: say in which project the deployment stands, such as "
                f"pulumi config set gcp:project your-project --stack {plan.stack}, or set GOOGLE_PROJECT"
            )
        return [Provider("gcp", project=config.project, region=plan.region)]

    def create_network(self) -> None:
        self.labels = {**self.settings.tags, "stack": self.plan.stack, "managed-by": "webitel"}
        self.mover = Mover(self.plan, self.labels, self) if self.plan.sip_address else None
        if self.mover:
            self.shared = SharedAddress(self.mover.address.address, self.mover.handle)
        # Names of projects: of a network shared by several, its firewalls are in the one that has it.
        self.way_out: list[pulumi.Resource] = []
        self.network: Input[str]
        self.firewall_project: str | None = None
        if self.plan.existing:  # with its subnets, and the NAT of its routers
            self.network, self.firewall_project = self.plan.existing.id, self.plan.existing.id.split("/")[1]
        else:
            self.create_own_network()
        # Every role whose nodes may form a cluster has one from its first node on: another policy is another instance.
        self.placement_policies = {
            role: compute.ResourcePolicy(
                role,
                name=f"{self.plan.stack}-{role}",
                region=self.plan.region,
                group_placement_policy=compute.ResourcePolicyGroupPlacementPolicyArgs(availability_domain_count=DOMAINS),
                opts=self.child(),
            )
            for role in clustered_roles(TIERS[self.plan.tier], CATALOGUE)
        }

    def create_own_network(self) -> None:
        network = compute.Network("network", name=self.plan.stack, auto_create_subnetworks=False, opts=self.child())
        self.subnetwork = compute.Subnetwork(
            "network",
            name=self.plan.stack,
            network=network.id,
            region=self.plan.region,
            ip_cidr_range=self.plan.network,
            opts=self.child(),
        )
        self.network = network.id
        # An instance with an address of its own never uses it: one subnetwork does for all.
        if any(node.public is Public.NO for node in self.plan.nodes):
            router = compute.Router("nat", name=self.plan.stack, network=network.id, region=self.plan.region, opts=self.child())
            # One that stays: whoever is called by web hooks lets in known addresses.
            address = compute.Address(
                "nat",
                name=f"{self.plan.stack}-nat",
                region=self.plan.region,
                address_type="EXTERNAL",
                labels=self.labels,
                opts=self.child(),
            )
            self.way_out.append(
                compute.RouterNat(
                    "nat",
                    name=f"{self.plan.stack}-nat",
                    router=router.name,
                    region=self.plan.region,
                    nat_ip_allocate_option="MANUAL_ONLY",
                    nat_ips=[address.id],
                    source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
                    # Google's own figure is 64 connections of a machine to one destination, each held two minutes longer.
                    enable_dynamic_port_allocation=True,
                    enable_endpoint_independent_mapping=False,
                    min_ports_per_vm=LEAST_PORTS,
                    max_ports_per_vm=MOST_PORTS,
                    opts=self.child(),
                )
            )

    def create_firewalls(self) -> None:
        """By tag, one for each kind of sources; what nobody opens is closed, also inside the network."""
        self.egress = {role: self.create_firewall(role) for role in self.plan.roles}
        everything = [compute.FirewallDenyArgs(protocol="all")]
        # In a network of the company's ours concern our nodes alone, and go before its own, which may open what ours close.
        own = None if not self.plan.existing else [self.tag(role) for role in self.plan.roles]
        last = LAST if not self.plan.existing else LAST_AMONG_OTHERS
        if self.plan.existing:
            self.open_or_close("in", "INGRESS", last, source_ranges=[ANYWHERE], denies=everything, target_tags=own)
        self.open_or_close("out", "EGRESS", last, destination_ranges=[ANYWHERE], denies=everything, target_tags=own)
        # Inside the network the firewall at the other end decides.
        self.open_or_close(
            "out-network",
            "EGRESS",
            destination_ranges=list(self.plan.networks),
            allows=[compute.FirewallAllowArgs(protocol="all")],
            target_tags=own,
        )

    def open_or_close(self, key: str, direction: str, priority: int | None = None, **rule: Any) -> compute.Firewall:
        """Create one firewall."""
        return compute.Firewall(
            key,
            name=f"{self.plan.stack}-{key}",
            network=self.network,
            project=self.firewall_project,
            direction=direction,
            priority=priority or (FIRST_AMONG_OTHERS if self.plan.existing else None),
            opts=self.child(),
            **rule,
        )

    def create_firewall(self, role: str) -> list[compute.Firewall]:
        """Create the firewalls of a role; return those of its ways out."""
        openings = [opening for opening in self.plan.openings if opening.role == role]
        for audience, networks in dict.fromkeys((one.audience, one.networks) for one in openings if one.networks):
            found = [one for one in openings if (one.audience, one.networks) == (audience, networks)]
            self.open_or_close(
                f"{role}-{audience}",
                "INGRESS",
                source_ranges=list(networks),
                target_tags=[self.tag(role)],
                allows=allow(found),
            )
        for peer in dict.fromkeys(peer for one in openings for peer in one.roles):
            # Tags of sources count for the private addresses of machines only, not for one that is forwarded to them.
            turns = self.plan.sip_address and any(ADDRESS in node.services for node in self.plan.nodes if node.role == peer)
            self.open_or_close(
                f"{role}-from-{peer}",
                "INGRESS",
                source_tags=[self.tag(peer)],
                source_ranges=[f"{self.plan.sip_address}/32"] if turns else None,
                target_tags=[self.tag(role)],
                allows=allow(one for one in openings if peer in one.roles),
            )
        rules = [rule for rule in self.plan.egress if rule.role == role]
        return [
            self.open_or_close(
                f"{role}-out-{number}",
                "EGRESS",
                destination_ranges=list(destinations),
                target_tags=[self.tag(role)],
                allows=allow(rule for rule in rules if rule.destinations == destinations),
            )
            for number, destinations in enumerate(dict.fromkeys(rule.destinations for rule in rules), 1)
        ]

    def create_ssh_key(self) -> None:
        """None: it is metadata of each instance, where Google's agent takes it and adds a new one at any time."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, compute.Disk]:
        disk_type, key = self.facts.disk_type_for(node.machine_type), self.settings.disk_key
        iops = max(HYPERDISK_IOPS, TIERS[self.plan.tier].role(node.role).size.iops) if HYPERDISK in disk_type else None
        return {
            disk.purpose: compute.Disk(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                zone=self.zone_of(node),
                size=disk.size_gib,
                type=disk_type,
                provisioned_iops=iops,
                disk_encryption_key=compute.DiskDiskEncryptionKeyArgs(kms_key_self_link=key) if key else None,
                labels=self.labels_of(node),
                opts=self.kept_disk(group, "diskEncryptionKey"),
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        labels, disks = self.labels_of(node), self.create_disks(node, group)
        address = None
        if node.public is Public.SERVICE:
            address = compute.Address(
                node.key, name=node.name, region=self.plan.region, address_type="EXTERNAL", labels=labels, opts=self.kept(group)
            )
        options = self.replaceable(
            group,
            "bootDisk.initializeParams.image",
            "bootDisk.initializeParams.labels",
            "bootDisk.kmsKeySelfLink",
            'metadata["startup-script"]',
        )
        # Its first boot installs packages.
        options.depends_on = [*self.egress[node.role], *(self.way_out if node.public is Public.NO else [])]
        policy = self.placement_policies.get(node.role)
        moves = self.mover if ADDRESS in node.services else None
        instance = compute.Instance(
            node.key,
            name=node.name,
            zone=self.zone_of(node),
            machine_type=node.machine_type.name,
            tags=[self.tag(node.role)],
            allow_stopping_for_update=True,  # another machine type is a stop and a start, not another machine
            boot_disk=compute.InstanceBootDiskArgs(
                device_name="boot",
                auto_delete=True,
                kms_key_self_link=self.settings.disk_key or None,
                initialize_params=compute.InstanceBootDiskInitializeParamsArgs(
                    image=self.settings.image or IMAGE,
                    size=node.disks[0].size_gib,
                    type=self.facts.disk_type_for(node.machine_type),
                    labels=labels,
                ),
            ),
            attached_disks=[
                compute.InstanceAttachedDiskArgs(source=disk.id, device_name=purpose, mode="READ_WRITE")
                for purpose, disk in disks.items()
            ],
            network_interfaces=[
                compute.InstanceNetworkInterfaceArgs(
                    # As text: through an address resource it would be unknown in a preview.
                    subnetwork=node.subnet or self.subnetwork.id,
                    network_ip=node.private_address,
                    nic_type="GVNIC",
                    access_configs=[compute.InstanceNetworkInterfaceAccessConfigArgs(nat_ip=address.address)] if address else [],
                )
            ],
            metadata={
                # Never metadata_startup_script: a change of that replaces the instance.
                "startup-script": user_data,
                "ssh-keys": Output.concat(self.facts.login_user, ":", self.ssh_public_key),
                # Else everybody with a key in the project's metadata or a role in it logs in here too.
                "block-project-ssh-keys": "true",
                "enable-oslogin": "FALSE",
            },
            scheduling=compute.InstanceSchedulingArgs(
                automatic_restart=True,
                on_host_maintenance="MIGRATE",
                availability_domain=(node.n - 1) % DOMAINS + 1 if policy else None,
            ),
            resource_policies=policy.id if policy else None,  # one text, not a list
            service_account=moves.identity() if moves else None,
            # Lifted only by an update of its own before: with it, neither `destroy` nor a lowered count nor a replacement
            # could delete the instance. What must not be lost stands on disks that no instance deletes.
            deletion_protection=False,
            labels=labels,
            opts=options,
        )
        if moves:
            moves.aim(node, self.zone_of(node), instance, group)
        return Machine(
            machine_id=instance.instance_id,  # `id` is made of names and stays when the instance is replaced
            private_address=node.private_address or "",
            public_address=address.address if address else None,
            devices={purpose: f"/dev/disk/by-id/google-{purpose}" for purpose in disks},
            needs=(instance,),
        )

    def finish_shared(self) -> None:
        if self.mover:
            first = self.plan.nodes_with(ADDRESS)[0]
            self.mover.forward(self.network, first.subnet or self.subnetwork.id)

    def zone_of(self, node: Node) -> str:
        """Return the name of a node's zone; all else is the region's."""
        return f"{self.plan.region}-{node.zone}"

    def labels_of(self, node: Node) -> dict[str, str]:
        """Return the labels of everything that belongs to a node."""
        return {**self.labels, "role": node.role, "node": node.key}

    def tag(self, role: str) -> str:
        """Return the network tag of a role's nodes."""
        return f"{self.plan.stack}-{role}"

    def create_backup_buckets(self) -> Mapping[str, Input[str]]:
        return create_backup_buckets(self, self.plan, self.settings, self.labels)

    def create_budget(self) -> None:
        # The Billing Budgets API answers 403 to a person's credentials, which `doctor` advises, unless each request is charged
        # to a project (facts/machines.md, Alarms at a bill). All else works without, and stays as it is.
        own = Provider(
            "budget",
            project=config.project,
            region=self.plan.region,
            billing_project=config.project,
            user_project_override=True,
            opts=self.child(),
        )
        options = pulumi.ResourceOptions(parent=self, provider=own)
        create_budget(self.plan.stack, self.settings.budget, self.settings.budget_mail, options)

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        dns.RecordSet(
            record.label,
            managed_zone=zone.key,
            name=f"{record.name}.",
            type=record.type,
            ttl=TTL_SECONDS,
            rrdatas=values,
            opts=self.child(),
        )


def allow(rules: Iterable[Opening | EgressRule]) -> list[compute.FirewallAllowArgs]:
    """Return the ports of rules by protocol."""
    ports: Mapping[str, dict[str, None]] = {"tcp": {}, "udp": {}}
    for rule in rules:
        ports[rule.protocol][rule.ports] = None
    return [compute.FirewallAllowArgs(protocol=protocol, ports=list(found)) for protocol, found in ports.items() if found]
