"""Hetzner's floating addresses and alias addresses, and what a node does with them by the API (`facts/edge-hetzner.md` 1-3)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import ClassVar

from provider.server import Properties
from tests.simulator.call import Call
from tests.simulator.hetzner.resources import FLOATING, NETWORK, SERVER, ZONES, Hetzner
from tests.simulator.world import Refused, Thing, World, address_token

NO_TOKEN, READ_ONLY, READ_WRITE = "", "read", "read and write"
"""What a token of a project may; there is no finer right."""


class FloatingIp(Hetzner):
    """Keeps its address, leads to one server at most, and is on no interface until that configures it."""

    type = FLOATING
    values: ClassVar = {"homeLocation": set(ZONES)}

    def make(self, call: Call) -> Properties:
        if not call.inputs.get("homeLocation") and not call.inputs.get("serverId"):
            raise Refused("a floating IP needs a home_location or a server (invalid_input)")
        if call.inputs["type"] != "ipv4":
            raise Refused("this simulator knows floating addresses of IPv4 only (invalid_input)")
        mine = call.outputs.get("ipAddress")
        address = call.take_address("the internet", "198.18.0.0/17", first=1, last=1, wanted=mine)
        return {**super().make(call), "ipAddress": address, "ipNetwork": "", "serverId": call.inputs.get("serverId") or 0}

    def change(self, call: Call) -> Properties:
        """The provider assigns it anew where `serverId` differs in program and state: never for a program without it."""
        kept = {} if call.is_changed("serverId") else {"serverId": call.outputs.get("serverId", 0)}
        return {**call.outputs, **self.make(call), **kept}

    def show(self, thing: Thing) -> Properties:
        """Whoever deletes a server takes its floating addresses off it."""
        shown = super().show(thing)
        there = self.account.world.find(SERVER, str(shown.get("serverId")))
        return {**shown, "serverId": int(there.id) if there else 0}


class Node:
    """A server that moves both addresses, as its program does. Raises Refused where the API would refuse it."""

    def __init__(self, world: World, key: str, token: str = READ_WRITE) -> None:
        self.world, self.token = world, token
        (self.server,) = [one for one in world.all(SERVER) if one.urn.endswith(f"::{key}")]

    def check(self) -> None:
        if self.token == NO_TOKEN:
            raise Refused("unable to authenticate (unauthorized)")
        if self.token == READ_ONLY:
            raise Refused("token is only allowed to perform GET requests (token_readonly)")

    def assign(self, floating: str) -> None:
        """POST /floating_ips/{id}/actions/assign: from whichever server has it."""
        self.check()
        self.world.disturb(FLOATING, floating, serverId=int(self.server.id))

    def take(self, address: str) -> None:
        """Take an alias off whoever has it, then have it here: POST /servers/{id}/actions/change_alias_ips of each."""
        for other in self.world.all(SERVER):
            found = other.outputs["networks"][0]["aliasIps"]
            if address in found and other.id != self.server.id:
                self.change_aliases(other.id, [one for one in found if one != address])
        self.add(address)

    def add(self, address: str) -> None:
        """Have an alias here beside those that are: refused while another server has it."""
        mine = self.world.find(SERVER, self.server.id)
        assert mine
        self.change_aliases(mine.id, list(dict.fromkeys([*mine.outputs["networks"][0]["aliasIps"], address])))

    def change_aliases(self, id: str, addresses: list[str]) -> None:
        self.check()
        with self.world.change():
            server = self.world.find(SERVER, id)
            assert server
            place = server.outputs["networks"][0]
            network = self.world.find(NETWORK, str(place["networkId"]))
            assert network
            for one in addresses:
                if ip_address(one) not in ip_network(network.inputs["ipRange"]):
                    raise Refused(f"{one} is not inside {network.inputs['ipRange']} (invalid_input)")
            scope = f"network {network.id}"
            gone = {address_token(scope, one) for one in place["aliasIps"]}
            holds = [one for one in server.holds if one not in gone] + [address_token(scope, one) for one in addresses]
            inputs, outputs = (
                {**values, "networks": [{**values["networks"][0], "aliasIps": addresses}]}
                for values in (server.inputs, server.outputs)
            )
            self.world.put(replace(server, inputs=inputs, outputs=outputs, holds=holds))


TYPES = (FloatingIp,)
