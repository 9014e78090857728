"""Two nodes on Azure: group, network, rules, interface with a public address, data disk."""

import pulumi
from pulumi import ResourceOptions
from pulumi_azure_native import compute, network, resources

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXn0mR8qV7rY1l2k3m4n5o6p7q8r9s0t1u2v3w4x5y6 test"

config = pulumi.Config()
group = resources.ResourceGroup("group", resource_group_name="test")
net = network.VirtualNetwork(
    "net", resource_group_name=group.name, virtual_network_name="net",
    address_space=network.AddressSpaceArgs(address_prefixes=["10.20.0.0/16"]))
subnet = network.Subnet(
    "subnet", resource_group_name=group.name, virtual_network_name=net.name, subnet_name="subnet",
    address_prefix="10.20.0.0/20", default_outbound_access=False)
rules = network.NetworkSecurityGroup(
    "edge", resource_group_name=group.name, network_security_group_name="edge", security_rules=[network.SecurityRuleArgs(
        name="web", priority=100, direction="Inbound", access="Allow", protocol="Tcp", source_address_prefix="*",
        source_port_range="*", destination_address_prefix="*", destination_port_range="443")])
for n in (1, 2):
    address = network.PublicIPAddress(
        f"edge-{n}", resource_group_name=group.name, public_ip_address_name=f"edge-{n}", public_ip_allocation_method="Static",
        sku=network.PublicIPAddressSkuArgs(name="Standard"), zones=["1", "2", "3"])
    interface = network.NetworkInterface(
        f"edge-{n}", resource_group_name=group.name, network_interface_name=f"edge-{n}",
        network_security_group=network.NetworkSecurityGroupArgs(id=rules.id),
        ip_configurations=[network.NetworkInterfaceIPConfigurationArgs(
            name="primary", private_ip_address=f"10.20.0.{9 + n}", private_ip_allocation_method="Static",
            subnet=network.SubnetArgs(id=subnet.id), public_ip_address=network.PublicIPAddressArgs(id=address.id))])
    disk = compute.Disk(
        f"edge-{n}", resource_group_name=group.name, disk_name=f"edge-{n}-database", zones=["1"], disk_size_gb=10,
        creation_data=compute.CreationDataArgs(create_option="Empty"), sku=compute.DiskSkuArgs(name="Premium_LRS"))
    machine = compute.VirtualMachine(
        f"edge-{n}", resource_group_name=group.name, vm_name=f"edge-{n}", zones=["1"],
        hardware_profile=compute.HardwareProfileArgs(vm_size=config.get("size") or "Standard_F2als_v6"),
        os_profile=compute.OSProfileArgs(
            computer_name=f"edge-{n}", admin_username="debian", custom_data="IyEvYmluL3NoCg==",
            linux_configuration=compute.LinuxConfigurationArgs(
                disable_password_authentication=True, ssh=compute.SshConfigurationArgs(public_keys=[
                    compute.SshPublicKeyArgs(path="/home/debian/.ssh/authorized_keys", key_data=KEY)]))),
        storage_profile=compute.StorageProfileArgs(
            image_reference=compute.ImageReferenceArgs(
                publisher="Debian", offer="debian-12", sku="12-gen2", version="latest"),
            os_disk=compute.OSDiskArgs(create_option="FromImage", disk_size_gb=30),
            data_disks=[compute.DataDiskArgs(
                lun=0, create_option="Attach", managed_disk=compute.ManagedDiskParametersArgs(id=disk.id))]),
        network_profile=compute.NetworkProfileArgs(
            network_interfaces=[compute.NetworkInterfaceReferenceArgs(id=interface.id, primary=True)]),
        opts=ResourceOptions(delete_before_replace=True))
    pulumi.export(f"public-{n}", address.ip_address)
    pulumi.export(f"private-{n}", interface.ip_configurations.apply(lambda all: (all or [])[0].private_ip_address))
    pulumi.export(f"machine-{n}", machine.vm_id)
