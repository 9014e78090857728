"""Proxmox VE: what is known before anybody is asked."""

from __future__ import annotations

from dataclasses import replace

from components.model.clouds.consoles import Console
from components.model.clouds.facts import Refusal, Sources
from components.model.clouds.hypervisors import HYPERVISOR
from components.model.clouds.tags import TagRules

# onprem.md 2 and 7: machines are made to measure, hosts have their owner's names, `ip_configs` fix the address, its firewall is
# not used (2.6: it follows connections on the host, whose table audio fills).
FACTS = replace(
    HYPERVISOR,
    name="proxmox",
    title="Proxmox VE",
    default_region="cluster",
    site_uses=("vlan", "files_store", "image_checksum", "first_id", "cpu"),
    region_shape="cluster",
    zones=("pve", "pve2", "pve3"),
    zone_shape=r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    zone_outputs={"proxmoxve:index/vmLegacy:VmLegacy": "nodeName"},
    image_shape=(
        r"([A-Za-z0-9-]+/)?[1-9]\d{2,8}|https?://(?!\S*/latest/)\S+\.(qcow2|raw)",
        "a template by its host and number, such as pve/9000, or a dated image such as "
        "https://cloud.debian.org/images/cloud/bookworm/DATE/debian-12-genericcloud-amd64-DATE.qcow2",
    ),
    package="proxmoxve",
    machine_resource="proxmoxve:index/vmLegacy:VmLegacy",
    type_output="description",
    disk_type="disk",
    # The provider counts GB as GiB; a volume of LVM, ZFS or Ceph may be larger than any store.
    disk_limits={"disk": (1, 65_536)},
    boot_max_gib=65_536,
    boot_min_gib=10,
    refusals={
        Refusal.CAPACITY: "not enough memory|out of memory|no space left|not enough free space|start failed: QEMU exited",
        Refusal.QUOTA: "Permission check failed|403 ",
        Refusal.RATE: "got timeout|can't lock file|VM is locked",
    },
    quota_page="https://pve.proxmox.com/wiki/User_Management",
    credentials=Sources(
        (("PROXMOX_VE_API_TOKEN",), ("PROXMOX_VE_USERNAME", "PROXMOX_VE_PASSWORD")),
        "the web interface: Datacenter, Permissions, API Tokens (docs/operate/proxmox.md)",
        config=("apiToken", "password"),
        also={
            "endpoint": (
                ("PROXMOX_VE_ENDPOINT",),
                "endpoint",
                "./webitel pulumi config set proxmoxve:endpoint https://pve.your-company.com:8006/",
            ),
        },
    ),
    # Tags are words; a tag of one's own is name and value with a hyphen between.
    tags=TagRules(
        name="[a-z0-9_][a-z0-9_.+-]{0,62}",
        value="[a-z0-9_.+-]{0,63}",
        words="lower-case letters, digits and - _ . + between them, up to 63",
        reserved=("webitel", "stack", "role", "node"),
    ),
    console=Console(
        way="the machine, Console (a serial one, xterm.js)",
        before="a password",
        without="the host's shell: `qm guest` needs an agent; stop the machine and mount its disk",
        page="https://pve.proxmox.com/wiki/Serial_Terminal",
    ),
    deletion_guard="protection",
)
