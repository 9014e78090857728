"""Hetzner Cloud in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from components.clouds.hetzner.facts import FACTS
from tests.simulator.bugs import NEIGHBOUR, OTHER_RTP, RTP, WORLD, Bug, drop, each, forget, has, put, update, with_
from tests.simulator.case import RECORD_LABEL, RECORD_NAME, ZONE, Case, Needed, Types
from tests.simulator.hetzner.view import read_record, read_reverse_names, see

MACHINE = FACTS.machine_resource

BUGS = (
    Bug("dropped rule", ":Firewall", each("rules", has(direction="in", port="443"), drop), "edge"),
    Bug("widened source", ":Firewall", each("rules", has(direction="in", port="22"), with_(sourceIps=[WORLD])), "edge"),
    Bug("other port range", ":Firewall", each("rules", has(direction="in", port=RTP), with_(port=OTHER_RTP)), "edge"),
    Bug("other protocol", ":Firewall", each("rules", has(direction="in", port="443"), with_(protocol="udp")), "edge"),
    Bug(
        "a rule too many",
        ":Firewall",
        put("rules", lambda rules: [*rules, {"direction": "in", "protocol": "tcp", "port": "5432", "sourceIps": [WORLD]}]),
        "data",
    ),
    Bug("no rule out, so everything out", ":Firewall", each("rules", has(direction="out"), drop), "data"),
    Bug("a way out dropped", ":Firewall", each("rules", has(direction="out", port="123"), drop), "app"),
    Bug("firewall not attached", ":Server", put("firewallIds", []), "data-1"),
    Bug("public address too many", ":Server", put("publicNets.0.ipv6Enabled", True), "data-1"),
    Bug("no public address", ":Server", put("publicNets.0.ipv4Enabled", False), "app-1"),
    Bug("smaller machine type", ":Server", put("serverType", "ccx13"), "data-1"),
    Bug("other private address", ":Server", put("networks.0.ip", NEIGHBOUR), "app-1"),
    Bug("other user data", ":Server", put("userData", lambda text: text[:-8]), "app-1"),
    Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
    Bug("disk elsewhere", ":Volume", put("location", "nbg1"), "data-1-database"),
    Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
    Bug("a server that nobody can delete", ":Server", update(deleteProtection=True, rebuildProtection=True)),
    Bug("half a protection by the cloud", ":Server", update(rebuildProtection=True)),
    Bug("a network that nobody can delete", ":Network", update(deleteProtection=True)),
    Bug("a disk not protected by the cloud", ":Volume", update(deleteProtection=False), "data-1-database"),
    Bug("an address not protected by the cloud", ":PrimaryIp", update(deleteProtection=False), "edge-1"),
    Bug("no placement group", ":Server", put("placementGroupId", None), "data-2"),
    Bug("no labels", ":Server", update(labels={})),
    Bug("an address that goes with the server", ":PrimaryIp", put("autoDelete", True), "edge-1"),
    Bug("a server switched off like a lamp", ":Server", put("shutdownBeforeDeletion", False), "data-1"),
    Bug("a boot disk that only grows", ":Server", put("keepDisk", False), "app-1"),
    Bug("disks mounted by the cloud", ":VolumeAttachment", put("automount", True), "data-1-database"),
    Bug("no SSH key, so a password by mail", ":Server", put("sshKeys", []), "app-1"),
    Bug("another server's address", ":Server", put("publicNets.0.ipv4", None), "edge-1"),
    Bug("the network of another zone", ":NetworkSubnet", put("networkZone", "us-east")),
    Bug("address in another location", ":PrimaryIp", put("location", "nbg1"), "edge-1"),
    Bug("a disk at another server", ":VolumeAttachment", put("serverId", lambda id: id + 1), "data-1-database"),
    Bug("a file system of the cloud", ":Volume", update(format="ext4"), "data-1-database"),
    Bug("backups that nobody asked for", ":Server", update(backups=True), "app-1"),
    Bug("one role's firewall on all", ":Firewall", update(applyTos=[{"labelSelector": "stack=hetzner-basic"}]), "edge"),
    Bug("input unknown to the cloud", ":Server", update(userdata="x"), "app-1"),
)

RECORD_BUGS = (
    Bug("another port", "ZoneRrset", put("records.0.value", f"10 10 5061 {RECORD_NAME}."), RECORD_LABEL),
    Bug("whole name", "ZoneRrset", put("name", f"_sip._udp.{RECORD_NAME}"), RECORD_LABEL),
    Bug("forgotten", "", forget, RECORD_LABEL),
    Bug("no name for the address", ":Rdns", forget),
    Bug("another name for the address", ":Rdns", put("dnsPtr", "edge-1.example.com")),
    Bug("another address", ":Rdns", put("ipAddress", "198.18.0.250")),
)

CASE = Case(
    types=Types(
        MACHINE,
        "hcloud:index/volume:Volume",
        ("image", "userData", "sshKeys"),
        "hcloud:index/primaryIp:PrimaryIp",
        "hcloud:index/sshKey:SshKey",
        "hcloud:index/volumeAttachment:VolumeAttachment",
        ("hcloud:index/volume:Volume", "hcloud:index/primaryIp:PrimaryIp"),
    ),
    see=see,
    off=("status", "off"),
    stopping=("stopping",),
    bugs=BUGS,
    record_bugs=RECORD_BUGS,
    settings={"token": "x" * 64},
    variables={"HCLOUD_TOKEN": "x" * 64},
    account="the token opens a project",
    refusals={
        "capacity": "error during placement (resource_unavailable, 1a2b)",
        "quota": "server limit reached (resource_limit_exceeded, 1a2b)",
        "rate": "limit of 3600 requests per hour reached (rate_limit_exceeded, 1a2b)",
    },
    image="debian-13",
    zone=ZONE,
    zones=(("hcloud:index/zone:Zone", {"name": ZONE, "mode": "primary"}),),
    records={"hcloud:index/zoneRrset:ZoneRrset": read_record},
    reverse_names=read_reverse_names,
    rule=("hcloud:index/firewall:Firewall", "rules", []),
    needed=(
        Needed("hcloud:index/primaryIp:PrimaryIp", "autoDelete", False, "the address is lost with the server"),
        Needed(MACHINE, "shutdownBeforeDeletion", True, "the database has no time to stop before a replacement"),
        Needed(MACHINE, "keepDisk", True, "no smaller type ever fits again"),
        Needed(MACHINE, "backups", None, "a fifth of its price more, and copies of a disk that holds nothing"),
        Needed("hcloud:index/volume:Volume", "format", None, "the node makes the file system, and takes none that is there"),
        Needed("hcloud:index/volumeAttachment:VolumeAttachment", "automount", False, "two hands mount one file system"),
    ),
    unknown=("Server", {"networks": [{"speed": 1}]}),
    late=("edge-1",),
)
