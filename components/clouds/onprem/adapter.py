"""Hosts that are given: none is made and none deleted, and the nodes' own nftables are the only firewall."""

from __future__ import annotations

import pulumi
from pulumi import Input

from components.clouds.base import Cloud, Machine, NodeGroup
from components.model.clouds.facts import PublicAddress
from components.model.machine import Public
from components.model.plan import Node
from components.model.planning.hosts import find_host
from components.resources import GivenHost


class Adapter(Cloud):
    """Each host is reached by the address that its owner states, now and ever after."""

    def create_network(self) -> None:
        """None: the hosts' owner has one."""

    def create_firewalls(self) -> None:
        """None: the nodes have their own."""

    def create_ssh_key(self) -> None:
        """None: a host is given the key itself."""

    def create_disks(self, node: Node, group: NodeGroup) -> dict[str, pulumi.Resource]:
        """None: they are in the hosts."""
        return {}

    def create_node(self, node: Node, group: NodeGroup, user_data: Input[str]) -> Machine:
        given = find_host(self.settings, node.role, node.n)
        public = given.public if node.public is Public.SERVICE else None
        own = [public] if public and self.facts.public_address is PublicAddress.OWN else []
        host = GivenHost(
            node.key,
            {
                "stack": self.plan.stack,
                "node": node.name,
                "address": given.address,
                "user": self.facts.login_user,
                "ssh_via": self.settings.ssh_via,
                "host_key": given.host_key,
                "addresses": [given.private, *own],
                "user_data": self.boot.nodes[node.key].decoded,
                "private_key": self.ssh_private_key,
            },
            self.replaceable(group),
        )
        return Machine(
            machine_id=host.machine_id,
            private_address=given.private,
            public_address=public,
            devices={str(purpose): device for purpose, device in given.devices.items()},
            host_key=host.host_key,
            host_name=host.host_name,
            needs=(host,),
        )

    def ssh_address(self, node: Node) -> Input[str]:
        return find_host(self.settings, node.role, node.n).address

    def ssh_hops(self, node: Node) -> dict[str, Machine]:
        return {}
