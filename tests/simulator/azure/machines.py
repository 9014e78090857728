"""Azure's addresses, interfaces, disks and virtual machines (`facts/clouds.md` 3.1, 3.3-3.5, `facts/schemas/README.md` 24-27)."""

from __future__ import annotations

import base64
import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any, ClassVar

from components.model.clouds.facts import load_machine_types
from provider.server import Properties
from tests.simulator.azure.resources import (
    ADDRESS,
    AVAILABILITY,
    DISK,
    INTERFACE,
    MACHINE,
    NAT,
    RULES,
    SCALE_SET,
    SUBNET,
    Azure,
)
from tests.simulator.call import Call
from tests.simulator.ssh_keys import fingerprint
from tests.simulator.world import Refused, Thing

_PUBLIC = "198.19.128.0/18"
_TYPES = {machine.name for machine in load_machine_types("azure")}
_IMAGES = {("Debian", "debian-12", "12-gen2"), ("Debian", "debian-12", "12"), ("Debian", "debian-13", "13-gen2")}
_COMPUTER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-.]{0,62}[A-Za-z0-9])?")
_REFUSED_USERS = {"root", "admin", "administrator", "user", "test", "guest", "adm", "backup", "console", "support", "sys"}
_USER_DATA = 65535


class PublicIPAddress(Azure):
    """Standard and static: Basic ones cannot be made any more."""

    type = ADDRESS
    name_input = "publicIpAddressName"
    path = "Microsoft.Network/publicIPAddresses"

    def make(self, call: Call) -> Properties:
        if (call.inputs.get("sku") or {}).get("name") != "Standard":
            raise Refused('Code="IPv4BasicSkuPublicIpCountLimitReached" Message="Basic public IP addresses are retired"')
        if call.inputs.get("publicIPAllocationMethod") != "Static":
            raise Refused('Code="PublicIPAddressWithStandardSkuMustBeStatic" Message="publicIPAllocationMethod"')
        if call.is_changed("zones"):
            raise Refused('Code="ResourceAvailabilityZonesCannotBeModified" Message="zones"')
        address = call.take_address("the internet", _PUBLIC, first=1, last=1, wanted=call.outputs.get("ipAddress"))
        return {**super().make(call), "ipAddress": address}


class NatGateway(Azure):
    type = NAT
    name_input = "natGatewayName"
    path = "Microsoft.Network/natGateways"

    def make(self, call: Call) -> Properties:
        if (call.inputs.get("sku") or {}).get("name") != "Standard":
            raise Refused('Code="InvalidRequestFormat" Message="sku Standard is required"')
        if len(call.inputs.get("zones") or []) > 1:
            raise Refused('Code="InvalidRequestFormat" Message="a NAT gateway stands in one zone or none"')
        if call.is_changed("zones"):
            raise Refused('Code="ResourceAvailabilityZonesCannotBeModified" Message="zones of a NAT gateway stay"')
        for reference in call.inputs.get("publicIpAddresses") or []:
            address = self.refer(call, ADDRESS, reference, "publicIpAddresses")
            call.hold(f"association of {address.id}")
            check_same_zone(call.inputs, address, "NatGatewayAndPublicIpAddressZonesDoNotMatch")
        return super().make(call)


def check_same_zone(inputs: Properties, address: Thing, code: str) -> None:
    """Refuses an address of other zones only; one of no zone or of all goes with everything."""
    mine, theirs = set(inputs.get("zones") or []), set(address.inputs.get("zones") or [])
    if mine and theirs and not mine <= theirs:
        raise Refused(f'Code="{code}" Message="zones {sorted(mine)}, and {address.id} in {sorted(theirs)}"')


class NetworkInterface(Azure):
    """Addresses of a subnet, a public one if named, a security group of its own."""

    type = INTERFACE
    name_input = "networkInterfaceName"
    path = "Microsoft.Network/networkInterfaces"

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        configurations = inputs.get("ipConfigurations") or []
        if not configurations or any(not one.get("name") or not one.get("subnet") for one in configurations):
            raise Refused('Code="InvalidRequestFormat" Message="ipConfigurations need a name and a subnet"')
        if inputs.get("networkSecurityGroup"):
            self.refer(call, RULES, inputs["networkSecurityGroup"], "networkSecurityGroup")
        made = [self._configure(call, index, one) for index, one in enumerate(configurations)]
        return {
            **super().make(call),
            "ipConfigurations": made,
            "macAddress": call.lasting("macAddress", lambda number: f"00-0D-3A-{number % 2**24:06X}"),
            "resourceGuid": call.lasting("resourceGuid", "guid-{}".format),
            "primary": True,
        }

    def _configure(self, call: Call, index: int, wish: Properties) -> Properties:
        subnet = self.refer(call, SUBNET, wish["subnet"], "subnet", same_location=False)
        static = wish.get("privateIPAllocationMethod") == "Static"
        if static and not wish.get("privateIPAddress"):
            raise Refused('Code="PrivateIPAddressRequired" Message="Static needs a privateIPAddress"')
        block = subnet.get("addressPrefix")
        if static and IPv4Address(wish["privateIPAddress"]) not in IPv4Network(block):
            raise Refused(f'Code="PrivateIPAddressNotInSubnet" Message="{wish["privateIPAddress"]} is not in {block}"')
        before: Any = (call.outputs.get("ipConfigurations") or [{}] * (index + 1))[index]
        wanted = wish["privateIPAddress"] if static else before.get("privateIPAddress")
        # The first four addresses and the last are Azure's.
        private = call.take_address(f"subnet {subnet.id}", block, first=4, last=1, wanted=wanted)
        if wish.get("publicIPAddress"):
            call.hold(f"association of {self.refer(call, ADDRESS, wish['publicIPAddress'], 'publicIPAddress').id}")
        return {**wish, "privateIPAddress": private}


WITH_V2 = re.compile(
    "austriaeast|australiaeast|brazilsouth|canadacentral|centralindia|centralus|eastasia|eastus|eastus2|"
    "francecentral|germanywestcentral|indonesiacentral|israelcentral|italynorth|japaneast|koreacentral|"
    "malaysiawest|mexicocentral|newzealandnorth|northeurope|norwayeast|polandcentral|spaincentral|"
    "southafricanorth|southcentralus|southeastasia|swedencentral|switzerlandnorth|uaenorth|uksouth|westeurope|"
    "westus2|westus3"
)
"""Regions that have Premium SSD v2 in three zones (azure-compute-docs, disks-premv2-regions.md)."""

V2_IOPS, V2_MOST_IOPS, V2_IOPS_PER_GIB = 3000, 80_000, 500
V2_MBPS, V2_MOST_MBPS, V2_MBPS_PER_IOPS = 125, 1200, 0.25
"""What a disk has without asking, and may have by its size and its IOPS (disks-types.md)."""


class Disk(Azure):
    """Only growing; in one zone or in none, for good. Premium SSD v2 has the speed that is asked for, the others what their
    size gives them."""

    type = DISK
    name_input = "diskName"
    path = "Microsoft.Compute/disks"

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        size = inputs.get("diskSizeGB")
        if inputs["creationData"]["createOption"] == "Empty" and not size:
            raise Refused('Code="InvalidParameter" Message="Required parameter \'diskSizeGB\' is missing"')
        if not 1 <= (size or 4) <= 65536 or (call.old and size and size < (call.old.get("diskSizeGB") or 0)):
            raise Refused(f'Code="ResizeDiskError" Message="diskSizeGB {size}: a disk cannot shrink"')
        if call.is_changed("zones", "creationData"):
            raise Refused('Code="PropertyChangeNotAllowed" Message="zones and creationData of a disk cannot change"')
        if len(inputs.get("zones") or []) > 1:
            raise Refused('Code="InvalidParameter" Message="a disk stands in one zone or none"')
        self._check_speed(call, size or 4)
        return {
            **super().make(call),
            "diskState": "Unattached",
            "uniqueId": call.lasting("uniqueId", "d-{}".format),
            "sku": inputs.get("sku") or {"name": "Standard_LRS"},
        }

    def _check_speed(self, call: Call, size: int) -> None:
        inputs, kind = call.inputs, (call.inputs.get("sku") or {}).get("name", "Standard_LRS")
        if call.is_changed("sku"):
            raise Refused('Code="OperationNotAllowed" Message="the sku of a disk that a machine has cannot change"')
        iops, mbps = inputs.get("diskIOPSReadWrite"), inputs.get("diskMBpsReadWrite")
        if kind != "PremiumV2_LRS":
            if kind != "UltraSSD_LRS" and (iops, mbps) != (None, None):
                raise Refused(f'Code="InvalidParameter" Message="diskIOPSReadWrite, diskMBpsReadWrite: not of a {kind} disk"')
            return
        if not WITH_V2.fullmatch(self._locate(call)):
            raise Refused(f'Code="InvalidParameter" Message="PremiumV2_LRS is not available in {self._locate(call)}"')
        if not inputs.get("zones"):
            raise Refused('Code="InvalidParameter" Message="a PremiumV2_LRS disk stands in a zone"')
        most = min(V2_MOST_IOPS, max(V2_IOPS, V2_IOPS_PER_GIB * size))
        if iops is not None and not V2_IOPS <= iops <= most:
            raise Refused(f'Code="InvalidParameter" Message="diskIOPSReadWrite {iops}: {V2_IOPS} to {most} at {size} GiB"')
        most = min(V2_MOST_MBPS, max(V2_MBPS, int(V2_MBPS_PER_IOPS * (iops or V2_IOPS))))
        if mbps is not None and not V2_MBPS <= mbps <= most:
            raise Refused(f'Code="InvalidParameter" Message="diskMBpsReadWrite {mbps}: {V2_MBPS} to {most}"')


class AvailabilitySet(Azure):
    type = AVAILABILITY
    name_input = "availabilitySetName"
    path = "Microsoft.Compute/availabilitySets"

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if not 1 <= inputs.get("platformFaultDomainCount", 2) <= 3 or not 1 <= inputs.get("platformUpdateDomainCount", 5) <= 20:
            raise Refused('Code="InvalidParameter" Message="1 to 3 fault domains, 1 to 20 update domains"')
        if (inputs.get("sku") or {}).get("name") != "Aligned":
            raise Refused('Code="OperationNotAllowed" Message="managed disks need an availability set of sku Aligned"')
        return super().make(call)


class VirtualMachineScaleSet(Azure):
    """Flexible and empty: machines enter it when they are made. In zones one fault domain is all there is to set, and means as
    many as Azure has."""

    type = SCALE_SET
    name_input = "vmScaleSetName"
    path = "Microsoft.Compute/virtualMachineScaleSets"

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if inputs.get("orchestrationMode") != "Flexible":
            raise Refused("this simulator knows flexible scale sets only")
        if inputs.get("singlePlacementGroup"):
            raise Refused('Code="InvalidParameter" Message="singlePlacementGroup of a flexible scale set is false"')
        domains = inputs.get("platformFaultDomainCount", 1)
        if domains not in ((1,) if inputs.get("zones") else (1, 2, 3)):
            raise Refused(f'Code="InvalidParameter" Message="platformFaultDomainCount {domains}"')
        return {**super().make(call), "uniqueId": call.outputs.get("uniqueId") or f"s-{call.number()}"}


MOST_OS_GB = 4095
LUNS = range(64)
"""What a boot disk may have, and the places of data disks (real-clouds.md B25)."""

POWER = "powerState"
"""Where the simulator keeps what the instance view tells."""


class VirtualMachine(Azure):
    """What is set at its creation stays: a change is sent, and answered by 409 PropertyChangeNotAllowed."""

    type = MACHINE
    name_input = "vmName"
    path = "Microsoft.Compute/virtualMachines"
    untold: ClassVar = ("osProfile.customData",)
    values: ClassVar = {"hardwareProfile.vmSize": _TYPES}

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        if not (inputs.get("hardwareProfile") or {}).get("vmSize"):
            raise Refused('Code="InvalidParameter" Message="Required parameter \'vmSize\' is missing"')
        if len(inputs.get("zones") or []) > 1 or (inputs.get("zones") and inputs.get("availabilitySet")):
            raise Refused('Code="OperationNotAllowed" Message="a machine stands in one zone, or in an availability set"')
        if inputs.get("availabilitySet"):
            self.refer(call, AVAILABILITY, inputs["availabilitySet"], "availabilitySet")
        if inputs.get("virtualMachineScaleSet"):
            group = self.refer(call, SCALE_SET, inputs["virtualMachineScaleSet"], "virtualMachineScaleSet")
            if not set(inputs.get("zones") or []) <= set(group.inputs.get("zones") or []):
                raise Refused(f'Code="BadRequest" Message="{group.id} is not in the zone of the machine"')
        if call.is_changed("virtualMachineScaleSet"):
            raise Refused('Code="PropertyChangeNotAllowed" Message="virtualMachineScaleSet is set when a machine is made"')
        for interface in (inputs.get("networkProfile") or {}).get("networkInterfaces") or []:
            self._check_addresses(call, self.refer(call, INTERFACE, interface, "networkInterfaces"))
        if call.is_changed("availabilitySet", "osProfile.linuxConfiguration.ssh.publicKeys", "storageProfile.osDisk.name"):
            raise Refused('Code="PropertyChangeNotAllowed" Message="availabilitySet, ssh.publicKeys and osDisk.name stay"')
        check_os(inputs.get("osProfile") or {}, inputs["vmName"])
        self._check_storage(call, inputs.get("storageProfile") or {})
        interfaces = (inputs.get("networkProfile") or {}).get("networkInterfaces") or []
        if not interfaces or (len(interfaces) > 1 and sum(bool(one.get("primary")) for one in interfaces) != 1):
            raise Refused('Code="InvalidParameter" Message="networkInterfaces: one primary"')
        for interface in interfaces:
            call.hold(f"attachment of {self.refer(call, INTERFACE, interface, 'networkInterfaces').id}")
        check_base64("userData", inputs.get("userData"))
        before = call.outputs.get("vmId")
        return {
            **super().make(call),
            "vmId": before or f"00000000-0000-4000-8000-{call.number():012d}",
            "timeCreated": "2026-11-23T00:00:00Z",
            POWER: call.outputs.get(POWER, "running"),
        }

    def _check_addresses(self, call: Call, interface: Thing) -> None:
        """A public address in one zone serves machines of that zone only."""
        for one in interface.inputs.get("ipConfigurations") or []:
            if wish := one.get("publicIPAddress"):
                address = next(a for a in call.world.all(ADDRESS) if a.id.lower() == wish["id"].lower())
                check_same_zone(call.inputs, address, "ZonalAllocationMismatch")

    def show(self, thing: Thing) -> Properties:
        """Whether it runs is told by the instance view only."""
        return {name: value for name, value in super().show(thing).items() if name != POWER}

    def _check_storage(self, call: Call, storage: Properties) -> None:
        image: Properties = storage.get("imageReference") or {}
        known = (image.get("publisher"), image.get("offer"), image.get("sku")) in _IMAGES
        if not image.get("id") and not (known and image.get("version")):
            raise Refused(f'Code="PlatformImageNotFound" Message="The platform image \'{image}\' is not available"')
        size = call.inputs["hardwareProfile"]["vmSize"]
        generation = size.rpartition("_v")[2]
        only = "NVMe" if generation.isdecimal() and int(generation) >= 6 else "SCSI"
        if only == "NVMe" and image.get("sku") and "gen2" not in image["sku"]:
            raise Refused(f"Code=\"BadRequest\" Message=\"The VM size '{size}' cannot boot Hypervisor Generation '1'\"")
        if storage.get("diskControllerType") not in (None, only):
            raise Refused(
                f'Code="InvalidParameter" Message="the VM size \'{size}\' has disks on {only} only" '
                'Target="storageProfile.diskControllerType"'
            )
        if call.is_changed("storageProfile.diskControllerType"):
            raise Refused('Code="OperationNotAllowed" Message="diskControllerType changes on a deallocated machine only"')
        disk: Properties = storage.get("osDisk") or {}
        if disk.get("createOption") != "FromImage":
            raise Refused('Code="InvalidParameter" Message="osDisk.createOption FromImage"')
        old = (((call.old or {}).get("storageProfile") or {}).get("osDisk") or {}).get("diskSizeGB", 30)
        if disk.get("diskSizeGB", 30) < max(30, old):
            raise Refused(f'Code="ResizeDiskError" Message="osDisk of {disk["diskSizeGB"]} GB, at least {max(30, old)}"')
        if disk.get("diskSizeGB", 30) > MOST_OS_GB:
            raise Refused(f'Code="InvalidParameter" Message="osDisk.diskSizeGB {disk["diskSizeGB"]}: at most {MOST_OS_GB}"')
        if disk.get("diskSizeGB", 30) > old and call.old:
            raise Refused('Code="OperationNotAllowed" Message="the OS disk of a running machine is resized by its disk only"')
        if (disk.get("managedDisk") or {}).get("storageAccountType") in ("PremiumV2_LRS", "UltraSSD_LRS"):
            raise Refused('Code="InvalidParameter" Message="PremiumV2_LRS and UltraSSD_LRS are no type of an OS disk"')
        luns = [one["lun"] for one in storage.get("dataDisks") or []]
        if any(lun not in LUNS for lun in luns):
            raise Refused(f'Code="InvalidParameter" Message="dataDisks: LUNs {luns} are not all of 0 to {LUNS[-1]}"')
        if len(luns) != len(set(luns)):
            raise Refused('Code="InvalidParameter" Message="dataDisks: a LUN stands there twice"')
        for one in storage.get("dataDisks") or []:
            if one["createOption"] != "Attach":
                continue
            kept = self.refer(call, DISK, one.get("managedDisk") or {}, "dataDisks")
            call.hold(f"attachment of {kept.id}")
            if (kept.inputs.get("zones") or []) != (call.inputs.get("zones") or []):
                raise Refused(f'Code="BadRequest" Message="disk {kept.id} is not in the zone of the machine"')
            if (kept.inputs.get("sku") or {}).get("name") == "PremiumV2_LRS" and one.get("caching", "None") != "None":
                raise Refused(f'Code="InvalidParameter" Message="caching {one["caching"]}: PremiumV2_LRS has no host cache"')


def check_os(profile: Properties, name: str) -> None:
    """Refuses users, host names, keys and custom data that the platform refuses."""
    computer = profile.get("computerName") or name
    if not _COMPUTER_NAME.fullmatch(computer):
        raise Refused(f'Code="InvalidParameter" Message="computerName {computer}"')
    user = profile.get("adminUsername")
    if not user or user.lower() in _REFUSED_USERS:
        raise Refused(f'Code="InvalidParameter" Message="The Admin Username {user} is not allowed"')
    linux = profile.get("linuxConfiguration") or {}
    keys: list[Any] = (linux.get("ssh") or {}).get("publicKeys") or []
    if not keys and (linux.get("disablePasswordAuthentication") or not profile.get("adminPassword")):
        raise Refused('Code="InvalidParameter" Message="Authentication using SSH needs a public key"')
    for key in keys:
        if key.get("path") != f"/home/{user}/.ssh/authorized_keys":
            raise Refused(f'Code="InvalidParameter" Message="SSH public keys belong into /home/{user}/.ssh/authorized_keys"')
        fingerprint(key.get("keyData") or "")
    check_base64("customData", profile.get("customData"))


def check_base64(name: str, text: str | None) -> None:
    """Refuses what is not base64 of at most 65535 bytes."""
    try:
        size = len(base64.b64decode(text or "", validate=True))
    except ValueError as error:
        raise Refused(f'Code="InvalidParameter" Message="{name} must be in Base64 encoded format"') from error
    if size > _USER_DATA:
        raise Refused(f'Code="InvalidParameter" Message="{name} of {size} bytes, at most {_USER_DATA}"')


TYPES = (PublicIPAddress, NatGateway, NetworkInterface, Disk, AvailabilitySet, VirtualMachineScaleSet, VirtualMachine)
