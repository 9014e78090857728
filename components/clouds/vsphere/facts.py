"""VMware vSphere: what is known before anybody is asked."""

from __future__ import annotations

from dataclasses import replace

from components.model.clouds.consoles import Console
from components.model.clouds.facts import Refusal, Sources
from components.model.clouds.hypervisors import HYPERVISOR

# onprem.md 4 (provider, guestinfo, disks, rules, licences), 7 (static addresses by MAC, VMware's own range of them).
FACTS = replace(
    HYPERVISOR,
    name="vsphere",
    title="VMware vSphere",
    default_region="vcenter",
    licence_cores=16,
    # VMware keeps 00:50:56:00 to 3F for whoever chooses one, and refuses others.
    mac_prefix="00:50:56:3",
    site_uses=("datacenter", "folder", "drs", "core_mhz"),
    region_shape="vcenter",
    zones=("cluster", "cluster-2", "cluster-3"),
    zone_shape=r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?",
    zone_outputs={"vsphere:index/virtualMachine:VirtualMachine": "replaceTrigger"},
    image_shape=(
        r"[A-Za-z0-9_.-]([A-Za-z0-9_./ -]{0,200}[A-Za-z0-9_.-])?",
        "a template by its name, or its path below the datacenter's folder of machines, such as templates/debian-12",
    ),
    user_data_gzip=True,
    network_prefixes=(8, 28),
    package="vsphere",
    machine_resource="vsphere:index/virtualMachine:VirtualMachine",
    type_output="annotation",
    disk_type="vmdk",
    # 62 TiB, the largest disk of vSphere 6 to 8.
    disk_limits={"vmdk": (1, 63_488)},
    boot_max_gib=63_488,
    boot_min_gib=10,
    # vCenter's words for InsufficientResourcesFault, NoDiskSpace; NoPermission, LicenseRestricted; TaskInProgress, sessions.
    refusals={
        Refusal.CAPACITY: "(?i)insufficient (capacity|resource|disk space)|are insufficient for the operation"
        "|no host is compatible|not enough space",
        Refusal.QUOTA: "(?i)permission to perform this operation was denied|not enough licenses"
        "|license.* does not (allow|support)",
        Refusal.RATE: "(?i)another task is already in progress|maximum number of sessions|server is busy",
    },
    quota_page="https://techdocs.broadcom.com/us/en/vmware-cis/vsphere.html",
    credentials=Sources(
        (("VSPHERE_USER", "VSPHERE_PASSWORD"),),
        "a user of vCenter with the role of docs/operate/vsphere.md",
        config=("user", "password"),
        also={
            "server": (
                ("VSPHERE_SERVER",),
                "vsphereServer",
                "./webitel pulumi config set vsphere:vsphereServer vcenter.your-company.com",
            ),
        },
    ),
    console=Console(
        way="the machine in the vSphere Client, Launch Web Console",
        before="a password",
        without="stop the machine, attach its boot disk to another one and mount it there",
        page="https://techdocs.broadcom.com/us/en/vmware-cis/vsphere.html",
    ),
)
