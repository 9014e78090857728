"""Hetzner's servers: the firewall stands before the public address only (`facts/clouds.md` 5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from tests.simulator.case import Answer, Seen, whole
from tests.simulator.hetzner.machines import ServerNetwork
from tests.simulator.hetzner.resources import FIREWALL, NETWORK, SERVER
from tests.simulator.reach import EVERYWHERE, Machine, Rule
from tests.simulator.world import Thing, World


def look(world: World) -> list[Machine]:
    """Every server. Without a firewall all is open; a firewall without rules outwards lets everything out."""
    return [_look_at(world, server) for server in world.all(SERVER)]


def _look_at(world: World, server: Thing) -> Machine:
    worn = {str(id) for id in server.inputs.get("firewallIds") or []}
    firewalls = [one for one in world.all(FIREWALL) if one.id in worn or _is_applied(one, server)]
    rules = [rule for firewall in firewalls for rule in firewall.inputs.get("rules") or []]
    inward, outward = ([_read(rule) for rule in rules if rule["direction"] == side] for side in ("in", "out"))
    joined = [
        {"networkId": one.get("networkId"), "ip": one.get("ip")}
        for one in world.all(ServerNetwork.type)
        if str(one.inputs["serverId"]) == server.id
    ]
    place: dict[str, Any] = next(iter([*(server.outputs.get("networks") or []), *joined]), {})
    public = server.get("ipv4Address") or ""
    return Machine(
        id=server.id,
        name=server.inputs["name"],
        network=f"{NETWORK} {place.get('networkId')}" if place else "",
        private=place.get("ip") or "",
        public=public,
        reachable=bool(public),
        way_out=bool(public or server.get("ipv6Address")),
        ingress=(tuple(inward),) if firewalls else (),
        egress=(tuple(outward or [Rule("any", 1, 65535, EVERYWHERE)]),) if firewalls else (),
        filters_private=False,
    )


def _is_applied(firewall: Thing, server: Thing) -> bool:
    labels = server.inputs.get("labels") or {}
    wishes = firewall.inputs.get("applyTos") or []
    return any(
        str(wish.get("server")) == server.id or wish.get("labelSelector") in {f"{key}={value}" for key, value in labels.items()}
        for wish in wishes
    )


def _read(rule: dict[str, Any]) -> Rule:
    networks = rule.get("sourceIps" if rule["direction"] == "in" else "destinationIps") or []
    first, _, last = str(rule.get("port") or "any").replace("any", "1-65535").partition("-")
    return Rule(rule["protocol"], int(first), int(last or first), tuple(map(ip_network, networks)))


def see(world: World) -> list[Seen]:
    """Servers."""
    firewalls = {thing.id: thing.get("name") for thing in world.all("hcloud:index/firewall:Firewall")}
    groups = {thing.id: thing.get("name") for thing in world.all("hcloud:index/placementGroup:PlacementGroup")}
    volumes = {thing.id: thing for thing in world.all("hcloud:index/volume:Volume")}
    attached: dict[str, dict[str, int]] = {}
    devices: dict[str, dict[str, str]] = {}
    for thing in world.all("hcloud:index/volumeAttachment:VolumeAttachment"):
        volume = volumes[str(thing.get("volumeId"))]
        attached.setdefault(str(thing.get("serverId")), {})[volume.get("name")] = volume.get("size")
        devices.setdefault(str(thing.get("serverId")), {})[volume.get("name")] = volume.outputs["linuxDevice"]
    return [
        Seen(
            name=server.get("name"),
            machine_type=server.get("serverType"),
            image=server.get("image"),
            user_data=server.inputs.get("userData", ""),
            place=server.get("location"),
            private_address=server.get("networks")[0]["ip"],
            public_address=server.outputs.get("ipv4Address") or None,
            firewalls=tuple(firewalls[str(id)] for id in server.get("firewallIds") or ()),
            disks=attached.get(server.id, {}),
            devices=devices.get(server.id, {}),
            lets_in=bool(server.inputs.get("sshKeys")),
            apart=groups.get(str(server.get("placementGroupId")), ""),
            more_addresses=tuple(filter(None, [server.outputs.get("ipv6Address")])),
            runs=server.get("status") == "running",
            labels=tuple(f"{name}={value}" for name, value in (server.get("labels") or {}).items()),
        )
        for server in world.all("hcloud:index/server:Server")
    ]


def read_reverse_names(world: World) -> Iterator[Answer]:
    """To which names addresses lead."""
    yield from ((one.inputs["ipAddress"], "PTR", one.inputs["dnsPtr"]) for one in world.all("hcloud:index/rdns:Rdns"))


def read_record(thing: Thing) -> Iterator[Answer]:
    """What a record answers."""
    name = whole(thing.inputs["name"], thing.inputs["zone"])
    yield from ((name, thing.inputs["type"], record["value"]) for record in thing.inputs["records"])
