"""What a machine is told of itself and its network before anybody reaches it, where a hypervisor hands that over: no DHCP, no
guest agent, no waiting (`facts/onprem.md` 7). JSON, which is YAML too."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

from components.model.plan import Node, Plan
from components.model.planning.addresses import gateway_of
from components.model.site import Site

INTERFACE = "eth0"


def write_network(plan: Plan, site: Site, node: Node, mac: str) -> str:
    """Return cloud-init's network configuration (version 2) of a node."""
    network = IPv4Network(plan.network)
    gateway = str(site.gateway or gateway_of(network))
    interface = {
        "match": {"macaddress": mac.lower()},
        "set-name": INTERFACE,
        "dhcp4": False,
        "addresses": [f"{node.private_address}/{network.prefixlen}"],
        # What ifupdown and netplan both know.
        "gateway4": gateway,
        "nameservers": {"addresses": [str(address) for address in site.name_servers] or [gateway]},
    }
    return json.dumps({"version": 2, "ethernets": {INTERFACE: interface}})


def write_network_v1(plan: Plan, site: Site, node: Node, mac: str) -> str:
    """Return the same as its version 1, which ifupdown and netplan both know."""
    network = IPv4Network(plan.network)
    gateway = str(site.gateway or gateway_of(network))
    subnet = {
        "type": "static",
        "address": f"{node.private_address}/{network.prefixlen}",
        "gateway": gateway,
        "dns_nameservers": [str(address) for address in site.name_servers] or [gateway],
    }
    interface = {"type": "physical", "name": INTERFACE, "mac_address": mac.lower(), "subnets": [subnet]}
    return json.dumps({"version": 1, "config": [interface]})


def write_metadata(node: Node, ssh_public_key: str) -> str:
    """Return cloud-init's metadata of a node, with the key that lets us in."""
    return json.dumps({"instance-id": node.name, "local-hostname": node.name, "public-keys": [ssh_public_key.strip()]})
