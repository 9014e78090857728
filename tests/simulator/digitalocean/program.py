"""Two nodes on DigitalOcean: network, firewall by tag, key, data disk, an address that only arrives."""

import pulumi
import pulumi_digitalocean as do

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXn0mR8qV7rY1l2k3m4n5o6p7q8r9s0t1u2v3w4x5y6 test"

config = pulumi.Config()
vpc = do.Vpc("net", name="net", region="fra1", ip_range="10.20.0.0/16")
tag = do.Tag("edge", name="test-edge")
firewall = do.Firewall(
    "edge", name="edge", tags=[tag.name],
    inbound_rules=[do.FirewallInboundRuleArgs(protocol="tcp", port_range="443", source_addresses=["0.0.0.0/0"])],
    outbound_rules=[do.FirewallOutboundRuleArgs(protocol="tcp", port_range="1-65535", destination_addresses=["0.0.0.0/0"])],
)
key = do.SshKey("key", name="key", public_key=KEY)
for n in (1, 2):
    volume = do.Volume(f"disk-{n}", name=f"edge-{n}-database", size=10, region="fra1")
    droplet = do.Droplet(
        f"edge-{n}", name=f"edge-{n}", size=config.get("size") or "c-2", image="debian-12-x64", region="fra1",
        user_data=config.get("user_data") or "#!/bin/sh\n", ssh_keys=[key.id], vpc_uuid=vpc.id, tags=[tag.name],
    )
    number = droplet.id.apply(int)
    attached = do.VolumeAttachment(f"disk-{n}", volume_id=volume.id, droplet_id=number)
    reserved = do.ReservedIp(f"ip-{n}", region="fra1")
    do.ReservedIpAssignment(
        f"ip-{n}", ip_address=reserved.ip_address, droplet_id=number, opts=pulumi.ResourceOptions(depends_on=[attached]))
    pulumi.export(f"public-{n}", droplet.ipv4_address)
    pulumi.export(f"private-{n}", droplet.ipv4_address_private)
