"""DigitalOcean's droplets: firewalls by tag or droplet, before public and private addresses (`facts/clouds.md` 4.2)."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from tests.simulator.digitalocean.resources import DROPLET, Firewall
from tests.simulator.reach import Machine, Rule
from tests.simulator.world import Thing, World


def look(world: World) -> list[Machine]:
    """Every droplet. Without a firewall all is open; with one only what a rule lets through, in and out."""
    return [_look_at(world, droplet) for droplet in world.all(DROPLET)]


def _look_at(world: World, droplet: Thing) -> Machine:
    tags = {*(droplet.inputs.get("tags") or [])}
    firewalls = [
        one for one in world.all(Firewall.type)
        if tags & {*(one.inputs.get("tags") or [])} or int(droplet.id) in (one.inputs.get("dropletIds") or [])
    ]
    inward = [_read(world, rule, "source") for one in firewalls for rule in one.inputs.get("inboundRules") or []]
    outward = [_read(world, rule, "destination") for one in firewalls for rule in one.inputs.get("outboundRules") or []]
    public = droplet.get("ipv4Address") or ""
    return Machine(
        id=droplet.id, name=droplet.inputs["name"], network=f"vpc {droplet.get('vpcUuid')}",
        private=droplet.get("ipv4AddressPrivate"), public=public, reachable=bool(public), way_out=bool(public),
        ingress=(tuple(inward),) if firewalls else (), egress=(tuple(outward),) if firewalls else (),
    )


def _read(world: World, rule: dict[str, Any], side: str) -> Rule:
    tags = {*(rule.get(f"{side}Tags") or [])}
    numbers = {str(id) for id in rule.get(f"{side}DropletIds") or []}
    machines = {one.id for one in world.all(DROPLET) if tags & {*(one.inputs.get("tags") or [])} or one.id in numbers}
    first, _, last = str(rule.get("portRange") or "all").replace("all", "1-65535").partition("-")
    return Rule(
        rule["protocol"], int(first), int(last or first), tuple(map(ip_network, rule.get(f"{side}Addresses") or [])),
        frozenset(machines), allow=rule.get("action") != "deny")
