"""This very machine: system containers of Incus behind a bridge of their own."""

from __future__ import annotations

import pulumi
from pulumi import Input

from components.clouds.base import Cloud, Machine, NodeGroup
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import PublicAddress
from components.model.machine import Public
from components.model.naming import MOUNT_ROOT, bridge_name, disk_name
from components.model.plan import Node
from components.model.planning.addresses import address_offset, resolve_public_network
from components.resources import LocalAddress, LocalDisk, LocalImage, LocalMachine, LocalNetwork

BASE_IMAGE = "base"
"""What `webitel:image` says for an image without the packages in it, as on a real cloud."""


class Adapter(Cloud):
    """Containers. The bridge filters nothing, so nftables of the nodes does it all."""

    def create_network(self) -> None:
        self.labels = {"stack": self.plan.stack}
        packages = self.boot.image
        self.image = LocalImage(
            "image",
            alias="" if self.settings.image == BASE_IMAGE else self.settings.image,
            key=packages.key if packages else "",
            user_data=packages.user_data if packages else "",
            opts=self.child(),
        )
        options = self.child()
        options.depends_on = [self.image]  # it makes Incus answer
        own = self.facts.public_address is PublicAddress.OWN
        closed = {"nat": False, "routed": False} if own else {}
        self.network = LocalNetwork(
            "network", name=bridge_name(self.plan.stack), cidr=self.plan.network, labels=self.labels, opts=options, **closed
        )
        if self.facts.public_address is not PublicAddress.PRIVATE:
            # Where addresses are translated no machine stands on it, and masquerading would hide who calls.
            self.public_network = LocalNetwork(
                "public",
                name=bridge_name(self.plan.stack, "p"),
                cidr=str(resolve_public_network(self.settings)),
                labels=self.labels,
                public=True,
                nat=own,
                opts=options,
            )
        if self.plan.sip_outside != self.plan.sip_address:
            # Whichever node has it answers: to this host it is a neighbour like any other.
            LocalAddress(
                "sip",
                bridge=self.network.name,
                public=self.plan.sip_outside,
                private=self.plan.sip_address,
                network=str(resolve_public_network(self.settings)),
                opts=self.child(),
            )

    def create_firewalls(self) -> None:
        """None: a bridge has none."""

    def create_ssh_key(self) -> None:
        """None: a machine is given the key itself."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, LocalDisk]:
        options = self.kept(group)
        options.depends_on = [self.image]
        return {
            disk.purpose: LocalDisk(
                f"{node.key}-{disk.purpose}",
                name=disk_name(node.name, disk.purpose),
                purpose=disk.purpose,
                size_gib=disk.size_gib,
                labels=self.labels,
                opts=options,
            )
            for disk in node.disks
            if disk.is_data
        }

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        disks = self.create_disks(node, group)
        own = self.facts.public_address is PublicAddress.OWN
        public = self.choose_public_address(node)
        machine = LocalMachine(
            node.key,
            {
                "name": node.name,
                "labels": self.labels,
                "image": self.image.alias,
                "network": self.network.name,
                "address": node.private_address or "",
                **({"public_network": self.public_network.name, "public_address": public} if own else {}),
                **({"late": True} if self.settings.local_network == "late_network" else {}),
                "vcpus": node.machine_type.vcpus,
                "memory_gib": node.machine_type.memory_gib,
                "user_data": user_data,
                "ssh_public_key": self.ssh_public_key,
                "disks": [
                    {"name": disk.name, "purpose": purpose, "path": f"{MOUNT_ROOT}/{purpose}"} for purpose, disk in disks.items()
                ],
            },
            self.replaceable(group),
        )
        needs: list[pulumi.Resource] = [machine]
        reached: Input[str] = public
        if self.facts.public_address is PublicAddress.PRIVATE:
            reached = machine.address
        elif self.facts.public_address is PublicAddress.TRANSLATED and node.public is Public.SERVICE:
            translated = LocalAddress(
                node.key,
                bridge=self.network.name,
                public=public,
                private=machine.address,
                network=str(resolve_public_network(self.settings)),
                opts=self.kept(group),
            )
            # Only the bridge that stands for the internet makes this host send to such an address.
            needs += [translated, self.public_network]
        return Machine(
            machine_id=machine.machine_id,
            private_address=machine.address,
            public_address=reached if node.public is Public.SERVICE else None,
            instance_id=machine.machine_id,
            needs=tuple(needs),
        )

    def choose_public_address(self, node: Node) -> str:
        """Return the node's place in the network that stands for the internet, which no count moves."""
        roles = [role.name for role in TIERS[self.plan.tier].roles]
        offset = address_offset(self.facts.first_host, roles.index(node.role), node.n)
        return str(resolve_public_network(self.settings)[offset])
