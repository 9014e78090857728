"""DigitalOcean's droplets: firewalls by tag or droplet, before public and private addresses (`facts/clouds.md` 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from tests.simulator.case import Answer, Seen, format_number, whole
from tests.simulator.digitalocean.resources import DROPLET, Firewall
from tests.simulator.reach import Machine, Rule
from tests.simulator.world import Thing, World


def look(world: World) -> list[Machine]:
    """Every droplet. Without a firewall all is open; with one only what a rule lets through, in and out."""
    return [_look_at(world, droplet) for droplet in world.all(DROPLET)]


def _look_at(world: World, droplet: Thing) -> Machine:
    tags = {*(droplet.inputs.get("tags") or [])}
    firewalls = [
        one
        for one in world.all(Firewall.type)
        if tags & {*(one.inputs.get("tags") or [])} or int(droplet.id) in (one.inputs.get("dropletIds") or [])
    ]
    inward = [_read(world, rule, "source") for one in firewalls for rule in one.inputs.get("inboundRules") or []]
    outward = [_read(world, rule, "destination") for one in firewalls for rule in one.inputs.get("outboundRules") or []]
    public = droplet.get("ipv4Address") or ""
    return Machine(
        id=droplet.id,
        name=droplet.inputs["name"],
        network=f"vpc {droplet.get('vpcUuid')}",
        private=droplet.get("ipv4AddressPrivate"),
        public=public,
        reachable=bool(public),
        way_out=bool(public),
        ingress=(tuple(inward),) if firewalls else (),
        egress=(tuple(outward),) if firewalls else (),
    )


def _read(world: World, rule: dict[str, Any], side: str) -> Rule:
    tags = {*(rule.get(f"{side}Tags") or [])}
    numbers = {str(id) for id in rule.get(f"{side}DropletIds") or []}
    machines = {one.id for one in world.all(DROPLET) if tags & {*(one.inputs.get("tags") or [])} or one.id in numbers}
    first, _, last = str(rule.get("portRange") or "all").replace("all", "1-65535").partition("-")
    return Rule(
        rule["protocol"],
        int(first),
        int(last or first),
        tuple(map(ip_network, rule.get(f"{side}Addresses") or [])),
        frozenset(machines),
        allow=rule.get("action") != "deny",
    )


def see(world: World) -> list[Seen]:
    """Droplets."""
    volumes = {thing.id: thing for thing in world.all("digitalocean:index/volume:Volume")}
    attached: dict[str, dict[str, int]] = {}
    for thing in world.all("digitalocean:index/volumeAttachment:VolumeAttachment"):
        volume = volumes[thing.get("volumeId")]
        attached.setdefault(str(thing.get("dropletId")), {})[volume.get("name")] = volume.get("size")

    def worn(droplet: Thing) -> tuple[str, ...]:
        return tuple(
            firewall.get("name")
            for firewall in world.all("digitalocean:index/firewall:Firewall")
            if set(firewall.get("tags") or ()) & set(droplet.get("tags") or ())
            or int(droplet.id) in (firewall.get("dropletIds") or ())
        )

    return [
        Seen(
            name=droplet.get("name"),
            machine_type=droplet.get("size"),
            image=droplet.get("image"),
            user_data=droplet.inputs.get("userData", ""),
            place=droplet.get("region"),
            private_address=droplet.outputs["ipv4AddressPrivate"],
            public_address=droplet.outputs.get("ipv4Address") or None,
            runs=droplet.get("status") == "active",
            firewalls=worn(droplet),
            disks=attached.get(droplet.id, {}),
            devices={name: f"/dev/disk/by-id/scsi-0DO_Volume_{name}" for name in attached.get(droplet.id, {})},
            lets_in=bool(droplet.inputs.get("sshKeys")),
            apart=None,
            labels=tuple(droplet.get("tags") or ()),
            more_addresses=tuple(filter(None, [droplet.outputs.get("ipv6Address")])),
        )
        for droplet in world.all("digitalocean:index/droplet:Droplet")
    ]


def read_record(thing: Thing) -> Iterator[Answer]:
    """What a record answers."""
    given = thing.inputs
    name = whole(given["name"], given["domain"])
    if given["type"] != "SRV":
        yield name, given["type"], given["value"]
        return
    # A target without a final dot is one inside the domain.
    target = given["value"] if given["value"].endswith(".") else f"{given['value']}.{given['domain']}"
    yield name, "SRV", " ".join([*(format_number(given[key]) for key in ("priority", "weight", "port")), target])
