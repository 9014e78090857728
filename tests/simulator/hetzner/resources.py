"""Hetzner Cloud (`facts/clouds.md` 5, `facts/schemas/README.md` 1-8). Ids are numbers, references to them integers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, ip_network
from typing import ClassVar

from provider.server import Properties, ProviderError
from tests.simulator.call import Call
from tests.simulator.conditions import CHECKS
from tests.simulator.records import check_record
from tests.simulator.resource import Simulated
from tests.simulator.ssh_keys import fingerprint
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": "error during placement (resource_unavailable): server type {serverType} is not available in {location}",
    "quota": "server limit reached (resource_limit_exceeded)",
    "rate": "limit of 3600 requests per hour reached (rate_limit_exceeded)",
    "error": "server error (server_error)",
}
ZONES = {
    "fsn1": "eu-central",
    "nbg1": "eu-central",
    "hel1": "eu-central",
    "ash": "us-east",
    "hil": "us-west",
    "sin": "ap-southeast",
}
_PORT = re.compile(r"any|(\d+)(?:-(\d+))?")

NETWORK, SUBNET = "hcloud:index/network:Network", "hcloud:index/networkSubnet:NetworkSubnet"
FIREWALL, SERVER = "hcloud:index/firewall:Firewall", "hcloud:index/server:Server"
PRIMARY_IP, VOLUME = "hcloud:index/primaryIp:PrimaryIp", "hcloud:index/volume:Volume"
FLOATING = "hcloud:index/floatingIp:FloatingIp"
ZONE = "hcloud:index/zone:Zone"
GROUP, SSH_KEY = "hcloud:index/placementGroup:PlacementGroup", "hcloud:index/sshKey:SshKey"


def check_settings(settings: Properties) -> None:
    """Refuses a token that cannot be one; without it the provider takes HCLOUD_TOKEN from the environment."""
    if len(settings.get("token") or "x" * 64) != 64:
        raise ProviderError("entered token is invalid (must be exactly 64 characters long)")


class Hetzner(Simulated):
    """What all types share: labels, and names that are unique in the project."""

    unique = ("name",)

    def make(self, call: Call) -> Properties:
        if not CHECKS["hcloud labels"](call.inputs.get("labels") or {}):
            raise Refused(f"invalid input in field 'labels' (invalid_input): {call.inputs['labels']}")
        return {}

    def end(self, call: Call, thing: Thing) -> None:
        """Protection is lifted by an update only: the provider's code never does it by itself at a deletion, whatever its
        documentation says (`facts/real-clouds.md` P1)."""
        if thing.inputs.get("deleteProtection"):
            raise Refused(f"{self.type.rpartition(':')[2]} deletion is protected (protected)")


class Network(Hetzner):
    type = NETWORK

    def make(self, call: Call) -> Properties:
        if not any(
            ip_network(call.inputs["ipRange"]).subnet_of(IPv4Network(private))  # type: ignore[arg-type]
            for private in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
        ):
            raise Refused(f"ip_range {call.inputs['ipRange']} is not private (invalid_input)")
        return super().make(call)


class NetworkSubnet(Simulated):
    type = SUBNET
    references: ClassVar = {"networkId": NETWORK}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['networkId']}-{call.inputs['ipRange']}"

    def make(self, call: Call) -> Properties:
        whole = IPv4Network(call.find(NETWORK, call.inputs["networkId"]).inputs["ipRange"])
        mine = IPv4Network(call.inputs["ipRange"])
        if not mine.subnet_of(whole):
            raise Refused(f"{mine} is not inside the network {whole} (invalid_input)")
        for other in call.world.all(SUBNET):
            same = other.inputs["networkId"] == call.inputs["networkId"] and other.id != call.id
            if same and mine.overlaps(IPv4Network(other.inputs["ipRange"])):
                raise Refused(f"{mine} overlaps {other.inputs['ipRange']} (networks_overlap)")
        return {"gateway": str(whole.network_address + 1)}


class NetworkRoute(Simulated):
    type = "hcloud:index/networkRoute:NetworkRoute"
    references: ClassVar = {"networkId": NETWORK}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['networkId']}-{call.inputs['destination']}"


class Firewall(Hetzner):
    """At most 50 rules, 500 where each counts by its networks; ports belong to TCP and UDP; the public side only."""

    type = FIREWALL

    def make(self, call: Call) -> Properties:
        rules = call.inputs.get("rules") or []
        if len(rules) > 50:
            raise Refused(f"{len(rules)} rules, at most 50 (invalid_input)")
        effective = sum(len(rule.get("sourceIps") or rule.get("destinationIps") or []) for rule in rules)
        if effective > 500:
            raise Refused(f"{effective} effective rules, at most 500 (invalid_input)")
        for rule in rules:
            side, other = ("sourceIps", "destinationIps") if rule["direction"] == "in" else ("destinationIps", "sourceIps")
            if not rule.get(side) or rule.get(other):
                raise Refused(f"a rule of direction {rule['direction']} needs {side} and no {other} (invalid_input)")
            if len(rule[side]) > 100:
                raise Refused(f"{side}: {len(rule[side])} networks in a rule, at most 100 (invalid_input)")
            ports = _PORT.fullmatch(rule.get("port") or "")
            if rule["protocol"] in ("tcp", "udp"):
                if not ports or int(ports[1] or 1) > int(ports[2] or ports[1] or 1) or int(ports[2] or ports[1] or 1) > 65535:
                    raise Refused(f"port {rule.get('port')} of a {rule['protocol']} rule is none (invalid_input)")
            elif rule.get("port"):
                raise Refused(f"port is not supported for {rule['protocol']} (invalid_input)")
        return {**super().make(call), "rules": [write_out(rule) for rule in rules], "applyTos": []}


def write_out(rule: Properties) -> Properties:
    """A rule as the provider keeps it: a bare address is a network of one."""
    sides = [side for side in ("sourceIps", "destinationIps") if rule.get(side)]
    return {**rule, **{side: [str(ip_network(text)) for text in rule[side]] for side in sides}}


class SshKey(Hetzner):
    type = SSH_KEY

    def make(self, call: Call) -> Properties:
        mark = fingerprint(call.inputs["publicKey"])
        call.hold(f"SSH key {mark} of the project")
        return {**super().make(call), "fingerprint": mark}


class PlacementGroup(Hetzner):
    type = GROUP


class PrimaryIp(Hetzner):
    """Keeps its address; a server has to have the same location and be the only one with it."""

    type = PRIMARY_IP
    references: ClassVar = {"assigneeId": SERVER}
    values: ClassVar = {"location": set(ZONES)}

    def make(self, call: Call) -> Properties:
        # Until a server says that it is its own, which a later read shows; "server" it said before 2026-08-01.
        known = {"assigneeType": "unassigned", **super().make(call)}
        if call.inputs["type"] == "ipv6":
            return {**known, "ipAddress": f"2001:db8:{call.number():x}::1", "ipNetwork": "/64"}
        mine = call.outputs.get("ipAddress")
        address = call.take_address("the internet", "198.18.0.0/17", first=1, last=1, wanted=mine)
        return {**known, "ipAddress": address, "ipNetwork": ""}

    def show(self, thing: Thing) -> Properties:
        server = next((one for one in self.account.world.users_of(thing) if one.type == SERVER), None)
        return {**super().show(thing), **({"assigneeId": int(server.id), "assigneeType": "server"} if server else {})}


class Volume(Hetzner):
    """10 to 10240 GiB, only growing; its device path is known by its id."""

    type = VOLUME
    references: ClassVar = {"serverId": SERVER}
    values: ClassVar = {"location": set(ZONES), "format": {"ext4", "xfs"}}

    def make(self, call: Call) -> Properties:
        size = call.inputs["size"]
        if not 10 <= size <= 10240:
            raise Refused(f"size {size}: a volume has 10 to 10240 GB (invalid_input)")
        if call.old and size < call.old["size"]:
            raise Refused(f"size {size}: a volume of {call.old['size']} GB cannot shrink (invalid_input)")
        if not call.inputs.get("location") and not call.inputs.get("serverId"):
            raise Refused("a volume needs a location or a server (invalid_input)")
        return {**super().make(call), "linuxDevice": f"/dev/disk/by-id/scsi-0HC_Volume_{call.id}"}


class Rdns(Simulated):
    type = "hcloud:index/rdns:Rdns"
    references: ClassVar = {"serverId": SERVER, "primaryIpId": PRIMARY_IP, "floatingIpId": FLOATING}

    def make_id(self, call: Call) -> str:
        name = next(name for name in self.references if call.inputs.get(name))
        return f"{name[0]}-{call.inputs[name]}-{call.inputs['ipAddress']}"

    def make(self, call: Call) -> Properties:
        for name, type in (("primaryIpId", PRIMARY_IP), ("floatingIpId", FLOATING)):
            address = call.find(type, call.inputs[name]) if call.inputs.get(name) else None
            if address and address.get("ipAddress") != call.inputs["ipAddress"]:
                kind = "primary" if type == PRIMARY_IP else "floating"
                raise Refused(f"ip {call.inputs['ipAddress']} is not of {kind} IP {address.id} (invalid_input)")
        return super().make(call)


class Zone(Hetzner):
    type = ZONE

    def make(self, call: Call) -> Properties:
        servers = ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com.", "helium.ns.hetzner.de."]
        return {**super().make(call), "authoritativeNameservers": {"assigneds": servers}, "registrar": "other"}


class ZoneRrset(Simulated):
    """A zone is named by id or name; a record set stands once in it."""

    type = "hcloud:index/zoneRrset:ZoneRrset"

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['name']}/{call.inputs['type']}"

    def make(self, call: Call) -> Properties:
        wanted = call.inputs["zone"]
        for zone in call.world.all(ZONE):
            if wanted in (zone.id, zone.inputs["name"]):
                call.use(zone)
                name = f"{call.inputs['name']}.{zone.inputs['name']}"
                check_record(name, zone.inputs["name"], call.inputs["type"], [one["value"] for one in call.inputs["records"]])
                return {}
        raise Refused(f"zone {wanted} not found (not_found)")


TYPES = (Network, NetworkSubnet, NetworkRoute, Firewall, SshKey, PlacementGroup, PrimaryIp, Volume, Rdns, Zone, ZoneRrset)
