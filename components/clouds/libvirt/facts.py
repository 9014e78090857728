"""KVM by libvirt: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.consoles import Console
from components.model.clouds.facts import CloudFacts, PublicAddress, Refusal, Sources
from components.model.machine import Public

# onprem.md 6 (provider, what replaces, client's programs), 7 (static addresses by MAC).
FACTS = CloudFacts(
    name="libvirt",
    title="KVM",
    default_region="host",
    default_network="10.20.0.0/16",
    login_user="debian",
    private_node=Public.NO,
    public_address=PublicAddress.PRIVATE,
    fixed_addresses=True,
    firewall_filters_private=False,
    firewalls=False,
    real=True,
    priced=False,
    made_to_measure=True,
    region_shape="host",
    package="libvirt",
    mac_prefix="52:54:00",
    site_uses=("files_store", "cpu"),
    network_prefixes=(8, 28),
    # No firewall but the nodes' own, whose files grow with them (`provider/node_inputs.py`).
    max_networks=400,
    max_operators=400,
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
