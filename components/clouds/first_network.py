"""What a machine is told of itself and its network before anybody reaches it, where a hypervisor hands that over: no DHCP, no
guest agent, no waiting (`facts/onprem.md` 7). JSON, which is YAML too."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

from components.model.plan import Node, Plan
from components.model.planning.addresses import gateway_of
from components.model.site import Site

INTERFACE = "eth0"


def find_gateway(plan: Plan, site: Site) -> str:
    """Return the nodes' router: the one that the site names, else the first address of their network."""
    return str(site.gateway or gateway_of(IPv4Network(plan.network)))


def find_name_servers(plan: Plan, site: Site) -> list[str]:
    """Return the nodes' name servers: those that the site names, else the router."""
    return [str(address) for address in site.name_servers] or [find_gateway(plan, site)]


def write_address(plan: Plan, node: Node) -> str:
    """Return a node's private address with the length of its network's prefix."""
    return f"{node.private_address}/{IPv4Network(plan.network).prefixlen}"


def write_network(plan: Plan, site: Site, node: Node, mac: str) -> str:
    """Return cloud-init's network configuration (version 2) of a node."""
    interface = {
        "match": {"macaddress": mac.lower()},
        "set-name": INTERFACE,
        "dhcp4": False,
        "addresses": [write_address(plan, node)],
        # What ifupdown and netplan both know.
        "gateway4": find_gateway(plan, site),
        "nameservers": {"addresses": find_name_servers(plan, site)},
    }
    return json.dumps({"version": 2, "ethernets": {INTERFACE: interface}})


def write_network_v1(plan: Plan, site: Site, node: Node, mac: str) -> str:
    """Return the same as its version 1, which ifupdown and netplan both know."""
    subnet = {
        "type": "static",
        "address": write_address(plan, node),
        "gateway": find_gateway(plan, site),
        "dns_nameservers": find_name_servers(plan, site),
    }
    interface = {"type": "physical", "name": INTERFACE, "mac_address": mac.lower(), "subnets": [subnet]}
    return json.dumps({"version": 1, "config": [interface]})


def write_metadata(node: Node, ssh_public_key: str) -> str:
    """Return cloud-init's metadata of a node, with the key that lets us in."""
    return json.dumps({"instance-id": node.name, "local-hostname": node.name, "public-keys": [ssh_public_key.strip()]})
