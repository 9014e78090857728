"""Google Cloud: networks, NAT, firewalls, addresses, disks, names (`facts/clouds.md` 2, `facts/schemas/README.md` 20-23).

Ids are paths. A reference is an id, a self link or, as the API allows, a bare name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_network

from provider.server import Failure, Properties, ProviderError
from tests.simulator.call import Call
from tests.simulator.records import check_record
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing

ERRORS: Mapping[str, str] = {
    "capacity": "googleapi: Error 503: ZONE_RESOURCE_POOL_EXHAUSTED: The zone '{zone}' does not have enough resources "
    "available to fulfill the request: {machineType}",
    "quota": "googleapi: Error 403: Quota 'CPUS' exceeded: {machineType}, quotaExceeded",
    "rate": "googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded",
    "error": "googleapi: Error 503: Internal error. Please try again, backendError",
}
LINK = "https://www.googleapis.com/compute/v1/"
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_KEY, _LABEL_VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")
_ZONE = re.compile(r"([a-z]+-[a-z]+\d+)-([a-f])")
_ZONES = {"us-east1": "bcd", "europe-west1": "bcd", "us-central1": "abcf"}
"""Every other region has a, b and c."""
_PORTS = re.compile(r"(\d+)(?:-(\d+))?")
_PUBLIC = "198.19.64.0/18"
_PROTOCOLS = {"tcp", "udp", "icmp", "esp", "ah", "sctp", "ipip", "all"}

NETWORK, SUBNETWORK = "gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork"
ROUTER, ADDRESS, DISK = "gcp:compute/router:Router", "gcp:compute/address:Address", "gcp:compute/disk:Disk"
INSTANCE, POLICY = "gcp:compute/instance:Instance", "gcp:compute/resourcePolicy:ResourcePolicy"
MANAGED_ZONE = "gcp:dns/managedZone:ManagedZone"


def check_settings(settings: Properties) -> None:
    """Refuses a zone that cannot be one; what is not set, resources have to say."""
    if settings.get("zone") and not _ZONE.fullmatch(settings["zone"]):
        raise ProviderError(f"zone {settings['zone']} is invalid")


class Google(Simulated):
    """What all types share: ids that are paths, project, region and zone, labels, `deletionPolicy`."""

    def place(self, call: Call, name: str) -> str:
        """Project, region or zone of a thing: its own, else the provider's."""
        value = call.inputs.get(name) or call.account.settings.get(name)
        if not value:
            raise Refused(f"{name}: required field is not set")
        return str(value).rpartition("/")[2]

    def make_id(self, call: Call) -> str:
        shape: str = self.account.schema.resources[self.type]["id"]
        for mark, name in (("<p>", "project"), ("<r>", "region"), ("<z>", "zone")):
            if mark in shape:
                shape = shape.replace(mark, self.place(call, name))
        return shape.replace("<router>", str(call.inputs.get("router")).rpartition("/")[2]).replace("<name>", call.inputs["name"])

    def make(self, call: Call) -> Properties:
        labels = call.inputs.get("labels") or {}
        wrong = [key for key, value in labels.items() if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(value)]
        if wrong or len(labels) > 64:
            raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.labels': {labels}")
        if zone := call.inputs.get("zone"):
            check_zone(zone)
        made = {
            "project": self.place(call, "project"),
            "selfLink": LINK + call.id,
            "creationTimestamp": "2026-11-23T00:00:00Z",
            "effectiveLabels": labels,
            "pulumiLabels": labels,
        }
        for name, mark in (("region", "/regions/"), ("zone", "/zones/")):
            if mark in call.id:
                made[name] = call.id.partition(mark)[2].partition("/")[0]
        names = self.account.schema.output_names(self.type)
        return {name: value for name, value in made.items() if name in names}

    def refer(self, call: Call, type: str, value: str, path: str) -> Thing:
        """What an id, self link or name of this project and place refers to."""
        wanted = value.removeprefix(LINK)
        for thing in call.world.all(type):
            if wanted in (thing.id, thing.inputs["name"]):
                call.use(thing)
                return thing
        raise Refused(f"googleapi: Error 404: {path}: The resource '{value}' was not found, notFound")

    def end(self, call: Call, thing: Thing) -> None:
        if thing.inputs.get("deletionPolicy") == "PREVENT":
            raise Refused(f"{thing.id} cannot be destroyed: its deletionPolicy is PREVENT")


def check_zone(zone: str) -> None:
    """Refuses a zone that cannot be one."""
    found = _ZONE.fullmatch(zone.rpartition("/")[2])
    if not found or found[2] not in _ZONES.get(found[1], "abc"):
        raise Refused(f"googleapi: Error 400: Invalid value for field 'zone': '{zone}'. Unknown zone.")


class Network(Google):
    type = NETWORK


class Subnetwork(Google):
    type = SUBNETWORK

    def make(self, call: Call) -> Properties:
        network = self.refer(call, NETWORK, call.inputs["network"], "network")
        if not call.inputs.get("ipCidrRange"):
            raise Refused("googleapi: Error 400: ipCidrRange is required")
        mine = IPv4Network(call.inputs["ipCidrRange"])
        for other in call.world.all(SUBNETWORK):
            same = network.key in other.uses and other.id != call.id
            if same and mine.overlaps(IPv4Network(other.inputs["ipCidrRange"])):
                raise Refused(f"googleapi: Error 400: Invalid IPCidrRange: {mine} conflicts with existing subnetwork")
        return {**super().make(call), "gatewayAddress": str(mine.network_address + 1), "fingerprint": "x"}


class Router(Google):
    type = ROUTER

    def make(self, call: Call) -> Properties:
        if not call.inputs.get("network"):
            raise Refused("googleapi: Error 400: network is required")
        self.refer(call, NETWORK, call.inputs["network"], "network")
        return super().make(call)


class RouterNat(Google):
    """All subnets of the router's network and region by one NAT; addresses of its own or given ones."""

    type = "gcp:compute/routerNat:RouterNat"

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        router = self.refer(call, ROUTER, inputs["router"], "router")
        if inputs["sourceSubnetworkIpRangesToNat"].startswith("ALL_SUBNETWORKS"):
            call.hold(f"NAT of all subnetworks by {router.id}")
        listed = inputs["sourceSubnetworkIpRangesToNat"] == "LIST_OF_SUBNETWORKS"
        if listed != bool(inputs.get("subnetworks")):
            raise Refused("googleapi: Error 400: subnetworks belong to LIST_OF_SUBNETWORKS, and only there")
        for subnetwork in inputs.get("subnetworks") or []:
            self.refer(call, SUBNETWORK, subnetwork["name"], "subnetworks")
        manual = inputs.get("natIpAllocateOption") == "MANUAL_ONLY"
        if manual != bool(inputs.get("natIps")):
            raise Refused("googleapi: Error 400: natIps belong to MANUAL_ONLY, and only there")
        for address in inputs.get("natIps") or []:
            call.hold(f"use of {self.refer(call, ADDRESS, address, 'natIps').id}")
        if inputs.get("enableDynamicPortAllocation") and inputs.get("enableEndpointIndependentMapping"):
            raise Refused("googleapi: Error 400: dynamic port allocation excludes endpoint independent mapping")
        dynamic = bool(inputs.get("enableDynamicPortAllocation"))
        least = inputs.get("minPortsPerVm") or (32 if dynamic else 64)
        most = inputs.get("maxPortsPerVm") or 65536
        if dynamic and not (32 <= least < most <= 65536 and all(ports & (ports - 1) == 0 for ports in (least, most))):
            raise Refused(f"googleapi: Error 400: ports per VM {least} to {most}: powers of two, the first smaller")
        if inputs.get("maxPortsPerVm") and not dynamic:
            raise Refused("googleapi: Error 400: maxPortsPerVm is for dynamic port allocation only")
        return super().make(call)


class Firewall(Google):
    """Allows or denies to the nodes of a network with a tag; sources or destinations by its direction."""

    type = "gcp:compute/firewall:Firewall"

    def check_plan(self, inputs: Properties, old: Properties | None) -> Iterator[Failure]:
        ends = [inputs.get(name) for name in ("sourceRanges", "sourceTags", "sourceServiceAccounts")]
        if inputs.get("direction") != "EGRESS" and not any(ends):
            yield Failure("sourceRanges", "one of sourceRanges, sourceTags, sourceServiceAccounts must be set for INGRESS")

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        self.refer(call, NETWORK, inputs["network"], "network")
        egress = inputs.get("direction") == "EGRESS"
        wrong = ("sourceRanges", "sourceTags") if egress else ("destinationRanges",)
        if any(inputs.get(name) for name in wrong):
            raise Refused("googleapi: Error 400: sources belong to INGRESS, destinations to EGRESS")
        for name, most in (("sourceRanges", 256), ("destinationRanges", 256), ("sourceTags", 30), ("targetTags", 70)):
            if len(inputs.get(name) or []) > most:
                raise Refused(f"googleapi: Error 400: {name}: at most {most}")
        for name in ("sourceRanges", "destinationRanges"):
            for block in inputs.get(name) or []:
                check_range(block, name)
        for name in ("sourceTags", "targetTags"):
            if bad := [tag for tag in inputs.get(name) or [] if not _NAME.fullmatch(tag)]:
                raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.{name}': {bad}")
        for rule in (*(inputs.get("allows") or []), *(inputs.get("denies") or [])):
            check_rule(rule)
        return {
            **super().make(call),
            "direction": inputs.get("direction") or "INGRESS",
            "destinationRanges": inputs.get("destinationRanges") or (["0.0.0.0/0"] if egress else []),
        }


def check_range(block: str, name: str) -> None:
    """Refuses what is no network, host bits too."""
    try:
        ip_network(block)
    except ValueError as error:
        raise Refused(f"googleapi: Error 400: Invalid value for field 'resource.{name}': {error}") from error


def check_rule(rule: Properties) -> None:
    """Refuses protocols and ports that are none."""
    protocol, ports = rule["protocol"], rule.get("ports") or []
    if protocol not in _PROTOCOLS and not (protocol.isdecimal() and int(protocol) < 256):
        raise Refused(f"googleapi: Error 400: Invalid value for field 'IPProtocol': '{protocol}'")
    for text in ports:
        found = _PORTS.fullmatch(text)
        if not found or protocol not in ("tcp", "udp", "sctp", "6", "17"):
            raise Refused(f"googleapi: Error 400: Invalid value for field 'ports': '{text}' of {protocol}")
        if not int(found[1]) <= int(found[2] or found[1]) <= 65535:
            raise Refused(f"googleapi: Error 400: Invalid value for field 'ports': '{text}'")


class Address(Google):
    """A public address, or a private one of a subnetwork that is kept for one machine."""

    type = ADDRESS

    def make(self, call: Call) -> Properties:
        inputs, before = call.inputs, call.outputs.get("address")
        if inputs["addressType"] == "EXTERNAL":
            if inputs.get("subnetwork"):
                raise Refused("googleapi: Error 400: a subnetwork belongs to INTERNAL addresses")
            address = call.take_address("the internet", _PUBLIC, first=1, last=1, wanted=inputs.get("address") or before)
            return {**super().make(call), "address": address, "networkTier": inputs.get("networkTier") or "PREMIUM", "users": []}
        if not inputs.get("subnetwork"):
            raise Refused("googleapi: Error 400: an INTERNAL address needs a subnetwork")
        subnetwork = self.refer(call, SUBNETWORK, inputs["subnetwork"], "subnetwork")
        address = take_private(call, subnetwork, inputs.get("address") or before)
        return {**super().make(call), "address": address, "purpose": inputs.get("purpose") or "GCE_ENDPOINT", "users": []}


def take_private(call: Call, subnetwork: Thing, wanted: str | None) -> str:
    """A private address; a reserved one of the same subnetwork may be taken by one machine."""
    scope, block = f"subnetwork {subnetwork.id}", subnetwork.inputs["ipCidrRange"]
    if wanted and call.request.type == INSTANCE:
        if IPv4Address(wanted) not in IPv4Network(block):
            raise Refused(f"googleapi: Error 400: IP address '{wanted}' is not in {block}")
        for address in call.world.all(ADDRESS):
            if subnetwork.key in address.uses and address.get("address") == wanted:
                call.use(address)
                call.hold(f"use of {address.id}")
                return wanted
    # The first two and the last two addresses are Google's.
    return call.take_address(scope, block, first=2, last=2, wanted=wanted)


class ManagedZone(Google):
    type = MANAGED_ZONE

    def make(self, call: Call) -> Properties:
        if not call.inputs["dnsName"].endswith("."):
            raise Refused("googleapi: Error 400: dnsName must end with a dot")
        return {**super().make(call), "nameServers": [f"ns-cloud-a{n}.googledomains.com." for n in range(1, 5)]}


class RecordSet(Google):
    type = "gcp:dns/recordSet:RecordSet"

    def make_id(self, call: Call) -> str:
        inputs = call.inputs
        zone = inputs["managedZone"].rpartition("/")[2]
        return f"projects/{self.place(call, 'project')}/managedZones/{zone}/rrsets/{inputs['name']}/{inputs['type']}"

    def make(self, call: Call) -> Properties:
        zone = self.refer(call, MANAGED_ZONE, call.inputs["managedZone"].rpartition("/")[2], "managedZone")
        if not call.inputs["name"].endswith("."):
            raise Refused(f"googleapi: Error 400: Invalid value for 'entity.change.additions[].name': {call.inputs['name']}")
        name, place = (text.rstrip(".") for text in (call.inputs["name"], zone.inputs["dnsName"]))
        check_record(name, place, call.inputs["type"], call.inputs.get("rrdatas") or ())
        return super().make(call)


TYPES = (Network, Subnetwork, Router, RouterNat, Firewall, Address, ManagedZone, RecordSet)
