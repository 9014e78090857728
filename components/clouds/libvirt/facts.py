"""KVM by libvirt: what is known before anybody is asked."""

from __future__ import annotations

from dataclasses import replace

from components.model.clouds.consoles import Console
from components.model.clouds.facts import Refusal, Sources
from components.model.clouds.hypervisors import HYPERVISOR

# onprem.md 6 (provider, what replaces, client's programs), 7 (static addresses by MAC).
FACTS = replace(
    HYPERVISOR,
    name="libvirt",
    title="KVM",
    default_region="host",
    region_shape="host",
    # Hosts with an endpoint each (`site.hosts`); the first one, unless it has one, is that at `libvirt:uri`.
    zones=("kvm-1", "kvm-2", "kvm-3"),
    zone_shape=r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?",
    package="libvirt",
    mac_prefix="52:54:00",
    site_uses=("files_store", "cpu", "hosts"),
    network_prefixes=(8, 28),
    disk_type="volume",
    # What a file of ext4, and one of qcow2, may have.
    disk_limits={"volume": (1, 8_192)},
    boot_max_gib=8_192,
    machine_resource="libvirt:index/domain:Domain",
    # QEMU's and libvirtd's words.
    refusals={
        Refusal.CAPACITY: "Cannot allocate memory|cannot set up guest memory|No space left on device",
        Refusal.QUOTA: "access denied|authentication (failed|unavailable|required)",
        Refusal.RATE: "has asynchronous jobs running|cannot acquire state change lock",
    },
    quota_page="https://libvirt.org/aclpolkit.html",
    credentials=Sources(
        (("LIBVIRT_DEFAULT_URI",),),
        "the host's address as qemu+ssh://root@HOST/system?keyfile=/home/you/.ssh/id_ed25519",
        config=("uri",),
    ),
    console=Console(
        way="`virsh --connect URI console NODE`, on a machine that reaches the host",
        before="a password",
        without="`virsh --connect URI shutdown NODE`, then on the host `virt-customize --domain NODE --root-password "
        "password:...`",
        page="https://libvirt.org/manpages/virsh.html#console",
    ),
)
