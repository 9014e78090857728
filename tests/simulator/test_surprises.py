"""The surprises of `facts/schemas/README.md`, on every cloud: what replaces against expectation, what is ignored or defaulted."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.changes import find_changes
from tests.simulator.conftest import CheckFailed, Driver
from tests.simulator.schema import Schema, load_schema
from tests.simulator.simulators import PACKAGES
from tests.simulator.world import Refused

MakeDriver = Callable[[str], Driver]
PLAIN = {"string": ("a", "b"), "integer": (1, 2), "number": (1, 2), "boolean": (True, False), "map": ({}, {"a": "b"})}


def change_each(schema: Schema, type: str) -> set[str]:
    """The inputs of which a change from one value to another needs a new resource."""
    replacing = set()
    for name, spec in schema.inputs(type).items():
        kind = spec["type"]
        values = PLAIN.get(kind.partition("<")[0].partition("|")[0]) or (
            (None, {}) if kind.startswith("ref:") else (["a"], ["b"]) if kind == "array<string>" else (None, [{}])
        )
        old, new = ({name: value} for value in values)
        if find_changes(schema, type, old, new).replaces:
            replacing.add(name)
    return replacing


@pytest.mark.parametrize(
    ("cloud", "short", "replacing", "staying"),
    [
        ("hetzner", "Server", "userData image location sshKeys", "serverType publicNets networks firewallIds name labels"),
        ("hetzner", "PrimaryIp", "type location", "name labels autoDelete"),
        ("digitalocean", "Volume", "name description initialFilesystemType initialFilesystemLabel region", "size tags"),
        ("digitalocean", "Droplet", "userData image sshKeys region vpcUuid monitoring", "size name tags"),
        ("aws", "SecurityGroup", "description name vpcId", "tags"),
        ("aws", "Vpc", "cidrBlock instanceTenancy", "enableDnsHostnames tags"),
        ("aws", "NatGateway", "allocationId subnetId privateIp connectivityType availabilityMode", "tags"),
        ("aws", "Eip", "address domain", "instance networkInterface tags"),
        ("aws", "ebs/Volume", "availabilityZone encrypted kmsKeyId snapshotId", "type size iops throughput"),
        ("aws", "Instance", "ami keyName placementGroup subnetId privateIp", "userData userDataBase64 metadataOptions tags"),
        ("gcp", "Disk", "type name zone", "labels"),
        ("gcp", "Instance", "metadataStartupScript name hostname zone", "metadata machineType serviceAccount tags labels"),
        ("gcp", "Firewall", "name direction project", "priority sourceRanges targetTags"),
        ("gcp", "ResourcePolicy", "region project", "name groupPlacementPolicy"),
    ],
)
def test_what_replaces(cloud: str, short: str, replacing: str, staying: str, make_driver: MakeDriver) -> None:
    found = change_each(load_schema(PACKAGES[cloud]), make_driver(cloud).find_type(short))
    assert {*replacing.split()} <= found
    assert not {*staying.split()} & found


@pytest.mark.parametrize(
    ("cloud", "short", "but"),
    [
        ("aws", "EipAssociation", set()),
        ("digitalocean", "ReservedIpAssignment", set()),
        ("digitalocean", "VolumeAttachment", set()),
        ("gcp", "Address", {"labels", "deletionPolicy"}),
    ],
)
def test_everything_replaces(cloud: str, short: str, but: set[str], make_driver: MakeDriver) -> None:
    schema, type = load_schema(PACKAGES[cloud]), make_driver(cloud).find_type(short)
    assert change_each(schema, type) == {*schema.inputs(type)} - but


def test_azure_replaces_by_the_path_and_few_fields_only(make_driver: MakeDriver) -> None:
    more = {
        "PublicIPAddress": {"location", "publicIPAddressVersion", "publicIPPrefix", "sku"},
        "ResourceGroup": {"location"},
        "VirtualNetwork": {"location"},
        "Disk": {"location"},
        "VirtualMachine": {"location"},
        "AvailabilitySet": {"location"},
        "dns:Zone": {"location"},
        "dns:RecordSet": {"recordType"},
        "VirtualMachineScaleSet": {"location"},
        "consumption:Budget": {"scope"},
    }
    schema, driver = load_schema("azure-native"), make_driver("azure")
    for type, handler in driver.provider.handlers.items():
        path = {
            name
            for name in schema.inputs(type)
            if name == "resourceGroupName"
            or name == getattr(handler, "name_input", "")
            or f"{{{name}}}" in getattr(handler, "path", "")
        }
        listed = next((names for short, names in more.items() if type.endswith(f":{short}")), set())
        assert change_each(schema, type) == path | listed, type


def test_another_region_replaces_whatever_has_one(make_driver: MakeDriver) -> None:
    schema = load_schema("aws")
    regional = [type for type in schema.resources if "region" in schema.inputs(type)]
    assert len(regional) > 15
    for type in regional:
        assert find_changes(schema, type, {"region": "us-east-1"}, {"region": "us-east-2"}).replaces == ["region"], type
        assert find_changes(schema, type, {"region": "us-east-1"}, {}).changed == [], type


@pytest.mark.parametrize(
    ("cloud", "short", "input", "given", "shape"),
    [
        ("hetzner", "Zone", "name", {"mode": "primary"}, r"x-[0-9a-f]{7}"),
        ("hetzner", "ZoneRrset", "name", {"zone": "z", "type": "A", "records": [{"value": "192.0.2.1"}]}, r"x-[0-9a-f]{7}"),
        ("digitalocean", "DnsRecord", "name", {"domain": "d", "type": "A", "value": "192.0.2.1"}, r"x-[0-9a-f]{7}"),
        ("aws", "route53/Zone", "name", {}, r"x-[0-9a-f]{7}"),
        ("azure", "dns:Zone", "zoneName", {"resourceGroupName": "g", "location": "Global"}, r"x[0-9a-f]{8}"),
        ("azure", "VirtualMachine", "vmName", {"resourceGroupName": "g"}, r"x[0-9a-f]{8}"),
        ("azure", "dns:RecordSet", "relativeRecordSetName", {"resourceGroupName": "g", "zoneName": "z", "recordType": "A"}, "x"),
        ("azure", "Subnet", "subnetName", {"resourceGroupName": "g", "virtualNetworkName": "n"}, "x"),
    ],
)
def test_names_that_are_not_given_are_made_up(
    cloud: str,
    short: str,
    input: str,
    given: dict[str, Any],
    shape: str,
    make_driver: MakeDriver,
) -> None:
    driver = make_driver(cloud)
    module, _, name = short.rpartition(":")
    type = next(t for t in driver.provider.handlers if t.endswith(f"{module}:{name}")) if module else driver.find_type(short)
    handler = driver.provider.handlers[type]
    inputs, failures = handler.check(driver.request(type, "x"), None, given)
    assert failures == []
    assert re.fullmatch(shape, inputs[input])


def test_ids_have_the_clouds_shapes(make_driver: MakeDriver) -> None:
    hetzner, ocean = make_driver("hetzner"), make_driver("digitalocean")
    assert hetzner.create("Network", name="n", ipRange="10.0.0.0/16").id.isdecimal()
    vpc = ocean.create("Vpc", name="n", region="fra1", ipRange="10.20.0.0/16")
    volume = ocean.create("Volume", name="v", region="fra1", size=1)
    assert [len(made.id.split("-")) for made in (vpc, volume)] == [5, 5]
    assert ocean.create("Domain", name="example.com").id == "example.com"
    with pytest.raises(CheckFailed, match="must be a integer"):
        ocean.create("VolumeAttachment", dropletId="7", volumeId=volume.id)
    with pytest.raises(CheckFailed, match="must be a integer"):
        hetzner.create("VolumeAttachment", volumeId="7", serverId=1)


def test_hetzner_addresses_and_assignments(make_driver: MakeDriver) -> None:
    cloud = make_driver("hetzner")
    rule = {"direction": "in", "protocol": "tcp", "port": "443"}
    firewall = cloud.create("Firewall", rules=[{**rule, "sourceIps": ["198.51.100.1", "2001:db8::1", "10.0.0.0/8"]}])
    assert firewall.outputs["rules"][0]["sourceIps"] == ["198.51.100.1/32", "2001:db8::1/128", "10.0.0.0/8"]
    assert cloud.diff(firewall).changed == []
    assert cloud.diff(firewall, rules=[{**rule, "sourceIps": ["198.51.100.1/32", "2001:db8::1", "10.0.0.0/8"]}]).changed == []
    assert cloud.diff(firewall, rules=[{**rule, "sourceIps": ["198.51.100.2", "2001:db8::1", "10.0.0.0/8"]}]).changed == ["rules"]
    cloud.check("PrimaryIp", type="ipv4", location="fsn1", assigneeType="server")  # a warning only
    server = cloud.create("Server", name="edge", serverType="ccx13", image="debian-12", location="fsn1")
    changed = cloud.update(server, publicNets=[{"ipv4Enabled": True, "ipv6Enabled": False}])
    assert changed.outputs["ipv6Address"] == "" != server.outputs["ipv6Address"]


def test_digitalocean_ignores_and_resizes(make_driver: MakeDriver) -> None:
    cloud = make_driver("digitalocean")
    given = {"image": "debian-12-x64", "size": "c-2", "region": "fra1"}
    droplet = cloud.create("Droplet", name="a", **given, ipv6=True, ipv6Address="2001:db8::7")
    assert droplet.outputs["ipv6Address"] not in ("", "2001:db8::7")
    assert droplet.inputs["resizeDisk"] is True
    kept = cloud.create("Droplet", "b", name="b", **given, resizeDisk=False)
    bigger = cloud.update(kept, size="c-4")
    assert bigger.outputs["disk"] == kept.outputs["disk"]
    assert cloud.update(bigger, size="c-2").outputs["disk"] == kept.outputs["disk"]
    for text in ("\x1f\u008b\b", "#!/bin/sh\n\x00"):
        with pytest.raises(Refused, match="plain text"):
            cloud.create("Droplet", "c", name="c", **given, userData=text)
    cloud.create("Droplet", "d", name="d", **given, userData="#!/bin/sh\n\techo\r\n")
    record = {"domain": "example.com", "value": "x", "name": "@"}
    for more in ({"type": "CAA", "flags": 0}, {"type": "CAA", "tag": "issue"}, {"type": "MX"}):
        with pytest.raises(CheckFailed, match="required when"):
            cloud.check("DnsRecord", **record, **more)


def test_aws_defaults_and_limits(make_driver: MakeDriver) -> None:
    cloud = make_driver("aws")
    assert cloud.check("SecurityGroup", vpcId="v")["description"] == "Managed by Pulumi"
    with pytest.raises(CheckFailed, match="256 characters"):
        cloud.check("SecurityGroup", description="x" * 256)
    rule = {"protocol": "tcp", "fromPort": 1, "toPort": 1, "cidrBlocks": ["0.0.0.0/0"]}
    for side in ("ingress", "egress"):
        with pytest.raises(CheckFailed, match="does not match"):
            cloud.check("SecurityGroup", **{side: [{**rule, "description": "a – b"}]})
    rule = {"securityGroupId": "sg", "ipProtocol": "tcp", "fromPort": 1, "toPort": 65535}
    for kind in ("SecurityGroupIngressRule", "SecurityGroupEgressRule"):
        cloud.check(kind, **{**rule, "fromPort": -1, "cidrIpv4": "0.0.0.0/0"})
        for wrong in ({"fromPort": -2}, {"toPort": 65536}):
            with pytest.raises(CheckFailed, match="is not within"):
                cloud.check(kind, **{**rule, **wrong, "cidrIpv4": "0.0.0.0/0"})
        kinds = {"cidrIpv4": "0.0.0.0/0", "cidrIpv6": "::/0", "prefixListId": "pl-1", "referencedSecurityGroupId": "sg-1"}
        schema, type = load_schema("aws"), cloud.find_type(kind)
        for name, value in kinds.items():
            before = {other: text for other, text in kinds.items() if other != name}
            assert all(find_changes(schema, type, {other: text}, {name: value}).replaces for other, text in before.items())
    place = {"availabilityZone": "us-east-1a", "size": 10}
    for kind, more, words in (
        ("io1", {}, "iops: required"),
        ("io2", {}, "iops: required"),
        ("gp2", {"iops": 3000}, "iops: not allowed"),
        ("st1", {"iops": 3000}, "iops: not allowed"),
        ("sc1", {"iops": 3000}, "iops: not allowed"),
        ("standard", {"iops": 3000}, "iops: not allowed"),
        ("io2", {"iops": 100, "throughput": 200}, "throughput: not allowed"),
        ("gp3", {"throughput": 124}, "throughput: 124"),
        ("gp3", {"throughput": 2001}, "throughput: 2001"),
    ):
        with pytest.raises(CheckFailed, match=words):
            cloud.check("ebs/Volume", **place, type=kind, **more)
    vpc = cloud.create("Vpc", cidrBlock="10.0.0.0/16", instanceTenancy="dedicated")
    assert cloud.diff(vpc, instanceTenancy="default").replaces == []


def test_google_defaults_and_names(make_driver: MakeDriver) -> None:
    cloud = make_driver("gcp")
    schema = load_schema("gcp")
    with_policy = [type for type in schema.resources if "deletionPolicy" in schema.inputs(type)]
    without = {"gcp:projects/iAMMember:IAMMember", "gcp:storage/bucketIAMMember:BucketIAMMember"}
    assert schema.resources.keys() - with_policy == without, "as in the SDK"
    for type in with_policy:
        assert schema.add_defaults(type, {}, None, "x")["deletionPolicy"] == "DELETE", type
    assert cloud.check("Subnetwork", "Net", network="n", ipCidrRange="10.0.0.0/16")["name"].startswith("net-")
    assert cloud.check("Router", "Nat", network="n")["name"].startswith("nat-")
    nat = {"router": "r", "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES"}
    assert cloud.check("RouterNat", "Nat", **nat)["name"].startswith("nat-")
    boot = {"initializeParams": {"image": "debian-cloud/debian-12"}}
    machine = {"machineType": "c2d-highcpu-2", "zone": "europe-west3-a", "bootDisk": boot}
    for short, inputs in (("Address", {}), ("Instance", {**machine, "networkInterfaces": [{"network": "n"}]})):
        with pytest.raises(CheckFailed, match="does not match"):
            cloud.check(short, "Edge", **inputs)
    for name in ("a" * 64, "1a", "a-"):
        with pytest.raises(CheckFailed, match="does not match"):
            cloud.check("Address", name=name)
    for wrong in ("a", "n" * 64):
        with pytest.raises(CheckFailed, match="allowed 2 to 63"):
            cloud.check("RouterNat", name=wrong, **nat)
    with pytest.raises(CheckFailed, match="cannot be given"):
        cloud.check("Instance", **machine, name="a", networkInterfaces=[{"network": "n", "macAddress": "00:00:00:00:00:00"}])
    with pytest.raises(CheckFailed, match="conflicts"):
        cloud.check("Firewall", network="n", allows=[{"protocol": "tcp"}], sourceTags=["a"], sourceServiceAccounts=["b"])
    with pytest.raises(CheckFailed, match="does not match"):
        cloud.check("RecordSet", name="sip.example.com", managedZone="z", type="A")
    network = cloud.create("Network", name="net", autoCreateSubnetworks=False)
    cloud.create("Subnetwork", name="net", network=network.id, ipCidrRange="10.20.0.0/16")
    instance = cloud.create("Instance", **machine, name="edge", networkInterfaces=[{"subnetwork": "net"}])
    account = {"serviceAccount": {"email": "a@b", "scopes": ["cloud-platform"]}}
    with pytest.raises(Refused, match="allow_stopping_for_update"):
        cloud.update(instance, **account)
    cloud.update(instance, **account, allowStoppingForUpdate=True)


def test_azure_defaults_and_what_the_api_checks(make_driver: MakeDriver) -> None:
    cloud = make_driver("azure")
    inside = {"resourceGroupName": "g"}
    cloud.create("ResourceGroup", **inside, location="northeurope")
    assert cloud.provider.configure
    cloud.provider.configure({"subscriptionId": "00000000-0000-0000-0000-000000000001"})
    group = cloud.create("NetworkSecurityGroup", **inside, id="an echo of the answer")
    assert group.outputs["location"] == "northeurope"
    assert group.id.startswith("/subscriptions/")
    placed = {**inside, "location": "northeurope"}
    for made in (
        cloud.create("NetworkSecurityGroup", "b", **placed),
        cloud.create("NatGateway", **placed, sku={"name": "Standard"}),
    ):
        assert cloud.diff(made, location="North Europe").changed == []
        with pytest.raises(Refused, match="PropertyChangeNotAllowed"):
            cloud.update(made, location="westeurope")
    place = {"name": "p", "subnet": {"id": "s", "etag": "x"}}
    for short, wrong in (
        ("NetworkInterface", {"ipConfigurations": [place]}),
        ("VirtualNetwork", {"subnets": [{"provisioningState": "Succeeded"}]}),
        ("NetworkInterface", {"networkSecurityGroup": {"id": "g", "defaultSecurityRules": []}}),
    ):
        with pytest.raises(CheckFailed, match="cannot be given"):
            cloud.check(short, **inside, **wrong)
    cloud.check("VirtualMachine", **inside)
    with pytest.raises(Refused, match="vmSize"):
        cloud.create("VirtualMachine", **inside)
    with pytest.raises(CheckFailed, match="creationData: missing"):
        cloud.check("Disk", **inside, diskSizeGB=10)


def test_azure_compares_some_lists_by_key(make_driver: MakeDriver) -> None:
    schema, type = load_schema("azure-native"), make_driver("azure").find_type("VirtualMachine")
    disks = [{"lun": lun, "createOption": "Attach"} for lun in (0, 1)]
    moved = [disks[0], {**disks[1], "lun": 2}]
    old, new, other = ({"storageProfile": {"dataDisks": each}} for each in (disks, disks[::-1], moved))
    assert find_changes(schema, type, old, new).changed == []
    assert find_changes(schema, type, old, other).changed == ["storageProfile"]


def test_records_are_checked_everywhere(make_driver: MakeDriver) -> None:
    group = {"resourceGroupName": "g"}
    zones: dict[str, tuple[str, dict[str, Any]]] = {
        "aws": ("Zone", {"name": "example.com"}),
        "gcp": ("ManagedZone", {"name": "z", "dnsName": "example.com."}),
        "hetzner": ("Zone", {"name": "example.com", "mode": "primary"}),
        "digitalocean": ("Domain", {"name": "example.com"}),
        "azure": ("Zone", {**group, "zoneName": "example.com", "location": "Global"}),
    }
    for cloud, (short, given) in zones.items():
        driver = make_driver(cloud)
        if cloud == "azure":
            driver.create("ResourceGroup", **group)
        zone = driver.create(short, **given)
        for type, value in (("A", "198.51.100"), ("SRV", "1 1 5060")):
            records: dict[str, tuple[str, dict[str, Any]]] = {
                "aws": ("Record", {"zoneId": zone.id, "name": "x", "ttl": 60, "records": [value]}),
                "gcp": ("RecordSet", {"managedZone": "z", "name": "x.example.com.", "rrdatas": [value]}),
                "hetzner": ("ZoneRrset", {"zone": zone.id, "name": "x", "records": [{"value": value}]}),
                "digitalocean": ("DnsRecord", {"domain": zone.id, "name": "x", "value": value, "priority": 1, "weight": 1}),
                "azure": (
                    "RecordSet",
                    {
                        **group,
                        "zoneName": "example.com",
                        "relativeRecordSetName": "x",
                        **(
                            {"aRecords": [{"ipv4Address": value}]}
                            if type == "A"
                            else {"srvRecords": [{"priority": 1, "weight": 1, "port": 5060, "target": "no-dot"}]}
                        ),
                    },
                ),
            }
            record, inputs = records[cloud]
            with pytest.raises(Refused, match=f"{type}: "):
                driver.create(record, **inputs, **{"recordType" if cloud == "azure" else "type": type})
