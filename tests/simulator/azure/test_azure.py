"""The rules of Azure, one by one."""

import base64
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.simulator.azure.view import look
from tests.simulator.conftest import ALL, ANYBODY, KEY, OFFICE, CheckFailed, Driver, Made
from tests.simulator.reach import between, from_outside, to_outside
from tests.simulator.world import Refused

IN = {"resourceGroupName": "test"}


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("azure")


class Net:
    """A group with a network, a subnet and an interface."""

    def __init__(self, cloud: Driver) -> None:
        self.group = cloud.create("ResourceGroup", resourceGroupName="test")
        self.network = cloud.create(
            "VirtualNetwork", **IN, virtualNetworkName="net", addressSpace={"addressPrefixes": ["10.20.0.0/16"]}
        )
        self.subnet = cloud.create("Subnet", **IN, virtualNetworkName="net", subnetName="subnet", addressPrefix="10.20.0.0/20")
        self.interface = make_interface(cloud, self.subnet, "edge-1", "10.20.0.10")


def make_interface(cloud: Driver, subnet: Made, name: str, private: str | None, **more: Any) -> Made:
    place = {"name": "primary", "subnet": {"id": subnet.id}, **more}
    if private:
        place |= {"privateIPAddress": private, "privateIPAllocationMethod": "Static"}
    return cloud.create("NetworkInterface", name, **IN, networkInterfaceName=name, ipConfigurations=[place])


def describe_machine(interface: Made, name: str = "edge-1") -> dict[str, Any]:
    return {
        **IN,
        "vmName": name,
        "zones": ["1"],
        "hardwareProfile": {"vmSize": "Standard_F2als_v6"},
        "osProfile": {
            "computerName": name,
            "adminUsername": "debian",
            "customData": "eA==",
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {"publicKeys": [{"path": "/home/debian/.ssh/authorized_keys", "keyData": KEY}]},
            },
        },
        "storageProfile": {
            "imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"},
            "osDisk": {"createOption": "FromImage", "diskSizeGB": 30},
        },
        "networkProfile": {"networkInterfaces": [{"id": interface.id, "primary": True}]},
    }


def put(inputs: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The inputs with another value at a path."""
    changed: Any = deepcopy(inputs)
    *way, last = path.split(".")
    place = changed
    for part in way:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value
    return dict(changed)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("colour", "red", "no input"),
        ("zones", "1", "must be a list"),
        ("osProfile.user", "x", "no input"),
        ("storageProfile.osDisk.createOption", None, "missing required"),
        ("storageProfile.dataDisks", [{"createOption": "Attach"}], "missing required"),
    ],
)
def test_machine_inputs_refused_by_the_provider(cloud: Driver, path: str, value: Any, words: str) -> None:
    with pytest.raises(CheckFailed, match=words):
        cloud.create("VirtualMachine", **put(describe_machine(Net(cloud).interface), path, value))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("hardwareProfile.vmSize", "Standard_F3als_v6", "vmSize"),
        ("hardwareProfile", None, "vmSize"),
        ("osProfile.adminUsername", "root", "not allowed"),
        ("osProfile.adminUsername", None, "not allowed"),
        ("osProfile.computerName", "edge_1", "computerName"),
        ("osProfile.customData", "plain text!", "Base64"),
        ("osProfile.customData", "über", "Base64"),
        ("osProfile.customData", base64.b64encode(b"x" * 65536).decode(), "65536 bytes"),
        ("osProfile.linuxConfiguration.ssh", None, "needs a public key"),
        ("osProfile.linuxConfiguration.ssh.publicKeys.0.path", "/root/.ssh/authorized_keys", "/home/debian"),
        ("osProfile.linuxConfiguration.ssh.publicKeys.0.keyData", "x", "no OpenSSH"),
        ("storageProfile.imageReference.sku", "12-gen3", "PlatformImageNotFound"),
        ("storageProfile.osDisk.diskSizeGB", 20, "at least 30"),
        ("storageProfile.osDisk.diskSizeGB", 4096, "at most 4095"),
        ("storageProfile.dataDisks", [{"createOption": "Attach", "lun": 64}], "0 to 63"),
        ("storageProfile.osDisk.caching", "Some", "not one of"),
        ("networkProfile", None, "one primary"),
        ("networkProfile.networkInterfaces.0.id", "/none", "not found"),
        ("zones", ["1", "2"], "one zone"),
        ("availabilitySet", {"id": "x"}, "availability set"),
        ("location", "northeurope", "is in westeurope"),
    ],
)
def test_machine_refused_by_the_cloud(cloud: Driver, path: str, value: Any, words: str) -> None:
    with pytest.raises(Refused, match=words):
        cloud.create("VirtualMachine", **put(describe_machine(Net(cloud).interface), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("osProfile.customData", "eQ=="),
        ("osProfile.adminUsername", "other"),
        ("osProfile.computerName", "other"),
        ("storageProfile.imageReference.sku", "12"),
        ("zones", ["2"]),
        ("osProfile.linuxConfiguration.ssh.publicKeys.0.keyData", KEY + "2"),
    ],
)
def test_what_cannot_change_is_sent_and_refused(cloud: Driver, path: str, value: Any) -> None:
    inputs = describe_machine(Net(cloud).interface)
    machine = cloud.create("VirtualMachine", **inputs)
    changed = put(inputs, path, value)
    assert cloud.diff(machine, **changed).changed
    assert cloud.diff(machine, **changed).replaces == []
    with pytest.raises(Refused, match="PropertyChangeNotAllowed"):
        cloud.update(machine, **changed)


def test_what_changes_in_place_and_what_replaces(cloud: Driver) -> None:
    net = Net(cloud)
    inputs = describe_machine(net.interface)
    machine = cloud.create("VirtualMachine", **inputs)
    bigger = cloud.update(machine, **put(inputs, "hardwareProfile.vmSize", "Standard_F4als_v6"))
    assert bigger.outputs["vmId"] == machine.outputs["vmId"]
    assert cloud.diff(machine, vmName="other").replaces == ["vmName"]
    assert cloud.diff(machine, vmName="other").delete_before_replace
    assert cloud.diff(machine, resourceGroupName="TEST").changed == []
    disk = cloud.create("Disk", "d", **IN, creationData={"createOption": "Empty"}, diskSizeGB=4, location="West Europe")
    assert cloud.diff(disk, location="westeurope").changed == []
    with pytest.raises(Refused, match="attachment of"):
        cloud.create("VirtualMachine", "b", **put(inputs, "vmName", "b"))
    with pytest.raises(Refused, match="in use"):
        cloud.delete(net.interface)


def test_interfaces_and_addresses(cloud: Driver) -> None:
    net = Net(cloud)
    for private in ("10.20.0.10", "10.20.0.3", "10.20.15.255"):
        with pytest.raises(Refused, match=private):
            make_interface(cloud, net.subnet, "b", private)
    with pytest.raises(Refused, match="NotInSubnet"):
        make_interface(cloud, net.subnet, "b", "10.20.16.4")
    dynamic = make_interface(cloud, net.subnet, "b", None)
    assert dynamic.outputs["ipConfigurations"][0]["privateIPAddress"] == "10.20.0.4"
    standard = {**IN, "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"}
    address = cloud.create("PublicIPAddress", publicIpAddressName="a", **standard)
    make_interface(cloud, net.subnet, "c", None, publicIPAddress={"id": address.id.upper()})
    with pytest.raises(Refused, match="association of"):
        make_interface(cloud, net.subnet, "d", None, publicIPAddress={"id": address.id})
    with pytest.raises(Refused, match="association of"):
        cloud.create("NatGateway", **IN, sku={"name": "Standard"}, publicIpAddresses=[{"id": address.id}])
    zonal = cloud.create("NatGateway", **IN, sku={"name": "Standard"}, zones=["1"])
    for zones in (["2"], None):
        with pytest.raises(Refused, match="ResourceAvailabilityZonesCannotBeModified"):
            cloud.update(zonal, zones=zones)
    for inputs, words in (
        ({"sku": None}, "retired"),
        ({"publicIPAllocationMethod": "Dynamic"}, "MustBeStatic"),
        ({"sku": {"name": "Premium"}}, "not one of"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("PublicIPAddress", "x", **{**standard, **inputs})
    assert cloud.diff(address, sku={"name": "Basic"}).replaces == ["sku"]
    assert cloud.diff(address, publicIPAllocationMethod="Dynamic").replaces == []
    with pytest.raises(Refused, match="PropertyChangeNotAllowed"):
        cloud.update(dynamic, location="northeurope")


def test_a_group_takes_with_it_what_lies_in_it(cloud: Driver) -> None:
    net = Net(cloud)
    cloud.create("Disk", **IN, diskName="kept", creationData={"createOption": "Empty"}, diskSizeGB=10)
    cloud.delete(net.group)
    assert cloud.world.all() == []


def test_networks(cloud: Driver) -> None:
    net = Net(cloud)
    inside = {**IN, "virtualNetworkName": "net"}
    for inputs, words in (
        ({"addressPrefix": "10.20.4.0/24"}, "overlaps"),
        ({"addressPrefix": "10.21.0.0/24"}, "not contained"),
        ({"addressPrefix": "10.20.16.1/24"}, "host bits"),
        ({}, "required"),
        ({"addressPrefix": "10.20.16.0/24", "virtualNetworkName": "none"}, "not found"),
        ({"addressPrefix": "10.20.16.0/24", "natGateway": {"id": "none"}}, "not found"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Subnet", "b", **{**inside, **inputs})
    assert cloud.create("Subnet", "copied", **inside, addressPrefix="10.20.16.0/24").inputs["subnetName"] == "copied"
    with pytest.raises(Refused, match="ResourceGroupNotFound"):
        cloud.create("VirtualNetwork", resourceGroupName="none", addressSpace={"addressPrefixes": ["10.0.0.0/16"]})
    with pytest.raises(Refused, match="already exists"):
        cloud.create("VirtualNetwork", **IN, virtualNetworkName="net", addressSpace={"addressPrefixes": ["10.20.0.0/16"]})
    with pytest.raises(Refused, match="in use"):
        cloud.delete(net.subnet)


RULE = {
    "name": "web",
    "priority": 100,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "443",
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"priority": None}, "InvalidPriority"),
        ({"priority": 99}, "InvalidPriority"),
        ({"priority": 4097}, "InvalidPriority"),
        ({"protocol": "Sctp"}, "not one of"),
        ({"destinationPortRange": "90-80"}, "InvalidPort"),
        ({"destinationPortRanges": ["80"]}, "either destinationPortRange"),
        ({"sourceAddressPrefix": None}, "either sourceAddressPrefix"),
        ({"sourceAddressPrefix": "10.0.0.1/8"}, "InvalidPrefix"),
        ({"sourceAddressPrefix": "Office"}, "InvalidPrefix"),
        ({"sourceAddressPrefix": None, "sourceAddressPrefixes": ["Internet", "10.0.0.0/8"]}, "stand alone"),
        ({"name": "a/b"}, "name"),
        ({"description": "x" * 141}, "140"),
    ],
)
def test_security_rules_refused(cloud: Driver, wrong: dict[str, Any], words: str) -> None:
    Net(cloud)
    with pytest.raises(Refused, match=words):
        cloud.create("NetworkSecurityGroup", **IN, securityRules=[{**RULE, **wrong}])


def test_security_group(cloud: Driver) -> None:
    net = Net(cloud)
    with pytest.raises(Refused, match="same priority"):
        cloud.create("NetworkSecurityGroup", **IN, securityRules=[RULE, {**RULE, "name": "b"}])
    with pytest.raises(Refused, match="name of its own"):
        cloud.create("NetworkSecurityGroup", **IN, securityRules=[RULE, {**RULE, "priority": 101}])
    with pytest.raises(CheckFailed, match="cannot be given"):
        cloud.create("NetworkSecurityGroup", **IN, securityRules=[{**RULE, "provisioningState": "Succeeded"}])
    group = cloud.create("NetworkSecurityGroup", **IN, securityRules=[RULE, {**RULE, "direction": "Outbound", "name": "out"}])
    cloud.create(
        "NetworkInterface",
        "g",
        **IN,
        networkSecurityGroup={"id": group.id},
        ipConfigurations=[{"name": "p", "subnet": {"id": net.subnet.id}}],
    )
    with pytest.raises(Refused, match="in use"):
        cloud.delete(group)


def test_premium_v2_disks(cloud: Driver) -> None:
    net = Net(cloud)
    empty = {**IN, "creationData": {"createOption": "Empty"}, "diskSizeGB": 10}
    v2 = {"sku": {"name": "PremiumV2_LRS"}, "zones": ["1"]}
    for wish, words in (
        ({"sku": v2["sku"]}, "stands in a zone"),
        ({**v2, "location": "qatarcentral"}, "not available in qatarcentral"),
        ({**v2, "diskIOPSReadWrite": 2000}, "3000 to 5000 at 10 GiB"),
        ({**v2, "diskIOPSReadWrite": 6000}, "3000 to 5000 at 10 GiB"),
        ({**v2, "diskMBpsReadWrite": 800}, "125 to 750"),
        ({"sku": {"name": "Premium_LRS"}, "zones": ["1"], "diskIOPSReadWrite": 3000}, "not of a Premium_LRS disk"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Disk", "refused", **empty | wish)
    disk = cloud.create("Disk", diskName="data", **empty, **v2, diskIOPSReadWrite=5000, diskMBpsReadWrite=300)
    cloud.update(disk, diskIOPSReadWrite=4000)
    with pytest.raises(Refused, match="cannot change"):
        cloud.update(disk, sku={"name": "Premium_LRS"})
    inputs = describe_machine(net.interface)
    with pytest.raises(Refused, match="no type of an OS disk"):
        cloud.create(
            "VirtualMachine", **put(inputs, "storageProfile.osDisk.managedDisk", {"storageAccountType": "PremiumV2_LRS"})
        )
    attach = {"lun": 0, "createOption": "Attach", "managedDisk": {"id": disk.id}, "caching": "ReadOnly"}
    with pytest.raises(Refused, match="no host cache"):
        cloud.create("VirtualMachine", **put(inputs, "storageProfile.dataDisks", [attach]))
    cloud.create("VirtualMachine", **put(inputs, "storageProfile.dataDisks", [{**attach, "caching": "None"}]))


def test_disks_and_sets(cloud: Driver) -> None:
    net = Net(cloud)
    empty = {**IN, "creationData": {"createOption": "Empty"}, "zones": ["1"]}
    disk = cloud.create("Disk", diskName="data", diskSizeGB=10, **empty)
    with pytest.raises(Refused, match="diskSizeGB"):
        cloud.create("Disk", "b", **empty)
    with pytest.raises(Refused, match="cannot shrink"):
        cloud.update(disk, diskSizeGB=5)
    with pytest.raises(Refused, match="cannot change"):
        cloud.update(disk, zones=["2"])
    with pytest.raises(Refused, match="not one of"):
        cloud.create("Disk", "c", diskSizeGB=10, **empty, sku={"name": "Fast_LRS"})
    attach = {"lun": 0, "createOption": "Attach", "managedDisk": {"id": disk.id}}
    inputs = describe_machine(net.interface)
    for disks, words in (([attach, attach], "LUN"), ([{**attach, "managedDisk": {"id": "none"}}], "not found")):
        with pytest.raises(Refused, match=words):
            cloud.create("VirtualMachine", **put(inputs, "storageProfile.dataDisks", disks))
    with pytest.raises(Refused, match="not in the zone"):
        cloud.create("VirtualMachine", **put(put(inputs, "storageProfile.dataDisks", [attach]), "zones", ["2"]))
    cloud.create("VirtualMachine", **put(inputs, "storageProfile.dataDisks", [attach]))
    second = describe_machine(make_interface(cloud, net.subnet, "b", None), "b")
    with pytest.raises(Refused, match="attachment of"):
        cloud.create("VirtualMachine", "b", **put(second, "storageProfile.dataDisks", [attach]))
    with pytest.raises(Refused, match="in use"):
        cloud.delete(disk)
    with pytest.raises(Refused, match="Aligned"):
        cloud.create("AvailabilitySet", **IN)
    group = cloud.create("AvailabilitySet", **IN, sku={"name": "Aligned"}, platformFaultDomainCount=3)
    apart = put(second, "zones", None)
    machine = cloud.create("VirtualMachine", "b", **{**apart, "availabilitySet": {"id": group.id}})
    with pytest.raises(Refused, match="availabilitySet"):
        cloud.update(machine, availabilitySet=None)


def test_zones_of_what_belongs_together(cloud: Driver) -> None:
    net = Net(cloud)
    standard = {**IN, "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"}
    second, everywhere = (
        cloud.create("PublicIPAddress", name, publicIpAddressName=name, **standard, zones=zones)
        for name, zones in (("second", ["2"]), ("everywhere", ["1", "2", "3"]))
    )
    with pytest.raises(Refused, match="ZonesDoNotMatch"):
        cloud.create("NatGateway", **IN, sku={"name": "Standard"}, zones=["1"], publicIpAddresses=[{"id": second.id}])
    cloud.create("NatGateway", **IN, sku={"name": "Standard"}, zones=["1"], publicIpAddresses=[{"id": everywhere.id}])
    reached = make_interface(cloud, net.subnet, "b", None, publicIPAddress={"id": second.id})
    with pytest.raises(Refused, match="ZonalAllocationMismatch"):
        cloud.create("VirtualMachine", "b", **describe_machine(reached, "b"))
    cloud.create("VirtualMachine", "b", **put(describe_machine(reached, "b"), "zones", ["2"]))


def test_regions_without_zones(cloud: Driver) -> None:
    group = cloud.create("ResourceGroup", resourceGroupName="west", location="westus")
    empty = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 10}
    where = {"resourceGroupName": "west", "location": "westus", **empty}
    with pytest.raises(Refused, match="LocationDoesNotSupportAvailabilityZones"):
        cloud.create("Disk", "a", **where, zones=["1"])
    assert cloud.create("Disk", "a", **where).outputs["location"] == group.outputs["location"] == "westus"


def test_flexible_scale_sets(cloud: Driver) -> None:
    net = Net(cloud)
    flexible = {**IN, "orchestrationMode": "Flexible", "platformFaultDomainCount": 1, "singlePlacementGroup": False}
    for inputs, words in (
        ({"orchestrationMode": "Uniform"}, "flexible"),
        ({"singlePlacementGroup": True}, "singlePlacementGroup"),
        ({"zones": ["1"], "platformFaultDomainCount": 3}, "platformFaultDomainCount 3"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("VirtualMachineScaleSet", **{**flexible, **inputs})
    first, second = (cloud.create("VirtualMachineScaleSet", zone, **flexible, zones=[zone]) for zone in "12")
    inputs = describe_machine(net.interface)
    with pytest.raises(Refused, match="not in the zone"):
        cloud.create("VirtualMachine", **inputs, virtualMachineScaleSet={"id": second.id})
    machine = cloud.create("VirtualMachine", **inputs, virtualMachineScaleSet={"id": first.id})
    with pytest.raises(Refused, match="is set when a machine is made"):
        cloud.update(machine, virtualMachineScaleSet=None)
    with pytest.raises(Refused, match="in use"):
        cloud.delete(first)


def test_records(cloud: Driver) -> None:
    Net(cloud)
    with pytest.raises(CheckFailed, match="Global"):
        cloud.create("dns:Zone", **IN, zoneName="example.com", location="westeurope")


def test_who_reaches_whom(cloud: Driver) -> None:
    where = {"resourceGroupName": "test"}
    cloud.create("ResourceGroup", **where)
    cloud.create("VirtualNetwork", **where, virtualNetworkName="net", addressSpace={"addressPrefixes": ["10.20.0.0/16"]})
    subnet = cloud.create(
        "Subnet", "s", **where, virtualNetworkName="net", addressPrefix="10.20.0.0/20", defaultOutboundAccess=False
    )
    web = {
        "name": "web",
        "priority": 100,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "sourceAddressPrefix": "203.0.113.0/24",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "443",
    }
    shut = {
        **web,
        "name": "shut",
        "priority": 4096,
        "access": "Deny",
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "destinationPortRange": "*",
    }
    open_group = cloud.create("NetworkSecurityGroup", "open", **where, securityRules=[web])
    shut_group = cloud.create(
        "NetworkSecurityGroup",
        "shut",
        **where,
        securityRules=[
            shut,
            {**web, "name": "sip", "protocol": "*", "destinationPortRange": None, "destinationPortRanges": ["5060", "5061"]},
        ],
    )

    def make(name: str, group: Made | None, public: bool) -> None:
        place: dict[str, Any] = {"name": "p", "subnet": {"id": subnet.id}}
        if public:
            address = cloud.create("PublicIPAddress", name, **where, sku={"name": "Standard"}, publicIPAllocationMethod="Static")
            place["publicIPAddress"] = {"id": address.id}
        worn = {"networkSecurityGroup": {"id": group.id}} if group else {}
        interface = cloud.create("NetworkInterface", name, **where, ipConfigurations=[place], **worn)
        cloud.create(
            "VirtualMachine",
            name,
            **where,
            vmName=name,
            hardwareProfile={"vmSize": "Standard_F2als_v6"},
            osProfile={
                "adminUsername": "debian",
                "linuxConfiguration": {"ssh": {"publicKeys": [{"path": "/home/debian/.ssh/authorized_keys", "keyData": KEY}]}},
            },
            storageProfile={
                "osDisk": {"createOption": "FromImage"},
                "imageReference": {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"},
            },
            networkProfile={"networkInterfaces": [{"id": interface.id}]},
        )

    make("edge", open_group, True)
    make("data", shut_group, False)
    make("bare", None, True)
    edge, data, bare = look(cloud.world)
    assert from_outside(edge, OFFICE) == {"tcp": ((443, 443),)}
    assert from_outside(edge, ANYBODY) == {}
    assert between(data, edge) == ALL  # Azure's own rule for the network
    assert between(edge, data) == {}
    assert from_outside(replace(data, public="198.19.128.9", reachable=True), OFFICE) == {
        "tcp": ((5060, 5061),),
        "udp": ((5060, 5061),),
    }
    assert from_outside(bare, ANYBODY) == {}
    assert to_outside(edge, ANYBODY) == ALL
    assert to_outside(data, ANYBODY) == {}


def test_budgets(cloud: Driver) -> None:
    group = cloud.create("ResourceGroup", resourceGroupName="test")
    alarm = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["ops@your-company.com"]}
    start = datetime.now(UTC).strftime("%Y-%m-01T00:00:00Z")
    good = {
        "scope": group.id,
        "amount": 2000,
        "category": "Cost",
        "timeGrain": "Monthly",
        "timePeriod": {"startDate": start},
        "notifications": {"actual": alarm},
    }
    for wrong, words in (
        ({"scope": "/subscriptions/x/resourceGroups/none"}, "ResourceGroupNotFound"),
        ({"timePeriod": {"startDate": "2026-11-15T00:00:00Z"}}, "first of the month"),
        ({"timePeriod": {"startDate": "2019-01-01T00:00:00Z"}}, "within the time grain"),
        ({"notifications": {"actual": {**alarm, "contactEmails": []}}}, "contact email"),
        ({"notifications": {str(n): alarm for n in range(6)}}, "at most five"),
        ({"budgetName": "a b"}, "letters, digits"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("Budget", **{"budgetName": "refused", **good, **wrong})
    made = cloud.create("Budget", budgetName="mine", **good)
    cloud.update(made, amount=3000)
    with pytest.raises(Refused, match="cannot be updated"):
        cloud.update(made, timePeriod={"startDate": "2027-01-01T00:00:00Z"})
