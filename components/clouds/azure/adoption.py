"""Azure: every id is a path made of the subscription, the group and names."""

from __future__ import annotations

from collections.abc import Mapping

from components.clouds.adoption import Way


def in_group(path: str) -> Way:
    """A path made of the subscription, the group and names."""
    return Way(
        lambda inputs, answer: [f"/subscriptions/{answer['subscriptionId']}/resourceGroups/" + path.format_map(inputs)],
        "azure-native:authorization:getClientConfig",
    )


WAYS: Mapping[str, Way] = {
    "azure-native:compute:Disk": in_group("{resourceGroupName}/providers/Microsoft.Compute/disks/{diskName}"),
    "azure-native:compute:VirtualMachine": in_group("{resourceGroupName}/providers/Microsoft.Compute/virtualMachines/{vmName}"),
    "azure-native:compute:VirtualMachineScaleSet": in_group(
        "{resourceGroupName}/providers/Microsoft.Compute/virtualMachineScaleSets/{vmScaleSetName}"
    ),
    "azure-native:dns:RecordSet": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/dnsZones/{zoneName}/{recordType}/{relativeRecordSetName}"
    ),
    "azure-native:network:NatGateway": in_group("{resourceGroupName}/providers/Microsoft.Network/natGateways/{natGatewayName}"),
    "azure-native:network:NetworkInterface": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/networkInterfaces/{networkInterfaceName}"
    ),
    "azure-native:network:NetworkSecurityGroup": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}"
    ),
    "azure-native:network:PublicIPAddress": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/publicIPAddresses/{publicIpAddressName}"
    ),
    "azure-native:network:Subnet": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}"
    ),
    "azure-native:network:VirtualNetwork": in_group(
        "{resourceGroupName}/providers/Microsoft.Network/virtualNetworks/{virtualNetworkName}"
    ),
    "azure-native:resources:ResourceGroup": in_group("{resourceGroupName}"),
}
"""By type, for all that the adapter makes."""
