"""DigitalOcean's networks, firewalls, disks, addresses and names (`facts/clouds.md` 4, `facts/schemas/README.md` 8-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, ip_network
from typing import ClassVar

from provider.server import UNKNOWN, Failure, Properties, ProviderError
from tests.simulator.account import read_facts
from tests.simulator.call import Call
from tests.simulator.records import check_record
from tests.simulator.resource import Simulated
from tests.simulator.ssh_keys import fingerprint
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": "422 (request ...) Size {size} is not available in region {region} at this time",
    "quota": "422 (request ...) creating this/these droplet(s) will exceed your droplet limit",
    "rate": "429 (request ...) API rate limit exceeded",
    "error": "500 (request ...) Server was unable to give you a response",
}
_RESERVED = tuple(map(IPv4Network, ("10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24", "10.229.0.0/16")))
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_PORTS = re.compile(r"all|(\d+)(?:-(\d+))?")
_VOLUME_NAME = re.compile(r"[a-z]([a-z0-9-]{0,62}[a-z0-9])?")

VPC, DROPLET = "digitalocean:index/vpc:Vpc", "digitalocean:index/droplet:Droplet"
VOLUME, TAG = "digitalocean:index/volume:Volume", "digitalocean:index/tag:Tag"
SSH_KEY, RESERVED_IP = "digitalocean:index/sshKey:SshKey", "digitalocean:index/reservedIp:ReservedIp"
DOMAIN = "digitalocean:index/domain:Domain"
CREATED = "2026-11-23T00:00:00Z"


def check_settings(settings: Properties) -> None:
    """Refuses what is no token; without it the provider takes DIGITALOCEAN_TOKEN from the environment."""
    if settings.get("token") == "":
        raise ProviderError("digitalocean:token must not be empty")


class Vpc(Simulated):
    """A private range of /16 to /24, apart from the account's others and from what DigitalOcean keeps. The first one of a
    region becomes its default and stays for good: in an account that is `fresh`."""

    type = VPC
    unique = ("name",)

    def make(self, call: Call) -> Properties:
        region = call.inputs["region"]
        if region not in call.account.schema.inputs(DROPLET)["region"]["enum"]:
            raise Refused(f"422 region {region} is not available")
        others = [IPv4Network(vpc.get("ipRange")) for vpc in call.world.all(VPC) if vpc.id != call.id]
        if call.inputs.get("ipRange"):
            mine = IPv4Network(call.inputs["ipRange"])
            if not 16 <= mine.prefixlen <= 24 or not any(mine.subnet_of(block) for block in _PRIVATE):
                raise Refused(f"422 ip_range {mine}: must be private and between /16 and /24")
        else:
            free = (
                block
                for block in IPv4Network("10.100.0.0/14").subnets(new_prefix=20)
                if not any(block.overlaps(other) for other in others)
            )
            mine = IPv4Network(call.outputs.get("ipRange") or next(free))
        for other in (*others, *_RESERVED):
            if mine.overlaps(other):
                raise Refused(f"422 ip_range {mine} overlaps {other}")
        return {
            "ipRange": str(mine),
            "createdAt": CREATED,
            "vpcUrn": f"do:vpc:{call.id}",
            "default": call.outputs.get(
                "default",
                bool(read_facts(call.account).get("fresh"))
                and not any(vpc.inputs["region"] == region for vpc in call.world.all(VPC)),
            ),
        }

    def end(self, call: Call, thing: Thing) -> None:
        """A network that became its region's default stays (`facts/real-clouds.md` B8)."""
        if thing.outputs["default"]:
            raise Refused("403 Can not delete default VPCs")


class Tag(Simulated):
    type = TAG

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])

    def make(self, call: Call) -> Properties:
        counts = ("databasesCount", "dropletsCount", "imagesCount", "totalResourceCount", "volumeSnapshotsCount", "volumesCount")
        return dict.fromkeys(counts, 0)


class SshKey(Simulated):
    type = SSH_KEY

    def make(self, call: Call) -> Properties:
        mark = fingerprint(call.inputs["publicKey"])
        call.hold(f"SSH key {mark} of the account")
        return {"fingerprint": mark}


class Firewall(Simulated):
    """Whitelists of TCP, UDP and ICMP for droplets by id or tag; at most 50 rules, in and out together."""

    type = "digitalocean:index/firewall:Firewall"
    unique = ("name",)
    references: ClassVar = {"dropletIds": DROPLET}
    mentions: ClassVar = {"inboundRules[].sourceDropletIds": DROPLET, "outboundRules[].destinationDropletIds": DROPLET}

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        rules = [*_known(inputs.get("inboundRules")), *_known(inputs.get("outboundRules"))]
        if not rules and UNKNOWN not in (inputs.get("inboundRules"), inputs.get("outboundRules")):
            yield Failure("inboundRules", "at least one rule must be specified")
        for rule in rules:
            if rule.get("protocol") != "icmp" and not rule.get("portRange"):
                yield Failure("inboundRules", "portRange of inbound and outbound rules is required if protocol is tcp or udp")

    def make(self, call: Call) -> Properties:
        inbound, outbound = (call.inputs.get(f"{side}Rules") or [] for side in ("inbound", "outbound"))
        if len(inbound) + len(outbound) > 50:
            raise Refused(f"422 {len(inbound) + len(outbound)} rules, a firewall takes 50")
        if len(call.inputs.get("dropletIds") or []) > 10 or len(call.inputs.get("tags") or []) > 5:
            raise Refused("422 a firewall takes 10 droplets and 5 tags")
        # A droplet makes the tags it names, a firewall does not.
        known = {tag.id for tag in call.world.all(TAG)} | {
            tag for droplet in call.world.all(DROPLET) for tag in droplet.inputs.get("tags") or []
        }
        named = {
            *(call.inputs.get("tags") or []),
            *(tag for rule in inbound for tag in rule.get("sourceTags") or []),
            *(tag for rule in outbound for tag in rule.get("destinationTags") or []),
        }
        if unknown := named - known:
            raise Refused(f"422 tags {', '.join(sorted(unknown))} do not exist")
        for rules, side in ((inbound, "source"), (outbound, "destination")):
            for rule in rules:
                self._check_rule(rule, side)
        return {"createdAt": CREATED, "status": "succeeded", "pendingChanges": []}

    def _check_rule(self, rule: Properties, side: str) -> None:
        ends = [value for name, value in rule.items() if name.startswith(side) and value]
        if not ends or sum(map(len, ends)) > 1000:
            raise Refused(f"422 a rule needs 1 to 1000 {side}s: {rule}")
        for network in rule.get(f"{side}Addresses") or []:
            try:
                ip_network(network)
            except ValueError as error:
                raise Refused(f"422 {side}Addresses: {error}") from error
        ports = _PORTS.fullmatch(rule.get("portRange") or "all")
        low, high = (int(ports[1] or 1), int(ports[2] or ports[1] or 65535)) if ports else (1, 0)
        if not 1 <= low <= high <= 65535:
            raise Refused(f"422 portRange {rule.get('portRange')} is invalid")


def _known(rules: object) -> list[Properties]:
    return [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []


class Volume(Simulated):
    """Block storage of up to 16 TiB; its name is its device path."""

    type = VOLUME

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        if old and isinstance(inputs["size"], int) and inputs["size"] < old["size"]:
            yield Failure("size", f"volumes cannot be resized below their current size of {old['size']}")

    def make(self, call: Call) -> Properties:
        name = call.inputs["name"]
        if not _VOLUME_NAME.fullmatch(name):
            raise Refused(f"422 name {name}: lower case letters, digits and hyphens, a letter first, at most 64")
        if call.inputs["size"] > 16384:
            raise Refused("422 a volume has at most 16384 GiB")
        call.hold(f"volume name {name} in {call.inputs['region']}")
        return {
            "dropletIds": [],
            "filesystemLabel": call.inputs.get("initialFilesystemLabel") or "",
            "volumeUrn": f"do:volume:{call.id}",
        }


class ReservedIp(Simulated):
    """An address of a region; `ipAddress` given is not sent, another one comes back."""

    type = RESERVED_IP
    references: ClassVar = {"dropletId": DROPLET}

    def make_id(self, call: Call) -> str:
        return call.world.allocate("the internet", "198.18.192.0/18", first=1, last=1)

    def make(self, call: Call) -> Properties:
        call.take_address("the internet", "198.18.192.0/18", first=1, last=1, wanted=call.id)
        if droplet := call.inputs.get("dropletId"):
            call.hold(f"reserved IP of droplet {droplet}")
            call.hold(f"assignment of {call.id}")
        return {"ipAddress": call.id, "reservedIpUrn": f"do:reservedip:{call.id}"}


class Domain(Simulated):
    type = DOMAIN

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])

    def make(self, call: Call) -> Properties:
        return {"domainUrn": f"do:domain:{call.id}", "ttl": 1800}


class DnsRecord(Simulated):
    type = "digitalocean:index/dnsRecord:DnsRecord"
    references: ClassVar = {"domain": DOMAIN}

    def make(self, call: Call) -> Properties:
        name, domain, given = call.inputs["name"], call.inputs["domain"], call.inputs
        value = str(given["value"])
        if given["type"] == "SRV":
            numbers = [f"{given[key]:.0f}" for key in ("priority", "weight", "port") if given.get(key) is not None]
            # A target without a final dot is one inside the domain.
            value = " ".join([*numbers, value if value.endswith(".") else f"{value}.{domain}."])
        check_record(f"{name}.{domain}", domain, given["type"], [value])
        return {"fqdn": domain if name == "@" else f"{name}.{domain}", "ttl": call.inputs.get("ttl") or 1800}


TYPES = (Vpc, Tag, SshKey, Firewall, Volume, ReservedIp, Domain, DnsRecord)
