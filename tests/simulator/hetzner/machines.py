"""Hetzner Cloud's servers and what is attached to them (`facts/clouds.md` 5.3, `facts/schemas/README.md` 1-6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any, ClassVar

from components.model.clouds.facts import load_machine_types
from provider.server import UNKNOWN, Failure, Properties, Request
from tests.simulator.call import Call
from tests.simulator.changes import find_changes
from tests.simulator.hetzner import floating
from tests.simulator.hetzner.resources import (
    FIREWALL,
    GROUP,
    NETWORK,
    PRIMARY_IP,
    SERVER,
    SSH_KEY,
    SUBNET,
    VOLUME,
    ZONES,
    Hetzner,
)
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing, address_token

POWER_CYCLE = "hcloud:simulated:PowerCycle"
"""The type of what remembers that a server was off for a while."""

_IMAGES = {"debian-12", "debian-13", "ubuntu-24.04"}
_SHARED = {"cx23": 40, "cpx11": 40, "cpx12": 40, "cpx21": 80, "cpx22": 80}
_DISKS = {**_SHARED, **{machine.name: machine.root_disk_gib for machine in load_machine_types("hetzner")}}
_USER_DATA = 32768
_LABEL = "[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


class Server(Hetzner):
    """Boots with the addresses of `publicNets`, one of each kind unless told otherwise; networks are attached after that."""

    type = SERVER
    references: ClassVar = {
        "firewallIds": FIREWALL,
        "placementGroupId": GROUP,
        "publicNets[].ipv4": PRIMARY_IP,
        "publicNets[].ipv6": PRIMARY_IP,
        "networks[].networkId": NETWORK,
        "networks[].subnetId": SUBNET,
    }
    values: ClassVar = {"location": set(ZONES), "serverType": set(_DISKS)}
    untold: ClassVar = ("userData", "sshKeys", "keepDisk", "shutdownBeforeDeletion", "publicNets", "networks")

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if inputs.get("deleteProtection") != inputs.get("rebuildProtection"):
            yield Failure("rebuildProtection", "deleteProtection and rebuildProtection must have the same value")
        names = []
        for wish in inputs.get("networks") or []:
            network, subnet = wish.get("networkId"), wish.get("subnetId")
            if network is None and subnet is None:
                yield Failure("networks", "each element needs networkId or subnetId")
            if isinstance(subnet, str):
                names.append(subnet.partition("-")[0])
                block, address = subnet.partition("-")[2], wish.get("ip")
                if isinstance(address, str) and IPv4Address(address) not in IPv4Network(block):
                    yield Failure("networks", f"ip {address} is not inside subnet {block}")
            elif network not in (None, UNKNOWN):
                names.append(str(network))
        if len(names) != len(set(names)):
            yield Failure("networks", "a network may stand there once")

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        location = inputs.get("location") or "fsn1"
        if not _HOST_NAME.fullmatch(inputs["name"]):
            raise Refused(f"name {inputs['name']} is no valid host name (invalid_input)")
        if not inputs.get("image") or inputs["image"] not in _IMAGES:
            raise Refused(f"image {inputs.get('image')} not found (invalid_input)")
        if len((inputs.get("userData") or "").encode()) > _USER_DATA:
            raise Refused(f"user_data: longer than {_USER_DATA} bytes (invalid_input)")
        for key in (inputs.get("sshKeys") or []) if call.old is None else []:  # of no use later, so not looked up again
            if not any(key in (known.id, known.inputs["name"]) for known in call.world.all(SSH_KEY)):
                raise Refused(f"SSH key {key} not found (invalid_input)")
        if len(inputs.get("firewallIds") or []) > 5:
            raise Refused("a server takes 5 firewalls (firewall_limit_exceeded)")
        if group := inputs.get("placementGroupId"):
            others = call.world.users_of(call.find(GROUP, group))
            if sum(other.type == SERVER and other.id != call.id for other in others) >= 10:
                raise Refused("a placement group takes 10 servers (placement_error)")
        number = call.id
        return {
            **super().make(call),
            **self._take_addresses(call, location),
            "backupWindow": "",
            "status": call.outputs.get("status", "running"),
            "location": location,
            "datacenter": f"{location}-dc1",
            "primaryDiskSize": self._choose_disk(call),
            **(
                {"networks": [attach(call, number, wish, ZONES[location]) for wish in inputs["networks"]]}
                if inputs.get("networks")
                else {}
            ),
        }

    def change(self, call: Call) -> Properties:
        old = call.old or {}
        if old.get("placementGroupId") and call.is_changed("placementGroupId"):
            raise Refused("the server must be stopped to leave its placement group (server_not_stopped)")
        return self.make(call)

    def _choose_disk(self, call: Call) -> int:
        now, before = _DISKS[call.inputs["serverType"]], call.outputs.get("primaryDiskSize")
        if before is None:
            return now
        if now < before:
            raise Refused(f"the disk of {before} GB does not fit into {call.inputs['serverType']} (invalid_server_type)")
        return int(before) if call.inputs.get("keepDisk") else now

    def _take_addresses(self, call: Call, location: str) -> Properties:
        found: Properties = {"ipv4Address": "", "ipv6Address": "", "ipv6Network": ""}
        nets = call.inputs.get("publicNets") or [{}]
        for net in nets:
            for kind in ("ipv4", "ipv6"):
                if not net.get(f"{kind}Enabled", True):
                    if net.get(kind):
                        raise Refused(f"{kind} is given and not enabled (invalid_input)")
                    continue
                found[f"{kind}Address"] = self._take_address(call, kind, net.get(kind), location)
        if found["ipv6Address"]:
            found["ipv6Network"] = found["ipv6Address"].removesuffix("1") + "/64"
        if not found["ipv4Address"] and not found["ipv6Address"] and not call.inputs.get("networks"):
            raise Refused("a server without a public address needs a network (invalid_input)")
        return found

    def _take_address(self, call: Call, kind: str, id: Any, location: str) -> str:
        if id is not None:
            address = call.find(PRIMARY_IP, id)
            if address.inputs["type"] != kind or address.get("location") != location:
                raise Refused(f"primary IP {id} is an {address.inputs['type']} of {address.get('location')} (invalid_input)")
            call.hold(f"primary IP {id}")
            return str(address.get("ipAddress"))
        before = call.outputs.get(f"{kind}Address") or None
        if kind == "ipv6":
            return before or f"2001:db8:{call.number():x}::1"
        return call.take_address("the internet", "198.18.0.0/17", first=1, last=1, wanted=before)

    def update(self, request: Request, id: str, old: Properties, outputs: Properties, new: Properties) -> Properties:
        before, after = ({"publicNets": each.get("publicNets")} for each in (outputs, new))
        if find_changes(self.account.schema, self.type, before, after).changed:
            self._exchange_addresses(request, id, before["publicNets"] or [], after["publicNets"] or [])
        there = self.account.world.find(self.type, id)
        if there and old.get("networks") == new.get("networks"):
            # The provider looks at networks only where program and state differ (`facts/edge-hetzner.md` 3).
            new = {**new, "networks": there.inputs.get("networks")}
        return super().update(request, id, old, outputs, new)

    def _exchange_addresses(self, request: Request, id: str, before: list[Properties], after: list[Properties]) -> None:
        """What the provider does for a change of `publicNets`, call by call: the server goes off, the address that it has
        is taken from it, and deleted where the state does not name it; only then comes the one that is wanted."""
        named = {net.get("ipv4") for net in before}
        for net in after:
            with self.account.world.change() as world:
                server = world.find(self.type, id)
                assert server, f"no server {id}"
                world.put(Thing(POWER_CYCLE, str(world.next_number()), request.urn, {"server": id}))
                has = next((one.get("ipv4") for one in server.inputs.get("publicNets") or []), None)
                if not net.get("ipv4") or has is None:
                    continue
                kept = [token for token in server.holds if not token.startswith("primary IP ")]
                address = world.find(PRIMARY_IP, str(has))
                assert address, f"no address {has}"
                world.put(
                    replace(
                        server,
                        inputs={**server.inputs, "publicNets": [{"ipv4Enabled": False, "ipv6Enabled": False}]},
                        outputs={**server.outputs, "ipv4Address": ""},
                        holds=kept,
                        uses=[key for key in server.uses if key != address.key],
                    )
                )
            if has not in named:
                with self.account.world.change() as world:
                    if address.inputs.get("deleteProtection"):
                        raise Refused("primary ip deletion is protected (protected)")
                    world.remove(address)

    def delete(self, request: Request, id: str, inputs: Properties, outputs: Properties) -> None:
        with self.account.world.change() as world:
            server = world.find(self.type, id)
            if server and inputs.get("shutdownBeforeDeletion"):
                world.put(replace(server, outputs={**server.outputs, "status": "off"}))  # and off it stays, whatever follows
        super().delete(request, id, inputs, outputs)

    def end(self, call: Call, thing: Thing) -> None:
        super().end(call, thing)
        for net in thing.inputs.get("publicNets") or []:
            address = call.world.find(PRIMARY_IP, str(net.get("ipv4")))
            if address and address.inputs.get("autoDelete"):
                call.world.remove(address)


class VolumeAttachment(Simulated):
    type = "hcloud:index/volumeAttachment:VolumeAttachment"
    references: ClassVar = {"serverId": SERVER, "volumeId": VOLUME}

    def make_id(self, call: Call) -> str:
        return str(call.inputs["volumeId"])

    def make(self, call: Call) -> Properties:
        server, volume = call.find(SERVER, call.inputs["serverId"]), call.find(VOLUME, call.inputs["volumeId"])
        if volume.get("location") not in (None, server.get("location")):
            raise Refused(f"volume in {volume.get('location')}, server in {server.get('location')} (invalid_input)")
        if sum(user.type == self.type and user.id != call.id for user in call.world.users_of(server)) >= 16:
            raise Refused("a server takes 16 volumes (limit_reached)")
        return {}


def attach(call: Call, server: str, wish: Properties, zone: str) -> Properties:
    """Attaches a server to a network by id or subnet; the answer has its address."""
    network_id = str(wish.get("networkId") or str(wish["subnetId"]).partition("-")[0])
    network = call.find(NETWORK, network_id, "networkId")
    call.hold(f"place of server {server} in network {network_id}")
    wanted = wish.get("ip")
    for subnet in call.world.all(SUBNET):
        if str(subnet.inputs["networkId"]) != network_id or wish.get("subnetId") not in (None, subnet.id):
            continue
        if wanted and IPv4Network(f"{wanted}/32").subnet_of(IPv4Network(subnet.inputs["ipRange"])) is False:
            continue
        if subnet.inputs["networkZone"] != zone:
            raise Refused(f"network zone {subnet.inputs['networkZone']} is not the server's, {zone} (invalid_input)")
        call.use(network)
        call.use(subnet)
        # The first address of the network is its router (clouds.md 5.1).
        address = call.take_address(f"network {network_id}", subnet.inputs["ipRange"], first=2, last=1, wanted=wanted)
        for alias in wish.get("aliasIps") or []:
            call.hold(address_token(f"network {network_id}", alias))
        mac = f"86:00:00:{int(network_id) % 256:02x}:{int(server) % 65536 // 256:02x}:{int(server) % 256:02x}"
        return {**wish, "networkId": int(network_id), "ip": address, "macAddress": mac, "aliasIps": wish.get("aliasIps") or []}
    raise Refused(f"network {network_id} has no subnet for {wanted or wish.get('subnetId') or 'a server'} (invalid_input)")


class ServerNetwork(Simulated):
    type = "hcloud:index/serverNetwork:ServerNetwork"
    references: ClassVar = {"serverId": SERVER, "networkId": NETWORK, "subnetId": SUBNET}

    def make_id(self, call: Call) -> str:
        network = call.inputs.get("networkId") or str(call.inputs["subnetId"]).partition("-")[0]
        return f"{call.inputs['serverId']}-{network}"

    def make(self, call: Call) -> Properties:
        server = call.find(SERVER, call.inputs["serverId"])
        made = attach(call, server.id, call.inputs, ZONES[server.get("location")])
        return {name: made[name] for name in ("ip", "macAddress", "networkId")}


TYPES = (*floating.TYPES, Server, VolumeAttachment, ServerNetwork)
