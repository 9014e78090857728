"""XCP-ng by Xen Orchestra: what is known before anybody is asked."""

from __future__ import annotations

from dataclasses import replace

from components.model.clouds.consoles import Console
from components.model.clouds.facts import Refusal, Sources
from components.model.clouds.hypervisors import HYPERVISOR
from components.model.clouds.tags import TagRules

# onprem.md 5 (provider, what replaces, what is ignored in the guest, disks), 7 (static addresses by MAC).
FACTS = replace(
    HYPERVISOR,
    name="xen",
    title="XCP-ng",
    default_region="pool",
    disks_in_machine=True,
    key_in_user_data=True,
    region_shape="pool",
    # Hosts are preferred ones: a machine in a shared store starts elsewhere where its own is gone.
    zones=("xcp1", "xcp2", "xcp3"),
    zone_shape=r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?",
    image_shape=(r"\S(.*\S)?", "the name of a template, such as debian-12 (docs/operate/xen.md makes one)"),
    package="xenorchestra",
    machine_resource="xenorchestra:index/vm:Vm",
    type_output="nameDescription",
    mac_prefix="00:16:3E",
    site_uses=("pool",),
    network_prefixes=(8, 28),
    disk_type="vdi",
    # What a VHD may have.
    disk_limits={"vdi": (1, 2_040)},
    boot_max_gib=2_040,
    # XAPI's words.
    refusals={
        Refusal.CAPACITY: "HOST_NOT_ENOUGH_FREE_MEMORY|NO_HOSTS_AVAILABLE|SR_BACKEND_FAILURE_44|not enough space|no space left",
        Refusal.QUOTA: "not enough permissions|unauthorized|not enough .* available in the set|LICENCE_RESTRICTION",
        Refusal.RATE: "OTHER_OPERATION_IN_PROGRESS|TOO_MANY_PENDING_TASKS",
    },
    quota_page="https://docs.xen-orchestra.com/users",
    credentials=Sources(
        (("XOA_TOKEN",), ("XOA_USER", "XOA_PASSWORD")),
        "Xen Orchestra: your user, Authentication tokens (docs/operate/xen.md)",
        config=("token", "password"),
        also={
            "url": (
                ("XOA_URL",),
                "url",
                "./webitel pulumi config set xenorchestra:url wss://xo.your-company.com",
            ),
        },
    ),
    # Tags are words; a tag of one's own is name and value with an equals sign between, as Xen Orchestra shows them.
    tags=TagRules(
        name="[A-Za-z0-9_][A-Za-z0-9_. -]{0,62}",
        value="[A-Za-z0-9_. :/-]{0,127}",
        words="letters, digits and - _ . : / in words",
        reserved=("webitel", "stack", "role", "node"),
    ),
    console=Console(
        way="the machine, Console",
        before="a password",
        without="stop the machine and mount its disk",
        page="https://docs.xen-orchestra.com/manage_infrastructure",
    ),
    deletion_guard="blockedOperations",
)
