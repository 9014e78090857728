"""The rules of Hetzner Cloud, one by one."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import ALL, ANYBODY, KEY, OFFICE, CheckFailed, Driver, Made
from tests.simulator.hetzner.machines import POWER_CYCLE
from tests.simulator.hetzner.view import look
from tests.simulator.reach import between, from_outside, to_outside
from tests.simulator.world import Refused


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("hetzner")


def make_subnet(cloud: Driver) -> Made:
    network = cloud.create("Network", "net", name="net", ipRange="10.20.0.0/16")
    return cloud.create("NetworkSubnet", networkId=network.number, type="cloud", networkZone="eu-central", ipRange="10.20.0.0/24")


def make_server(cloud: Driver, name: str = "edge-1", **inputs: Any) -> Made:
    given = {"name": name, "serverType": "ccx13", "image": "debian-12", "location": "fsn1", **inputs}
    return cloud.create("Server", name, **given)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"colour": "red"}, "colour is no input"),
        ({"serverType": 3}, "must be a string"),
        ({"serverType": None}, "missing required property"),
        ({"datacenter": "fsn1-dc14"}, "cannot be given"),
        ({"deleteProtection": True}, "must have the same value"),
        ({"networks": [{"ip": "10.20.0.10"}]}, "needs networkId or subnetId"),
        ({"networks": [{"networkId": 1}, {"networkId": 1}]}, "once"),
        ({"networks": [{"subnetId": "1-10.20.0.0/24", "ip": "10.21.0.10"}]}, "not inside subnet"),
        ({"networks": [{"networkId": 1, "macAddress": "86:00:00:00:00:01"}]}, "cannot be given"),
        ({"publicNets": [{"ipv4": "1"}]}, "must be a integer"),
    ],
)
def test_server_inputs_refused_by_the_provider(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        make_server(cloud, **wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"serverType": "ccx14"}, "serverType: ccx14"),
        ({"location": "fra1"}, "location: fra1"),
        ({"image": "debian-9"}, "image debian-9"),
        ({"name": "edge_1"}, "host name"),
        ({"userData": "x" * 32769}, "32768"),
        ({"sshKeys": ["nobody"]}, "SSH key nobody"),
        ({"firewallIds": [7]}, "not found"),
        ({"networks": [{"networkId": 99}]}, "not found"),
        ({"publicNets": [{"ipv4Enabled": False, "ipv6Enabled": False}]}, "needs a network"),
        ({"labels": {"role": "a b"}}, "labels"),
    ],
)
def test_server_refused_by_the_cloud(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make_server(cloud, **wrong)
    assert cloud.world.all() == []


def test_server_name_is_held_once_and_free_again(cloud: Driver) -> None:
    server = make_server(cloud)
    with pytest.raises(Refused, match="name edge-1"):
        make_server(cloud)
    cloud.delete(server)
    make_server(cloud)


def test_private_addresses_come_from_the_subnet(cloud: Driver) -> None:
    subnet = make_subnet(cloud)
    one = make_server(cloud, "a", networks=[{"subnetId": subnet.id, "ip": "10.20.0.10"}])
    assert one.outputs["networks"][0]["ip"] == "10.20.0.10"
    two = make_server(cloud, "b", networks=[{"subnetId": subnet.id}])
    assert two.outputs["networks"][0]["ip"] == "10.20.0.2"
    assert two.inputs["networks"][0]["aliasIps"] == []
    for address in ("10.20.0.10", "10.20.0.1", "10.20.0.255"):
        with pytest.raises(Refused, match=address):
            make_server(cloud, "c", networks=[{"subnetId": subnet.id, "ip": address}])
    with pytest.raises(Refused, match="network zone"):
        make_server(cloud, "c", location="ash", networks=[{"subnetId": subnet.id}])
    with pytest.raises(Refused, match="in use"):
        cloud.delete(subnet)
    again = cloud.create("ServerNetwork", serverId=make_server(cloud, "d").number, subnetId=subnet.id, ip="10.20.0.20")
    assert again.outputs["ip"] == "10.20.0.20"
    with pytest.raises(Refused, match="place of server"):
        cloud.create("ServerNetwork", serverId=one.number, subnetId=subnet.id)


def test_primary_address_belongs_to_one_server_of_its_location(cloud: Driver) -> None:
    address = cloud.create("PrimaryIp", name="ip", type="ipv4", location="fsn1", autoDelete=False)
    nets = [{"ipv4": address.number, "ipv6Enabled": False}]
    with pytest.raises(Refused, match="of fsn1"):
        make_server(cloud, "far", location="nbg1", publicNets=nets)
    server = make_server(cloud, publicNets=nets)
    assert server.outputs["ipv4Address"] == address.outputs["ipAddress"]
    assert server.outputs["ipv6Address"] == ""
    with pytest.raises(Refused, match="primary IP"):
        make_server(cloud, "b", publicNets=nets)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(address)
    cloud.delete(server)
    cloud.delete(address)


def test_address_says_whose_it_is(cloud: Driver) -> None:
    address = cloud.create("PrimaryIp", name="ip", type="ipv4", location="fsn1")
    assert (address.outputs["assigneeType"], address.outputs.get("assigneeId")) == ("unassigned", None)
    server = make_server(cloud, publicNets=[{"ipv4": address.number, "ipv6Enabled": False}])
    found = cloud.read(address)
    assert found and (found[1]["assigneeType"], found[1]["assigneeId"]) == ("server", server.number)
    assert cloud.diff(address).changed == []


@pytest.mark.parametrize(
    ("short", "inputs"),
    [
        ("Server", {"serverType": "ccx13", "image": "debian-12", "rebuildProtection": True}),
        ("Network", {"ipRange": "10.0.0.0/16"}),
        ("Volume", {"size": 10, "location": "fsn1"}),
        ("PrimaryIp", {"type": "ipv4", "location": "fsn1"}),
        ("Zone", {"mode": "primary", "name": "example.com"}),
    ],
)
def test_nothing_protected_is_deleted_before_an_update_lifts_it(cloud: Driver, short: str, inputs: dict[str, Any]) -> None:
    made = cloud.create(short, **{"name": "one", **inputs}, deleteProtection=True)
    with pytest.raises(Refused, match="deletion is protected"):
        cloud.delete(made)
    assert cloud.read(made) is not None
    lifted = {"deleteProtection": False, **({"rebuildProtection": False} if short == "Server" else {})}
    cloud.delete(cloud.update(made, **lifted))
    assert cloud.read(made) is None


def test_a_deletion_that_fails_leaves_a_server_shut_down(cloud: Driver) -> None:
    server = make_server(cloud, shutdownBeforeDeletion=True)
    cloud.break_(kind="error", operation="delete", type=":Server")
    with pytest.raises(Refused, match="server error"):
        cloud.delete(server)
    found = cloud.read(server)
    assert found and found[1]["status"] == "off"
    assert cloud.update(server, labels={"a": "b"}).outputs["status"] == "off", "nothing starts it"


@pytest.mark.parametrize("protected", [True, False])
def test_an_imported_server_is_taken_apart(cloud: Driver, protected: bool) -> None:
    """An import tells nothing of addresses, so that they count as changed: the server goes off and loses its own."""
    address = cloud.create("PrimaryIp", name="ip", type="ipv4", location="fsn1", deleteProtection=protected)
    nets = [{"ipv4": address.number, "ipv6Enabled": False}]
    server = make_server(cloud, publicNets=nets)
    bare = Made(server.type, server.name, server.id, {}, {}, server.given)
    imported = cloud.read(bare)
    assert imported and not {"publicNets", "networks", "userData"} & (imported[0].keys() | imported[1].keys())
    bare = Made(server.type, server.name, server.id, *imported, server.given)
    assert "publicNets" in cloud.diff(bare).changed
    with pytest.raises(Refused, match="deletion is protected" if protected else "not found"):
        cloud.update(bare)
    assert [thing.inputs["server"] for thing in cloud.world.all(POWER_CYCLE)] == [server.id]
    assert (cloud.read(address) is not None) is protected
    found = cloud.read(server)
    assert found and found[1]["ipv4Address"] == "", "and nobody reaches it"
    if protected:
        assert cloud.update(bare).outputs["ipv4Address"] == address.outputs["ipAddress"], "the next try assigns it"


def test_a_server_that_was_told_of_its_addresses_keeps_them(cloud: Driver) -> None:
    address = cloud.create("PrimaryIp", name="ip", type="ipv4", location="fsn1")
    server = make_server(cloud, publicNets=[{"ipv4": address.number, "ipv6Enabled": False}])
    cloud.update(server, labels={"a": "b"})
    assert cloud.world.all(POWER_CYCLE) == []


def test_address_with_auto_delete_goes_with_its_server(cloud: Driver) -> None:
    address = cloud.create("PrimaryIp", name="ip", type="ipv4", location="fsn1", autoDelete=True)
    cloud.delete(make_server(cloud, publicNets=[{"ipv4": address.number}]))
    assert cloud.read(address) is None


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"type": "ipv4", "datacenter": "fsn1-dc14", "location": "fsn1"}, "cannot be given"),
        ({"type": "ipv4"}, "exactly one of"),
        ({"type": "ipv4", "location": "fsn1", "assigneeId": 1}, "exactly one of"),
        ({"type": "ipv4", "assigneeId": 1}, "needs assigneeType"),
    ],
)
def test_primary_address_inputs(cloud: Driver, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        cloud.create("PrimaryIp", **inputs)


def test_what_replaces_a_server_and_what_does_not(cloud: Driver) -> None:
    server = make_server(cloud, userData="one")
    assert server.outputs["userData"] != "one"
    assert cloud.diff(server, userData="two").replaces == ["userData"]
    assert cloud.diff(server, image="debian-13").replaces == ["image"]
    assert cloud.diff(server, sshKeys=["a"]).replaces == ["sshKeys"]
    assert cloud.diff(server, location="nbg1").replaces == ["location"]
    assert cloud.diff(server).changed == []
    bigger = cloud.update(server, serverType="ccx23")
    assert bigger.outputs["primaryDiskSize"] == 160
    assert bigger.outputs["ipv4Address"] == server.outputs["ipv4Address"]
    with pytest.raises(Refused, match="does not fit"):
        cloud.update(bigger, serverType="ccx13")
    kept = cloud.update(server, serverType="ccx23", keepDisk=True)
    assert cloud.update(kept, serverType="ccx23", name="other").id == server.id


def test_placement_group_is_not_left_by_a_running_server(cloud: Driver) -> None:
    group = cloud.create("PlacementGroup", "group", name="group", type="spread")
    server = make_server(cloud)
    server = cloud.update(server, placementGroupId=group.number)
    with pytest.raises(Refused, match="must be stopped"):
        cloud.update(server, placementGroupId=None)
    for number in range(9):
        make_server(cloud, f"n{number}", placementGroupId=group.number)
    with pytest.raises(Refused, match="10 servers"):
        make_server(cloud, "one-more", placementGroupId=group.number)
    with pytest.raises(CheckFailed, match="not one of 'spread'"):
        cloud.create("PlacementGroup", type="cluster")


def test_volume_keeps_its_path_grows_and_is_attached_once(cloud: Driver) -> None:
    volume = cloud.create("Volume", name="v", size=10, location="fsn1", format="ext4")
    assert volume.outputs["linuxDevice"] == f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}"
    server = make_server(cloud)
    cloud.create("VolumeAttachment", volumeId=volume.number, serverId=server.number)
    with pytest.raises(Refused, match="already exists"):
        cloud.create("VolumeAttachment", volumeId=volume.number, serverId=make_server(cloud, "b").number)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(volume)
    ignored = cloud.update(volume, format="xfs", size=20)
    found = cloud.read(ignored)
    assert found is not None
    assert (found[0]["format"], found[0]["size"]) == ("ext4", 20)
    with pytest.raises(Refused, match="shrink"):
        cloud.update(ignored, size=10)
    with pytest.raises(Refused, match="10 to 10240"):
        cloud.create("Volume", name="w", size=9, location="fsn1")
    with pytest.raises(Refused, match="location or a server"):
        cloud.create("Volume", name="w", size=10)
    far = cloud.create("Volume", name="far", size=10, location="nbg1")
    with pytest.raises(Refused, match="volume in nbg1"):
        cloud.create("VolumeAttachment", volumeId=far.number, serverId=server.number)


RULE = {"direction": "in", "protocol": "tcp", "port": "443", "sourceIps": ["0.0.0.0/0"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"protocol": "sctp"}, "not one of"),
        ({"sourceIps": ["10.20.0.1/16"]}, "host bits"),
        ({"direction": "both"}, "not one of"),
    ],
)
def test_firewall_rules_refused_by_the_provider(cloud: Driver, change: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        cloud.create("Firewall", rules=[{**RULE, **change}])


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{**RULE, "port": "20000-10000"}], "port"),
        ([{**RULE, "port": "70000"}], "port"),
        ([{**RULE, "port": None}], "port"),
        ([{**RULE, "protocol": "icmp"}], "not supported"),
        ([{**RULE, "sourceIps": []}], "needs sourceIps"),
        ([{**RULE, "direction": "out"}], "needs destinationIps"),
        ([{**RULE, "sourceIps": [f"10.0.{n}.0/24" for n in range(101)]}], "at most 100"),
        ([{**RULE, "port": str(n)} for n in range(1, 52)], "at most 50"),
    ],
)
def test_firewall_rules_refused_by_the_cloud(cloud: Driver, rules: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(Refused, match=words):
        cloud.create("Firewall", rules=rules)


def test_firewall_in_use_stays(cloud: Driver) -> None:
    firewall = cloud.create("Firewall", rules=[RULE, {**RULE, "sourceIps": ["198.51.100.1"]}])
    server = make_server(cloud, firewallIds=[firewall.number])
    with pytest.raises(Refused, match="in use"):
        cloud.delete(firewall)
    cloud.update(firewall, rules=[])
    cloud.delete(server)
    cloud.delete(firewall)


def test_ssh_key_is_a_key_and_stands_once(cloud: Driver) -> None:
    key = cloud.create("SshKey", name="k", publicKey=KEY)
    assert len(key.outputs["fingerprint"]) == 47
    make_server(cloud, sshKeys=[key.id])
    make_server(cloud, "b", sshKeys=["k"])
    with pytest.raises(Refused, match="SSH key"):
        cloud.create("SshKey", name="other", publicKey=KEY)
    with pytest.raises(Refused, match="no OpenSSH"):
        cloud.create("SshKey", name="third", publicKey="ssh-ed25519 AAAA")


def test_names_are_made_where_none_is_given(cloud: Driver) -> None:
    made = cloud.create("Network", "net", ipRange="10.0.0.0/16")
    assert made.inputs["name"].startswith("net-")
    assert len(made.inputs["name"]) == len("net-1234567")
    assert cloud.diff(made).changed == []
    with pytest.raises(Refused, match="not private"):
        cloud.create("Network", ipRange="198.51.0.0/16")
    with pytest.raises(CheckFailed, match="CIDR"):
        cloud.create("Network", ipRange="10.0.0.0")


def test_token_has_64_characters(cloud: Driver) -> None:
    assert cloud.provider.configure
    with pytest.raises(Exception, match="64 characters"):
        cloud.provider.configure({"token": "short"})


def test_subnets_stay_inside_and_apart(cloud: Driver) -> None:
    subnet = make_subnet(cloud)
    assert subnet.outputs["gateway"] == "10.20.0.1"
    inputs = {"networkId": subnet.inputs["networkId"], "type": "cloud", "networkZone": "eu-central"}
    with pytest.raises(Refused, match="overlaps"):
        cloud.create("NetworkSubnet", **inputs, ipRange="10.20.0.128/25")
    with pytest.raises(Refused, match="not inside"):
        cloud.create("NetworkSubnet", **inputs, ipRange="10.21.0.0/24")
    with pytest.raises(Refused, match="networkZone"):
        cloud.create("NetworkSubnet", **{**inputs, "networkZone": "mars"}, ipRange="10.20.1.0/24")
    with pytest.raises(CheckFailed, match="must be a integer"):
        cloud.create("NetworkSubnet", **{**inputs, "networkId": "7"}, ipRange="10.20.1.0/24")


def test_who_reaches_whom(cloud: Driver) -> None:
    network = cloud.create("Network", "net", ipRange="10.20.0.0/16")
    subnet = cloud.create(
        "NetworkSubnet", networkId=network.number, type="cloud", networkZone="eu-central", ipRange="10.20.0.0/24"
    )
    rule = {"direction": "in", "protocol": "tcp", "port": "443", "sourceIps": ["203.0.113.0/24"]}
    firewall = cloud.create("Firewall", rules=[rule])
    base = {"serverType": "ccx13", "image": "debian-12", "location": "fsn1"}
    inside = {"networks": [{"subnetId": subnet.id}]}
    cloud.create("Server", "closed", name="closed", **base, **inside, firewallIds=[firewall.number])
    cloud.create("Server", "open", name="open", **base, **inside)
    nothing = cloud.create(
        "Firewall", "out", rules=[{**rule, "direction": "out", "sourceIps": None, "destinationIps": ["203.0.113.0/24"]}]
    )
    cloud.create("Server", "shut", name="shut", **base, firewallIds=[nothing.number])
    closed, opened, shut = look(cloud.world)
    assert from_outside(closed, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(closed, ANYBODY) == {}
    assert to_outside(closed, ANYBODY) == ALL
    assert from_outside(opened, ANYBODY) == ALL
    assert between(opened, closed) == ALL  # the private network is not filtered
    assert from_outside(shut, OFFICE) == {}
    assert to_outside(shut, OFFICE) == {"tcp": ((443, 443),)}
    assert to_outside(shut, ANYBODY) == {}
    assert between(opened, shut) == {}


@pytest.mark.parametrize(("rules", "networks", "told"), [(5, 100, ""), (6, 84, "504 effective rules"), (2, 101, "at most 100")])
def test_a_firewall_counts_rules_by_their_networks(cloud: Driver, rules: int, networks: int, told: str) -> None:
    def make() -> Made:
        sources = [f"62.0.{n}.0/24" for n in range(networks)]
        each = [{"direction": "in", "protocol": "tcp", "port": str(80 + n), "sourceIps": sources} for n in range(rules)]
        return cloud.create("Firewall", name="f", rules=each)

    if told:
        with pytest.raises(Refused, match=told):
            make()
    else:
        make()


def test_a_name_is_for_an_address_of_its_own(cloud: Driver) -> None:
    address = cloud.create("PrimaryIp", name="a", type="ipv4", location="fsn1", autoDelete=False)
    named = {"primaryIpId": address.number, "dnsPtr": "voice.example.com"}
    with pytest.raises(Refused, match="is not of primary IP"):
        cloud.create("Rdns", **named, ipAddress="198.18.9.9")
    made = cloud.create("Rdns", **named, ipAddress=address.outputs["ipAddress"])
    assert made.id == f"p-{address.id}-{address.outputs['ipAddress']}"
    assert cloud.diff(made, dnsPtr="sip.example.com").replaces == []
