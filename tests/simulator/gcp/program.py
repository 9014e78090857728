"""Two nodes on Google Cloud: network, NAT, firewall by tag, private and public address, data disk."""

import pulumi
from pulumi import ResourceOptions
from pulumi_gcp import compute

ZONE = "europe-west3-a"

config = pulumi.Config()
network = compute.Network("net", name="net", auto_create_subnetworks=False)
subnetwork = compute.Subnetwork("net", name="net", network=network.id, region="europe-west3", ip_cidr_range="10.20.0.0/16")
router = compute.Router("nat", name="nat", network=network.id, region="europe-west3")
compute.RouterNat(
    "nat", name="nat", router=router.name, region="europe-west3", nat_ip_allocate_option="AUTO_ONLY",
    source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES")
compute.Firewall(
    "edge", name="edge", network=network.id, target_tags=["edge"], source_ranges=["0.0.0.0/0"],
    allows=[compute.FirewallAllowArgs(protocol="tcp", ports=["443"])])
for n in (1, 2):
    private = compute.Address(
        f"private-{n}", name=f"private-{n}", region="europe-west3", address_type="INTERNAL", subnetwork=subnetwork.id,
        address=f"10.20.0.{9 + n}")
    public = compute.Address(f"public-{n}", name=f"public-{n}", region="europe-west3")
    disk = compute.Disk(f"edge-{n}", name=f"edge-{n}-database", zone=ZONE, size=10, type="pd-ssd")
    instance = compute.Instance(
        f"edge-{n}", name=f"edge-{n}", zone=ZONE, machine_type=config.get("size") or "c2d-highcpu-2", tags=["edge"],
        boot_disk=compute.InstanceBootDiskArgs(initialize_params=compute.InstanceBootDiskInitializeParamsArgs(
            image="projects/debian-cloud/global/images/family/debian-12", size=20, type="pd-ssd")),
        attached_disks=[compute.InstanceAttachedDiskArgs(source=disk.id, device_name="database")],
        network_interfaces=[compute.InstanceNetworkInterfaceArgs(
            subnetwork=subnetwork.id, network_ip=private.address,
            access_configs=[compute.InstanceNetworkInterfaceAccessConfigArgs(nat_ip=public.address)])],
        metadata={"startup-script": "#!/bin/sh\n"}, allow_stopping_for_update=True,
        opts=ResourceOptions(delete_before_replace=True))
    pulumi.export(f"public-{n}", public.address)
    pulumi.export(f"private-{n}", private.address)
    pulumi.export(f"machine-{n}", instance.instance_id)
