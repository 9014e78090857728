"""Two nodes on Hetzner Cloud: network, firewall, key, address, data disk; `user_data` and `size` come from the configuration."""

import pulumi
import pulumi_hcloud as hcloud

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXn0mR8qV7rY1l2k3m4n5o6p7q8r9s0t1u2v3w4x5y6 test"

config = pulumi.Config()
network = hcloud.Network("net", name="net", ip_range="10.20.0.0/16")
subnet = hcloud.NetworkSubnet(
    "subnet", network_id=network.id.apply(int), type="cloud", network_zone="eu-central", ip_range="10.20.0.0/16"
)
firewall = hcloud.Firewall(
    "edge",
    name="edge",
    rules=[
        hcloud.FirewallRuleArgs(direction="in", protocol="tcp", port="443", source_ips=["0.0.0.0/0"]),
    ],
)
key = hcloud.SshKey("key", name="key", public_key=KEY)
group = hcloud.PlacementGroup("group", name="group", type="spread")
for n in (1, 2):
    address = hcloud.PrimaryIp(f"ip-{n}", name=f"edge-{n}", type="ipv4", location="fsn1", auto_delete=False)
    volume = hcloud.Volume(f"disk-{n}", name=f"edge-{n}-database", size=10, location="fsn1")
    server = hcloud.Server(
        f"edge-{n}",
        name=f"edge-{n}",
        server_type=config.get("size") or "ccx13",
        image="debian-12",
        location="fsn1",
        user_data=config.get("user_data") or "#!/bin/sh\n",
        ssh_keys=[key.id],
        placement_group_id=group.id.apply(int),
        firewall_ids=[firewall.id.apply(int)],
        public_nets=[hcloud.ServerPublicNetArgs(ipv4=address.id.apply(int), ipv6_enabled=False)],
        networks=[hcloud.ServerNetworkArgs(subnet_id=subnet.id, ip=f"10.20.0.{9 + n}")],
        opts=pulumi.ResourceOptions(delete_before_replace=True),
    )
    hcloud.VolumeAttachment(f"disk-{n}", volume_id=volume.id.apply(int), server_id=server.id.apply(int))
    pulumi.export(f"public-{n}", server.ipv4_address)
    pulumi.export(f"private-{n}", server.networks.apply(lambda networks: (networks or [])[0].ip))
