"""Two nodes on AWS: network, routes, NAT, security group, key, interface with an elastic address, data disk."""

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXn0mR8qV7rY1l2k3m4n5o6p7q8r9s0t1u2v3w4x5y6 test"

config = pulumi.Config()
vpc = aws.ec2.Vpc("net", cidr_block="10.20.0.0/16")
gateway = aws.ec2.InternetGateway("gateway", vpc_id=vpc.id)
subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.20.0.0/20", availability_zone="us-east-1a")
table = aws.ec2.RouteTable("table", vpc_id=vpc.id)
aws.ec2.Route("out", route_table_id=table.id, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.id)
aws.ec2.RouteTableAssociation("table", route_table_id=table.id, subnet_id=subnet.id)
group = aws.ec2.SecurityGroup("edge", name="edge", vpc_id=vpc.id, description="edge")
aws.vpc.SecurityGroupIngressRule(
    "web", security_group_id=group.id, ip_protocol="tcp", from_port=443, to_port=443, cidr_ipv4="0.0.0.0/0")
aws.vpc.SecurityGroupEgressRule("all", security_group_id=group.id, ip_protocol="-1", cidr_ipv4="0.0.0.0/0")
key = aws.ec2.KeyPair("key", key_name="key", public_key=KEY)
image = aws.ec2.get_ami_output(
    owners=["136693071363"], most_recent=True,
    filters=[aws.ec2.GetAmiFilterArgs(name="name", values=["debian-12-amd64-*"])])
for n in (1, 2):
    interface = aws.ec2.NetworkInterface(
        f"edge-{n}", subnet_id=subnet.id, private_ips=[f"10.20.0.{9 + n}"], security_groups=[group.id])
    instance = aws.ec2.Instance(
        f"edge-{n}", ami=image.id, instance_type=config.get("size") or "c7a.large", key_name=key.key_name,
        user_data_base64="IyEvYmluL3NoCg==",
        primary_network_interface=aws.ec2.InstancePrimaryNetworkInterfaceArgs(network_interface_id=interface.id),
        root_block_device=aws.ec2.InstanceRootBlockDeviceArgs(volume_type="gp3", volume_size=20, encrypted=True),
        metadata_options=aws.ec2.InstanceMetadataOptionsArgs(http_tokens="required", http_put_response_hop_limit=1),
        opts=ResourceOptions(delete_before_replace=True, ignore_changes=["ami"]))
    address = aws.ec2.Eip(f"edge-{n}", domain="vpc")
    aws.ec2.EipAssociation(
        f"edge-{n}", allocation_id=address.id, network_interface_id=interface.id, opts=ResourceOptions(depends_on=[gateway]))
    volume = aws.ebs.Volume(f"edge-{n}", availability_zone="us-east-1a", size=10, type="gp3", encrypted=True)
    aws.ec2.VolumeAttachment(f"edge-{n}", device_name="/dev/sdf", volume_id=volume.id, instance_id=instance.id)
    pulumi.export(f"public-{n}", address.public_ip)
    pulumi.export(f"private-{n}", interface.private_ip)
