"""The rules of DigitalOcean, one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from provider.server import UNKNOWN
from tests.simulator.conftest import ANYBODY, KEY, OFFICE, CheckFailed, Driver, Made
from tests.simulator.digitalocean.view import look
from tests.simulator.reach import between, from_outside, to_outside
from tests.simulator.world import Refused


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("digitalocean")


def make_vpc(cloud: Driver) -> Made:
    return cloud.create("Vpc", "net", name="net", region="fra1", ipRange="10.20.0.0/16")


def make_droplet(cloud: Driver, name: str = "edge-1", **inputs: Any) -> Made:
    return cloud.create("Droplet", name, **{"name": name, "image": "debian-12-x64", "size": "c-2", "region": "fra1", **inputs})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"privateIp": "10.20.0.10"}, "is no input"),
        ({"name": "edge_1"}, "host name"),
        ({"tags": ["a b"]}, "does not match"),
        ({"userData": ""}, "must not be empty"),
        ({"sshKeys": [""]}, "must not be empty"),
        ({"sshKeys": [7]}, "must be a string"),
        ({"backupPolicy": {"plan": "daily"}}, "backups too"),
    ],
)
def test_droplet_inputs_refused_by_the_provider(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    if "backups" in words:
        wrong = {**wrong, "backups": None}
    with pytest.raises(CheckFailed, match=words):
        make_droplet(cloud, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": "c-3"}, "size: c-3"),
        ({"region": "fsn1"}, "region: fsn1"),
        ({"image": "debian-12"}, "image debian-12"),
        ({"vpcUuid": "none"}, "vpcUuid"),
        ({"userData": "x" * 65537}, "too long"),
        ({"sshKeys": ["123"]}, "invalid key"),
    ],
)
def test_droplet_refused_by_the_cloud(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_droplet(cloud, **wrong)


def test_addresses_are_known_late(cloud: Driver) -> None:
    vpc = make_vpc(cloud)
    seen = cloud.preview("Droplet", name="a", image="debian-12-x64", size="c-2", region="fra1", vpcUuid=vpc.id)
    assert seen["ipv4AddressPrivate"] is UNKNOWN
    assert seen["ipv4Address"] is UNKNOWN
    droplet = make_droplet(cloud, vpcUuid=vpc.id)
    assert droplet.outputs["ipv4AddressPrivate"] == "10.20.0.2"
    assert droplet.id.isdecimal()
    again = cloud.update(droplet, tags=["x"])
    assert again.outputs["ipv4AddressPrivate"] == "10.20.0.2"
    assert again.outputs["ipv4Address"] == droplet.outputs["ipv4Address"]
    closed = make_droplet(cloud, "b", vpcUuid=vpc.id, publicNetworking=False)
    assert closed.outputs["ipv4Address"] == ""
    with pytest.raises(Refused, match="in use"):
        cloud.delete(vpc)


def test_what_replaces_a_droplet(cloud: Driver) -> None:
    droplet = make_droplet(cloud, userData="one", ipv6=True, sshKeys=[cloud.create("SshKey", publicKey=KEY).id])
    for name, value in {
        "userData": "two",
        "image": "debian-13-x64",
        "sshKeys": ["9"],
        "region": "ams3",
        "monitoring": True,
        "ipv6": False,
        "vpcUuid": "other",
        "publicNetworking": False,
    }.items():
        assert cloud.diff(droplet, **{name: value}).replaces == [name], name
    assert cloud.diff(make_droplet(cloud, "b"), ipv6=True).replaces == []
    bigger = cloud.update(droplet, size="c-4", name="other", tags=["t"])
    assert bigger.id == droplet.id
    with pytest.raises(Refused, match="smaller"):
        cloud.update(bigger, size="c-2")
    assert cloud.diff(droplet).changed == []


def test_networks_are_private_and_apart(cloud: Driver) -> None:
    make_vpc(cloud)
    for block, words in (
        ("10.20.4.0/24", "overlaps"),
        ("10.244.0.0/20", "overlaps"),
        ("10.0.0.0/8", "between"),
        ("198.51.0.0/16", "private"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Vpc", region="fra1", ipRange=block)
    assert cloud.create("Vpc", region="fra1").outputs["ipRange"] == "10.100.0.0/20"
    with pytest.raises(Refused, match="region"):
        cloud.create("Vpc", region="mars")


def test_volume(cloud: Driver) -> None:
    volume = cloud.create("Volume", name="edge-1-database", region="fra1", size=10)
    droplet = make_droplet(cloud)
    attachment = cloud.create("VolumeAttachment", dropletId=droplet.number, volumeId=volume.id)
    with pytest.raises(Refused, match="attachment of volume"):
        cloud.create("VolumeAttachment", dropletId=make_droplet(cloud, "b").number, volumeId=volume.id)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(volume)
    with pytest.raises(CheckFailed, match="below their current size"):
        cloud.update(volume, size=9)
    assert cloud.diff(volume, name="x", description="y").replaces == ["description", "name"]
    assert cloud.diff(volume, size=20).replaces == []
    assert cloud.diff(attachment, dropletId=7).replaces == ["dropletId"]
    with pytest.raises(Refused, match="lower case"):
        cloud.create("Volume", name="Edge", region="fra1", size=10)
    with pytest.raises(CheckFailed, match="conflicts"):
        cloud.create("Volume", name="v", region="fra1", size=10, filesystemType="ext4", initialFilesystemType="ext4")
    far = cloud.create("Volume", name="far", region="ams3", size=10)
    with pytest.raises(Refused, match="volume in ams3"):
        cloud.create("VolumeAttachment", dropletId=droplet.number, volumeId=far.id)
    for number in range(6):
        more = cloud.create("Volume", name=f"v{number}", region="fra1", size=1)
        cloud.create("VolumeAttachment", dropletId=droplet.number, volumeId=more.id)
    eighth = cloud.create("Volume", name="v8", region="fra1", size=1)
    with pytest.raises(Refused, match="7 volumes"):
        cloud.create("VolumeAttachment", dropletId=droplet.number, volumeId=eighth.id)


RULE = {"protocol": "tcp", "portRange": "443", "sourceAddresses": ["0.0.0.0/0"]}


def test_an_attachment_that_goes_takes_the_volume_along_whoever_attached_it(cloud: Driver) -> None:
    volume, droplet = cloud.create("Volume", name="v", region="fra1", size=10), make_droplet(cloud)
    same = {"dropletId": droplet.number, "volumeId": volume.id}
    first, second = (cloud.create("VolumeAttachment", **same) for _ in range(2))
    assert first.id != second.id
    cloud.delete(first)
    assert cloud.read(second) is None, "the disk is gone from the droplet"
    cloud.delete(second)


def test_firewall_needs_a_rule_with_ports(cloud: Driver) -> None:
    with pytest.raises(CheckFailed, match="at least one rule"):
        cloud.create("Firewall", name="f")
    with pytest.raises(CheckFailed, match="portRange of"):
        cloud.create("Firewall", name="f", inboundRules=[{**RULE, "portRange": None}])
    with pytest.raises(CheckFailed, match="not one of"):
        cloud.create("Firewall", name="f", inboundRules=[{**RULE, "protocol": "esp"}])
    cloud.create("Firewall", name="f", inboundRules=[{"protocol": "icmp", "sourceAddresses": ["0.0.0.0/0"]}])


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"inboundRules": [{**RULE, "portRange": str(n)} for n in range(1, 52)]}, "51 rules"),
        ({"inboundRules": [{**RULE, "portRange": "90-80"}]}, "portRange"),
        ({"inboundRules": [{**RULE, "sourceAddresses": []}]}, "1 to 1000"),
        ({"inboundRules": [{**RULE, "sourceAddresses": ["10.0.0.1/8"]}]}, "host bits"),
        ({"inboundRules": [{**RULE, "sourceTags": ["nobody"]}]}, "nobody"),
        ({"inboundRules": [RULE], "tags": ["nobody"]}, "nobody"),
        ({"inboundRules": [RULE], "tags": list("abcdef")}, "5 tags"),
        ({"inboundRules": [RULE], "dropletIds": [4]}, "not found"),
    ],
)
def test_firewall_refused_by_the_cloud(cloud: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        cloud.create("Firewall", name="f", **inputs)


def test_firewall_of_a_tag(cloud: Driver) -> None:
    tag = cloud.create("Tag", name="edge")
    assert tag.id == "edge"
    cloud.create("Firewall", name="f", tags=["edge"], inboundRules=[{**RULE, "sourceTags": ["edge"]}])
    make_droplet(cloud, tags=["made-by-droplet"])
    cloud.create("Firewall", name="g", tags=["made-by-droplet"], inboundRules=[RULE])
    with pytest.raises(CheckFailed, match="does not match"):
        cloud.create("Tag", name="a.b")


def test_reserved_address(cloud: Driver) -> None:
    address = cloud.create("ReservedIp", region="fra1", ipAddress="192.0.2.1")
    assert address.id == address.outputs["ipAddress"] != "192.0.2.1"
    droplet = make_droplet(cloud)
    cloud.create("ReservedIpAssignment", dropletId=droplet.number, ipAddress=address.id)
    with pytest.raises(Refused, match="assignment of"):
        cloud.create("ReservedIpAssignment", dropletId=make_droplet(cloud, "b").number, ipAddress=address.id)
    other = cloud.create("ReservedIp", region="fra1")
    with pytest.raises(Refused, match="reserved IP of droplet"):
        cloud.create("ReservedIpAssignment", dropletId=droplet.number, ipAddress=other.id)
    far = cloud.create("ReservedIp", region="ams3")
    with pytest.raises(Refused, match="address of ams3"):
        cloud.create("ReservedIpAssignment", dropletId=make_droplet(cloud, "c").number, ipAddress=far.id)
    with pytest.raises(CheckFailed, match="IPv4"):
        cloud.create("ReservedIpAssignment", dropletId=1, ipAddress="nonsense")


def test_records(cloud: Driver) -> None:
    cloud.create("Domain", name="example.com")
    record = {"domain": "example.com", "name": "_sip._udp", "value": "sip", "port": 5060, "weight": 1, "priority": 1}
    assert cloud.create("DnsRecord", type="SRV", **record).outputs["fqdn"] == "_sip._udp.example.com"
    for missing in ("priority", "weight"):
        with pytest.raises(CheckFailed, match="required when"):
            cloud.create("DnsRecord", type="SRV", **{**record, missing: None})
    with pytest.raises(CheckFailed, match="not one of"):
        cloud.create("DnsRecord", type="NAPTR", **record)
    with pytest.raises(CheckFailed, match="missing required"):
        cloud.create("Domain")
    with pytest.raises(Refused, match="not found"):
        cloud.create("DnsRecord", type="SRV", **{**record, "domain": "example.org"})


def test_who_reaches_whom(cloud: Driver) -> None:
    for tag in ("edge", "data"):
        cloud.create("Tag", name=tag)
    vpc = cloud.create("Vpc", region="fra1", ipRange="10.20.0.0/16")

    def make(name: str, tags: list[str], **more: Any) -> Made:
        return cloud.create(
            "Droplet", name, name=name, image="debian-12-x64", size="c-2", region="fra1", vpcUuid=vpc.id, tags=tags, **more
        )

    everything = {"protocol": "tcp", "portRange": "1-65535", "destinationAddresses": ["0.0.0.0/0"]}
    cloud.create(
        "Firewall",
        "edge",
        tags=["edge"],
        outboundRules=[everything],
        inboundRules=[{"protocol": "udp", "portRange": "5060", "sourceAddresses": ["203.0.113.0/24"]}],
    )
    cloud.create(
        "Firewall", "data", tags=["data"], inboundRules=[{"protocol": "tcp", "portRange": "5432", "sourceTags": ["edge"]}]
    )
    make("edge", ["edge"])
    make("data", ["data"])
    make("bare", [], publicNetworking=False)
    edge, data, bare = look(cloud.world)
    assert from_outside(edge, OFFICE) == {"udp": ((5060, 5060),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(edge, data) == {"tcp": ((5432, 5432),)}
    assert between(data, edge) == {}
    assert between(bare, data) == {}
    assert to_outside(data, ANYBODY) == {}  # no outbound rule, no way out
    assert to_outside(edge, ANYBODY) == {"tcp": ((1, 65535),)}
    assert to_outside(bare, ANYBODY) == {}
    assert between(edge, bare) == {"tcp": ((1, 65535),)}
