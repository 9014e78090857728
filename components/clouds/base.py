"""The order of work on every cloud, and the methods an adapter supplies.

An adapter is a file of this folder with one class, `Adapter(Cloud)`, whose methods are flat: resource, resource,
resource. All it decides is how this cloud spells what the plan says.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
from pulumi import Input, Output, ResourceOptions, RunError

from components.model import resource_types
from components.model.backup import list_own_buckets
from components.model.catalogue.standby import ADDRESS
from components.model.machine import Public
from components.model.naming import SIP
from components.model.plan import Node, Plan
from components.model.planning.dns import Record, Zone, list_names, list_records, read_zone
from components.model.settings import Settings
from components.model.user_data import BootTexts


@dataclass(frozen=True)
class Machine:
    """A node as the adapter made it.

    `machine_id` changes with every new machine. `public_address` is None where the machine has none. `devices` maps the
    purpose of a data disk to its stable device path; a disk that arrives mounted is left out. `instance_id`, where the
    adapter knows it, is what cloud-init on the machine says. `host_key` and `host_name` are those of a host that was given, which
    keeps them. `needs` are the machine's own resource and then those without
    which it is not reached or not complete: firewall and disk attachments, an address' assignment.
    """

    machine_id: Input[str]
    private_address: Input[str]
    public_address: Input[str] | None = None
    devices: Mapping[str, Input[str]] = field(default_factory=dict)
    instance_id: Input[str] = ""
    host_key: Input[str] = ""
    host_name: Input[str] = ""
    needs: tuple[pulumi.Resource, ...] = ()


@dataclass(frozen=True)
class SharedAddress:
    """The public address that nodes for SIP have in turn where the cloud moves it, and what the cloud knows it by."""

    public: Input[str]
    handle: Input[str]


class NodeGroup(pulumi.ComponentResource):
    """All that belongs to one node, in the tree of a preview: machine, disks, addresses, configuration."""

    def __init__(self, node: Node, parent: pulumi.Resource) -> None:
        super().__init__(resource_types.NODE, node.key, None, ResourceOptions(parent=parent))


class Cloud(pulumi.ComponentResource, ABC):
    """A deployment's network, firewalls and machines. `machines` and `groups` hold the nodes by key, `backup_login` the log-in
    of a bucket that was made, `shared` the address that nodes for SIP have in turn, where the cloud moves it: an adapter makes
    it before its nodes, and nothing ties it to one."""

    transformations: Sequence[pulumi.ResourceTransformation] = ()
    """Of every resource of the deployment."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        boot: BootTexts,
        user_data: Mapping[str, Input[str]],
        ssh_public_key: Output[str],
        ssh_private_key: Output[str],
    ) -> None:
        super().__init__(
            resource_types.CLOUD,
            plan.cloud,
            None,
            ResourceOptions(providers=self.create_providers(plan), transformations=list(self.transformations)),
        )
        self.plan, self.settings, self.boot, self.ssh_public_key = plan, settings, boot, ssh_public_key
        self.ssh_private_key = ssh_private_key
        self.facts = plan.facts
        self.machines: dict[str, Machine] = {}
        self.groups: dict[str, NodeGroup] = {}
        self.shared: SharedAddress | None = None
        self.create_network()
        self.create_firewalls()
        self.create_ssh_key()
        for node in plan.nodes:
            group = self.groups[node.key] = NodeGroup(node, self)
            machine = self.machines[node.key] = self.create_node(node, group, user_data[node.key])
            # `webitel replace` finds in the state which resource to replace.
            group.register_outputs({"machine": machine.needs[0].urn})
        self.finish_shared()
        for node in plan.kept:
            group = NodeGroup(node, self)
            self.create_disks(node, group)
            group.register_outputs({})
        self.backup_login = self.create_backup_buckets() if list_own_buckets(settings) else {}
        if settings.budget:
            self.create_budget()
        if settings.dns_zone:
            for record in list_records(plan):
                self.create_record(read_zone(settings.dns_zone), record, self.public_addresses(record) or [record.value])
        if settings.reverse_dns:
            for key, name in list_names(plan).items():
                self.create_reverse_name(key, name)
        self.register_outputs({})

    def create_providers(self, plan: Plan) -> list[pulumi.ProviderResource]:
        """Create the providers that the plan configures; none where each resource itself says in which region it is."""
        return []

    @abstractmethod
    def create_network(self) -> None:
        """Create the private network and the way out for nodes without an address of their own."""

    @abstractmethod
    def create_firewalls(self) -> None:
        """One firewall a role from `plan.openings` and `plan.egress`, where the cloud has firewalls."""

    @abstractmethod
    def create_ssh_key(self) -> None:
        """Create the deployment's public key, where the cloud wants it as a resource of its own."""

    @abstractmethod
    def create_disks(self, node: Node, group: NodeGroup) -> Mapping[str, pulumi.Resource]:
        """Create the node's data disks by purpose: they outlive the node, so nothing of them comes from its machine."""

    @abstractmethod
    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        """Create the node's disks (by `create_disks`), addresses and machine, in `group`."""

    def finish_shared(self) -> None:
        """Create what the address that nodes for SIP have in turn needs once the nodes are there: their right to move it."""

    def create_backup_buckets(self) -> Mapping[str, Input[str]]:
        """Create the bucket of `webitel:backup.bucket`, which outlives the deployment, and those that are kept; return the log-in
        for the nodes, by the names of the secrets. Only where the cloud's row has `buckets`."""
        raise RunError(f"webitel:backup.bucket: {self.facts.title} makes none; set webitel:backup.url")

    def create_budget(self) -> None:
        """Create the alarm at a month's bill. Only where the cloud's row has `budget_by`."""
        raise RunError(f"webitel:budget: {self.facts.title} has no alarm that could be made; leave it out")

    def create_record(self, zone: Zone, record: Record, values: list[Input[str]]) -> None:
        """Create a record set of the domain with its values as DNS writes them, in a zone that is there. Only where the cloud's
        row has `dns`."""
        raise RunError(f"webitel:dns_zone: {self.facts.title} has no DNS; leave it out, and the outputs name the records to set")

    def create_reverse_name(self, key: str, name: str) -> None:
        """Create the name to which a node's public address leads. Only where the cloud's row has `reverse_dns`."""
        raise RunError(f"webitel:reverse_dns: {self.facts.title} has no resource for it; leave it out")

    def public_addresses(self, record: Record) -> list[Input[str]]:
        """Return the addresses of a record of type A: nodes that take turns have one."""
        if any(ADDRESS in self.plan.node(key).services for key in record.nodes):
            return [self.shared.public if self.shared else self.plan.sip_outside]
        found = [self.machines[key].public_address for key in record.nodes]
        return [address for address in found if address is not None]

    def child(self) -> ResourceOptions:
        """Options of what belongs to the deployment as a whole."""
        return ResourceOptions(parent=self)

    def kept(self, group: NodeGroup) -> ResourceOptions:
        """Options of what outlives its machine (data disks, public addresses): protected where losing it hurts."""
        return ResourceOptions(parent=group, protect=self.facts.in_earnest)

    def kept_disk(self, group: NodeGroup, *only_at_creation: str) -> ResourceOptions:
        """Options of a data disk: the inputs named count when it is made, since it would lose its data with another one."""
        options = self.kept(group)
        options.ignore_changes = list(only_at_creation)
        return options

    def replaceable(self, group: NodeGroup, *only_at_creation: str) -> ResourceOptions:
        """Options of a machine: the inputs named (user data, image, keys) count at its creation and never replace it.

        Its name, address and disks are exclusive, so the old one goes first.
        """
        return ResourceOptions(parent=group, delete_before_replace=True, ignore_changes=list(only_at_creation))

    def exclusive(self, group: NodeGroup, after: Sequence[pulumi.Resource] = ()) -> ResourceOptions:
        """Options of what ties one thing to another, a disk to its machine. The old tie goes first: where a replacement of
        the machine failed half-way, both are of the same two, and the old one's deletion would undo the new one."""
        return ResourceOptions(parent=group, delete_before_replace=True, depends_on=list(after))

    @property
    def guards(self) -> bool:
        """Whether the cloud itself is to refuse the deletion of what outlives its machine, where it can be told so and only
        an update takes it back."""
        return not self.settings.release_data

    def addresses(self) -> dict[str, Input[str]]:
        """Every address a text may name: `edge-1`, and `edge-1.public` where the node has one; of the one that nodes for SIP have
        in turn, where the cloud moves it, `sip.public` and what the cloud knows that by."""
        known: dict[str, Input[str]] = {}
        for key, machine in self.machines.items():
            known[key] = machine.private_address
            if machine.public_address is not None:
                known[f"{key}.public"] = machine.public_address
            if self.facts.given:
                known[f"{key}.name"] = machine.host_name
        if self.shared:
            known |= {f"{SIP}.public": self.shared.public, f"{SIP}.handle": self.shared.handle}
        return known

    def ssh_address(self, node: Node) -> Input[str]:
        """Where the node's SSH is reached, by the way of `ssh_hops`."""
        machine = self.machines[node.key]
        direct = node.public is Public.SERVICE and not self.settings.ssh_via
        return machine.public_address if direct and machine.public_address is not None else machine.private_address

    def ssh_hops(self, node: Node) -> dict[str, Machine]:
        """Return the machines through which the node's SSH is reached, by node, each tried in turn; empty = directly."""
        if node.public is Public.SERVICE or self.settings.ssh_via:
            return {}
        return {other.key: self.machines[other.key] for other in self.plan.nodes if other.public is Public.SERVICE}
