"""DigitalOcean in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from components.clouds.digitalocean.facts import FACTS
from tests.simulator.bugs import OTHER_RTP, RTP, WORLD, Bug, drop, each, forget, has, put, update, with_
from tests.simulator.case import RECORD_LABEL, RECORD_NAME, ZONE, Case, Needed, Types
from tests.simulator.digitalocean.view import read_record, see

MACHINE = FACTS.machine_resource

BUGS = (
    Bug("dropped rule", ":Firewall", each("inboundRules", has(portRange="443"), drop), "edge"),
    Bug("widened source", ":Firewall", each("inboundRules", has(portRange="22"), with_(sourceAddresses=[WORLD])), "edge"),
    Bug(
        "another role's nodes",
        ":Firewall",
        each("inboundRules", has(portRange="5432"), lambda rule: {**rule, "sourceTags": rule["sourceTags"][:1]}),
        "data",
    ),
    Bug("other port range", ":Firewall", each("inboundRules", has(portRange=RTP), with_(portRange=OTHER_RTP)), "edge"),
    Bug(
        "a rule too many",
        ":Firewall",
        put("inboundRules", lambda rules: [*rules, {"protocol": "tcp", "portRange": "5432", "sourceAddresses": [WORLD]}]),
        "data",
    ),
    Bug("a way out dropped", ":Firewall", each("outboundRules", has(portRange="123"), drop), "app"),
    Bug("no way to the other nodes", ":Firewall", each("outboundRules", has(portRange="1-65535"), drop), "app"),
    Bug("everything out", ":Firewall", each("outboundRules", has(portRange="123"), with_(portRange="1-65535")), "data"),
    Bug("firewall not attached", ":Firewall", put("tags", []), "data"),
    Bug("firewall of another role", ":Droplet", put("tags", lambda tags: [tags[0], f"{tags[0]}:edge"]), "data-1"),
    Bug("public address too many", ":Droplet", put("ipv6", True), "data-1"),
    Bug("no public address", ":Droplet", put("publicNetworking", False), "app-1"),
    Bug("outside the network", ":Droplet", put("vpcUuid", None), "app-1"),
    Bug("smaller machine type", ":Droplet", put("size", "c-2"), "data-1"),
    Bug("other user data", ":Droplet", put("userData", lambda text: text[:-8]), "app-1"),
    Bug("smaller disk", ":Volume", put("size", 10), "data-1-database"),
    Bug("other name of a disk", ":Volume", put("name", "data"), "data-1-database"),
    Bug("disk not attached", ":VolumeAttachment", forget, "data-1-database"),
    Bug("a machine switched off like a lamp", ":Droplet", put("gracefulShutdown", False), "data-1"),
    Bug("a boot disk that only grows", ":Droplet", put("resizeDisk", True), "app-1"),
    Bug("disks in the machine's inputs too", ":Droplet", update(volumeIds=[]), "data-1"),
    Bug("an attachment before the machine", ":VolumeAttachment", put("dropletId", 1), "data-1-database"),
    Bug("no SSH key, so a password by mail", ":Droplet", put("sshKeys", []), "app-1"),
    Bug("disk in another region", ":Volume", put("region", "ams3"), "data-1-database"),
    Bug("SSH open to IPv6", ":Firewall", each("inboundRules", has(portRange="22"), with_(sourceAddresses=["::/0"])), "edge"),
    Bug("one role's firewall on all", ":Firewall", put("tags", lambda tags: [tags[0].rpartition(":")[0]]), "edge"),
    Bug("a disk at another machine", ":VolumeAttachment", put("dropletId", lambda id: id + 1), "data-1-database"),
    Bug("a file system of the cloud", ":Volume", update(initialFilesystemType="ext4"), "data-1-database"),
    Bug("backups that nobody asked for", ":Droplet", update(backups=True), "app-1"),
    Bug("another range than the plan's", ":Vpc", put("ipRange", "10.21.0.0/16")),
    Bug("input unknown to the cloud", ":Droplet", update(userdata="x"), "app-1"),
)

RECORD_BUGS = (
    Bug("another port", "DnsRecord", put("port", 5061), f"{RECORD_LABEL} 1"),
    Bug("no port", "DnsRecord", put("port", None), f"{RECORD_LABEL} 1"),
    Bug("target inside the zone", "DnsRecord", put("value", RECORD_NAME), f"{RECORD_LABEL} 1"),
)

CASE = Case(
    types=Types(
        MACHINE,
        "digitalocean:index/volume:Volume",
        ("image", "userData", "sshKeys"),
        keys="digitalocean:index/sshKey:SshKey",
        attachments="digitalocean:index/volumeAttachment:VolumeAttachment",
    ),
    see=see,
    off=("status", "off"),
    bugs=BUGS,
    record_bugs=RECORD_BUGS,
    settings={"token": "dop_v1_test"},
    variables={"DIGITALOCEAN_TOKEN": "test"},
    account="account of test@example.com",
    quota=("droplets", r"droplets: 2, 0 used, 3 needed", "cloud.digitalocean.com"),
    refusals={
        "capacity": '422 (request "1") Size c-4 is not available in region fra1',
        "quota": '422 (request "1") creating this/these droplet(s) will exceed your droplet limit.',
        "rate": '429 (request "1") API rate limit exceeded',
    },
    image="debian-13-x64",
    zone=ZONE,
    zones=(("digitalocean:index/domain:Domain", {"name": ZONE}),),
    records={"digitalocean:index/dnsRecord:DnsRecord": read_record},
    rule=("digitalocean:index/firewall:Firewall", "inboundRules", []),
    needed=(
        Needed(MACHINE, "gracefulShutdown", True, "the database has no time to stop before a replacement"),
        Needed(MACHINE, "resizeDisk", False, "no smaller type ever fits again"),
        Needed(MACHINE, "backups", None, "a fifth of its price more, and copies of a disk that holds nothing"),
        Needed("digitalocean:index/volume:Volume", "initialFilesystemType", None, "the node takes none of others"),
        Needed(MACHINE, "volumeIds", None, "two resources attach one disk, and take it from one another"),
    ),
    unknown=("Firewall", {"inboundRules": [{"speed": 1}]}),
)
