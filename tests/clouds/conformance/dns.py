"""Zones and records of the simulated clouds as a resolver would see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from provider.server import Properties, Provider, Request
from tests.simulator.world import Thing, World

Answer = tuple[str, str, str]
"""Name, type and value; names and targets whole and without the final dot."""

ZONE = "example.com"
SETTINGS: Mapping[str, str] = {
    "aws": f"{{id}}/{ZONE}", "azure": f"dns-group/{ZONE}", "digitalocean": ZONE, "gcp": f"company-zone/{ZONE}", "hetzner": ZONE,
}
"""`webitel:dns_zone` by cloud; `{id}` is the zone's id."""

ZONES: Mapping[str, tuple[tuple[str, Properties], ...]] = {
    "aws": (("aws:route53/zone:Zone", {"name": ZONE}),),
    "azure": (
        ("azure-native:resources:ResourceGroup", {"resourceGroupName": "dns-group", "location": "westeurope"}),
        ("azure-native:dns:Zone", {"resourceGroupName": "dns-group", "zoneName": ZONE, "location": "Global"})),
    "digitalocean": (("digitalocean:index/domain:Domain", {"name": ZONE}),),
    "gcp": (("gcp:dns/managedZone:ManagedZone", {"name": "company-zone", "dnsName": f"{ZONE}."}),),
    "hetzner": (("hcloud:index/zone:Zone", {"name": ZONE, "mode": "primary"}),),
}


def make_zone(cloud: str, provider: Provider) -> str:
    """Makes the zone that the user has; returns the setting that names it."""
    id = ""
    for type, inputs in ZONES[cloud]:
        handler, request = provider.handlers[type], Request(f"urn:pulumi:user::user::{type}::zone")
        checked, failures = handler.check(request, None, inputs)
        assert not failures, failures
        id, _ = handler.create(request, checked)
    return SETTINGS[cloud].format(id=id)


def resolve_all(world: World) -> set[Answer]:
    """Everything that the cloud's name servers answer."""
    return {
        (name.rstrip("."), type, value.rstrip("."))
        for thing in world.all() if thing.type in RECORDS for name, type, value in RECORDS[thing.type](thing)}


def whole(name: str, zone: str) -> str:
    return zone if name == "@" else f"{name}.{zone}"


def read_route53(thing: Thing) -> Iterator[Answer]:
    yield from ((thing.outputs["fqdn"], thing.inputs["type"], value) for value in thing.inputs["records"])


def read_google(thing: Thing) -> Iterator[Answer]:
    yield from ((thing.inputs["name"], thing.inputs["type"], value) for value in thing.inputs["rrdatas"])


def read_hetzner(thing: Thing) -> Iterator[Answer]:
    name = whole(thing.inputs["name"], thing.inputs["zone"])
    yield from ((name, thing.inputs["type"], record["value"]) for record in thing.inputs["records"])


def read_azure(thing: Thing) -> Iterator[Answer]:
    name = whole(thing.inputs["relativeRecordSetName"], thing.inputs["zoneName"])
    for record in thing.inputs.get("aRecords") or ():
        yield name, "A", record["ipv4Address"]
    for record in thing.inputs.get("srvRecords") or ():
        yield name, "SRV", " ".join(format_number(record[key]) for key in ("priority", "weight", "port", "target"))


def read_digitalocean(thing: Thing) -> Iterator[Answer]:
    given = thing.inputs
    name = whole(given["name"], given["domain"])
    if given["type"] != "SRV":
        yield name, given["type"], given["value"]
        return
    # A target without a final dot is one inside the domain.
    target = given["value"] if given["value"].endswith(".") else f"{given['value']}.{given['domain']}"
    yield name, "SRV", " ".join([*(format_number(given[key]) for key in ("priority", "weight", "port")), target])


def format_number(value: object) -> str:
    """A number as DNS writes it: the engine sends every number as a fraction."""
    return f"{value:.0f}" if isinstance(value, float) else str(value)


RECORDS: Mapping[str, Callable[[Thing], Iterator[Answer]]] = {
    "aws:route53/record:Record": read_route53, "azure-native:dns:RecordSet": read_azure,
    "digitalocean:index/dnsRecord:DnsRecord": read_digitalocean, "gcp:dns/recordSet:RecordSet": read_google,
    "hcloud:index/zoneRrset:ZoneRrset": read_hetzner,
}
"""By type of a record: what it answers."""
