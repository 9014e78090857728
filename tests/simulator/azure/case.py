"""Azure in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from typing import Any

from components.clouds.azure.facts import FACTS
from tests.simulator.azure.resources import ADDRESS, DISK, GROUP, INTERFACE, NAT, NETWORK, SUBNET
from tests.simulator.azure.view import read_record, see
from tests.simulator.bugs import NEIGHBOUR, OTHER_RTP, RTP, Bug, drop, each, forget, has, put, update, with_
from tests.simulator.case import RECORD_LABEL, ZONE, Case, Given, Needed, Types

MACHINE = FACTS.machine_resource
CONFIG = {"subscriptionId": "00000000-0000-0000-0000-000000000001"}

BUGS = (
    Bug(
        "dropped rule",
        ":NetworkSecurityGroup",
        each("securityRules", has(destinationPortRange="443", direction="Inbound"), drop),
        "edge",
    ),
    Bug(
        "widened source",
        ":NetworkSecurityGroup",
        each("securityRules", has(destinationPortRange="22"), with_(sourceAddressPrefix="*")),
        "edge",
    ),
    Bug(
        "a node less",
        ":NetworkSecurityGroup",
        each(
            "securityRules",
            has(name="in-tcp-5432-app"),
            lambda rule: {**rule, "sourceAddressPrefixes": rule["sourceAddressPrefixes"][:1]},
        ),
        "data",
    ),
    Bug(
        "other port range",
        ":NetworkSecurityGroup",
        each("securityRules", has(destinationPortRange=RTP), with_(destinationPortRange=OTHER_RTP)),
        "edge",
    ),
    Bug(
        "all ports",
        ":NetworkSecurityGroup",
        each("securityRules", has(destinationPortRange=RTP), with_(destinationPortRange="*")),
        "edge",
    ),
    Bug("not closed inside", ":NetworkSecurityGroup", each("securityRules", has(name="close-inbound"), drop), "data"),
    Bug("everything out", ":NetworkSecurityGroup", each("securityRules", has(name="close-outbound"), drop), "app"),
    Bug("a way out dropped", ":NetworkSecurityGroup", each("securityRules", has(destinationPortRange="123"), drop), "app"),
    Bug(
        "denied, not allowed",
        ":NetworkSecurityGroup",
        each("securityRules", has(destinationPortRange="443", direction="Inbound"), with_(access="Deny")),
        "edge",
    ),
    Bug("firewall not attached", ":NetworkInterface", put("networkSecurityGroup", None), "data-1"),
    Bug("no public address", ":NetworkInterface", put("ipConfigurations.0.publicIPAddress", None), "edge-1"),
    Bug("smaller machine type", ":VirtualMachine", put("hardwareProfile.vmSize", "Standard_F2s_v2"), "data-1"),
    Bug("other private address", ":NetworkInterface", put("ipConfigurations.0.privateIPAddress", NEIGHBOUR), "app-1"),
    Bug("other user data", ":VirtualMachine", put("osProfile.customData", lambda text: text[:-8]), "app-1"),
    Bug("smaller boot disk", ":VirtualMachine", put("storageProfile.osDisk.diskSizeGB", 30), "app-1"),
    Bug("smaller disk", ":Disk", put("diskSizeGB", 10), "data-1-database"),
    Bug("slow boot disk", ":VirtualMachine", put("storageProfile.osDisk.diskSizeGB", 256), "data-1"),
    Bug(
        "slow disk",
        ":Disk",
        update(sku={"name": "Premium_LRS"}, diskIOPSReadWrite=None, diskMBpsReadWrite=None),
        "data-1-database",
    ),
    Bug("more IOPS than its size gives", ":Disk", put("diskIOPSReadWrite", 300_000), "data-1-database"),
    Bug("host cache of a disk that has none", ":VirtualMachine", put("storageProfile.dataDisks.0.caching", "ReadOnly"), "data-1"),
    Bug(
        "boot disk of a data disk's kind",
        ":VirtualMachine",
        put("storageProfile.osDisk.managedDisk.storageAccountType", "PremiumV2_LRS"),
        "app-1",
    ),
    Bug("disk in another zone", ":Disk", put("zones", ["3"]), "data-1-database"),
    Bug("disk not attached", ":VirtualMachine", put("storageProfile.dataDisks", []), "data-1"),
    Bug("disks on a controller that it lacks", ":VirtualMachine", put("storageProfile.diskControllerType", "SCSI"), "app-1"),
    Bug("one zone for all", ":VirtualMachine", put("zones", ["1"]), "data-2", zones=True),
    Bug("way out through another zone", ":NatGateway", put("zones", ["1"]), "nat-2", zones=True),
    Bug("way out in no zone", ":NatGateway", put("zones", None), "nat-2", zones=True),
    Bug("address of another zone", ":PublicIPAddress", put("zones", ["2"]), "edge-1", zones=True),
    Bug("no scale set", ":VirtualMachine", put("virtualMachineScaleSet", None), "data-2"),
    Bug("one fault domain of three", ":VirtualMachineScaleSet", put("platformFaultDomainCount", 3), "data-zone-1"),
    Bug("a boot disk that outlives its machine", ":VirtualMachine", put("storageProfile.osDisk.deleteOption", "Detach"), "app-1"),
    Bug("data that goes with the machine", ":VirtualMachine", put("storageProfile.dataDisks.0.deleteOption", "Delete"), "data-1"),
    Bug("no word on the data", ":VirtualMachine", put("storageProfile.dataDisks.0.deleteOption", None), "data-1"),
    Bug(
        "an interface that goes with the machine",
        ":VirtualMachine",
        put("networkProfile.networkInterfaces.0.deleteOption", "Delete"),
        "app-1",
    ),
    Bug("a way out that nobody chose", ":Subnet", put("defaultOutboundAccess", True), "private"),
    Bug("no way out", ":Subnet", put("natGateway", None), "private"),
    Bug("an image of generation 1", ":VirtualMachine", put("storageProfile.imageReference.sku", "12"), "app-1"),
    Bug("a disk's place that the node is not told", ":VirtualMachine", put("storageProfile.dataDisks.0.lun", 1), "data-1"),
    Bug("a disk that the world may export", ":Disk", put("networkAccessPolicy", "AllowAll"), "data-1-database"),
    Bug("no console", ":VirtualMachine", put("diagnosticsProfile", None), "app-1"),
    Bug("taken away at any time", ":VirtualMachine", update(priority="Spot"), "app-1"),
    Bug("packets by the host's switch", ":NetworkInterface", put("enableAcceleratedNetworking", False), "edge-1"),
    Bug(
        "passwords",
        ":VirtualMachine",
        put("osProfile.linuxConfiguration.disablePasswordAuthentication", False),
        "app-1",
    ),
    Bug("an address that changes", ":PublicIPAddress", put("publicIPAllocationMethod", "Dynamic"), "edge-1"),
    Bug("no firewall in the company's network", ":NetworkInterface", put("networkSecurityGroup", None), "app-1", given=True),
    Bug("wide open to it", ":NetworkSecurityGroup", each("securityRules", has(name="close-inbound"), drop), "data", given=True),
    Bug("input unknown to the cloud", ":VirtualMachine", update(userdata="x"), "app-1"),
)

RECORD_BUGS = (
    Bug("another port", "RecordSet", put("srvRecords.0.port", 5061), RECORD_LABEL),
    Bug("type and records differ", "RecordSet", put("recordType", "A"), RECORD_LABEL),
    Bug("forgotten", "", forget, RECORD_LABEL),
)


def make_given(zones: tuple[str, ...]) -> list[tuple[str, str, dict[str, Any]]]:
    """A virtual network as a company has it, in a resource group of its own."""
    group = {"resourceGroupName": "company"}
    inside = {**group, "virtualNetworkName": "company"}
    return [
        ("group", GROUP, {**group, "location": FACTS.default_region}),
        ("network", NETWORK, {**inside, "addressSpace": {"addressPrefixes": ["10.40.0.0/16"]}}),
        (
            "address",
            ADDRESS,
            {**group, "publicIpAddressName": "nat", "sku": {"name": "Standard"}, "publicIPAllocationMethod": "Static"},
        ),
        (
            "nat",
            NAT,
            {**group, "natGatewayName": "nat", "sku": {"name": "Standard"}, "publicIpAddresses": [{"id": "<address>"}]},
        ),
        ("public", SUBNET, {**inside, "subnetName": "edge", "addressPrefix": "10.40.0.0/24", "defaultOutboundAccess": False}),
        (
            "private",
            SUBNET,
            {
                **inside,
                "subnetName": "inner",
                "addressPrefix": "10.40.1.0/24",
                "natGateway": {"id": "<nat>"},
                "defaultOutboundAccess": False,
            },
        ),
    ]


def list_given(zones: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Its subnets, as the setting has them."""
    return {"public": {"range": "10.40.0.0/24", "public": True}, "private": {"range": "10.40.1.0/24"}}


CASE = Case(
    types=Types(
        MACHINE,
        "azure-native:compute:Disk",
        ("osProfile.customData", "osProfile.linuxConfiguration", "storageProfile.imageReference", "virtualMachineScaleSet"),
        "azure-native:network:PublicIPAddress",
    ),
    see=see,
    off=("powerState", "deallocated"),
    stopping=("stopping", "deallocating"),
    bugs=BUGS,
    record_bugs=RECORD_BUGS,
    settings={"location": "westeurope", **CONFIG},
    config=CONFIG,
    variables={"ARM_CLIENT_ID": "c", "ARM_CLIENT_SECRET": "s", "ARM_TENANT_ID": "t", "ARM_SUBSCRIPTION_ID": "s"},
    account="subscription Simulated",
    quota=("cores", r"Quota cores in westeurope: 10, 0 used, 20 needed", "portal.azure.com"),
    refusals={
        "capacity": 'Code="ZonalAllocationFailed" Message="Allocation failed. We do not have sufficient capacity"',
        "quota": 'Code="OperationNotAllowed" Message="... exceeding approved standardDSv5Family Cores quota"',
        "rate": 'Code="SubscriptionRequestsThrottled" Message="Number of write requests exceeded the limit"',
    },
    image="Debian:debian-13:13-gen2:latest",
    zone=f"dns-group/{ZONE}",
    zones=(
        ("azure-native:resources:ResourceGroup", {"resourceGroupName": "dns-group", "location": "westeurope"}),
        ("azure-native:dns:Zone", {"resourceGroupName": "dns-group", "zoneName": ZONE, "location": "Global"}),
    ),
    records={"azure-native:dns:RecordSet": read_record},
    rule=("azure-native:network:NetworkSecurityGroup", "securityRules", []),
    needed=(
        Needed(MACHINE, "storageProfile.osDisk.deleteOption", "Delete", "it stays, is paid for, and its name is taken"),
        Needed(MACHINE, "storageProfile.dataDisks[].deleteOption", "Detach", "the data goes with the machine"),
        Needed(SUBNET, "defaultOutboundAccess", False, "an address of Azure's choice that no carrier has in a list"),
        Needed(DISK, "networkAccessPolicy", "DenyAll", "whoever may read the disk's resource gets a link to its content"),
        Needed(MACHINE, "diagnosticsProfile.bootDiagnostics.enabled", True, "no serial console (real-clouds.md B22)"),
        Needed(MACHINE, "priority", None, "it is evicted when somebody pays more"),
        Needed(MACHINE, "osProfile.linuxConfiguration.disablePasswordAuthentication", True, "passwords can be tried"),
        Needed(INTERFACE, "enableAcceleratedNetworking", True, "every packet of a call goes through the host's software switch"),
        Needed(
            MACHINE,
            "networkProfile.networkInterfaces[].deleteOption",
            "Detach",
            "it goes with the machine, and its address with it, of which the state knows nothing",
        ),
    ),
    given=Given(make_given, list_given),
    unknown=("VirtualMachine", {"storageProfile": {"osDisk": {"speed": 1}}}),
)
