"""Hetzner Cloud: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.consoles import Console
from components.model.clouds.facts import AddressMove, CloudFacts, PublicAddress, Refusal, Sources
from components.model.clouds.tags import TagRules
from components.model.machine import Public

# clouds.md 0, 5.1 (no NAT, fixed address, 172.31.1.1 reserved), 5.2 (private network unfiltered), 5.3 (root
# disk by type, locations), 5.4 (base64 of gzip is decoded).
FACTS = CloudFacts(
    name="hetzner",
    title="Hetzner",
    default_region="fsn1",
    first_region="nbg1",  # dedicated CPUs were refused in fsn1 (real-clouds.md B7)
    default_network="10.20.0.0/16",
    login_user="root",
    private_node=Public.EGRESS,
    egress_reason="it has no NAT gateway",
    public_address=PublicAddress.OWN,
    fixed_addresses=True,
    firewall_filters_private=False,
    real=True,
    region_shape="fsn1|nbg1|hel1|ash|hil|sin",
    user_data_gzip=True,
    package="hcloud",
    network_prefixes=(8, 28),
    disk_type="volume",
    disk_limits={"volume": (10, 10_240)},
    # 500 rules counted by address in a firewall, 5 firewalls at a server (clouds.md 5.2); a carrier's network takes five of them.
    max_networks=400,
    max_operators=90,
    reserved_networks=("172.31.1.1/32",),
    shared_reason="shared, its CPU is taken away under steady voice load",
    shared_state=(
        "make a bucket (Object Storage), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are its key, export "
        "PULUMI_BACKEND_URL='s3://YOUR-BUCKET?region=fsn1&endpoint=https://fsn1.your-objectstorage.com'"
    ),
    largest_packet=1450,
    plain_network="Hetzner encrypts nothing on its private network",
    machine_resource="hcloud:index/server:Server",
    type_output="serverType",
    dns=True,
    reverse_dns=True,
    # Hetzner Cloud API, Errors.
    budget_page="https://console.hetzner.com (the project, Usage)",
    refusals={
        Refusal.CAPACITY: "resource_unavailable|placement_error",
        Refusal.QUOTA: "resource_limit_exceeded|limit_reached",
        Refusal.RATE: "rate_limit_exceeded",
    },
    quota_page="https://console.hetzner.com (Limits)",
    shared_types=("cx*", "cpx*", "cax*"),
    other_architectures=("cax*",),
    credentials=Sources(
        (("HCLOUD_TOKEN",),), "https://console.hetzner.com: project, Security, API tokens (read and write)", config=("token",)
    ),
    # facts/clouds.md 5: labels, formed as Kubernetes' are.
    tags=TagRules(
        name=r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
        value=r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?",
        words="letters, digits, - _ and . between them, up to 63",
        reserved=("stack", "managed-by", "role", "node"),
    ),
    closed_mail_ports=(25, 465),  # real-clouds.md B21
    console=Console(
        way="the server, console button at the top",
        before="a password",
        without="`hcloud server reset-password NODE`; or `hcloud server enable-rescue NODE && hcloud server reset NODE`, "
        "which boots a system beside the one on the disk",
        page="https://docs.hetzner.com/cloud/servers/how-to-rescue/reset-password",
    ),
    deletion_guard="deleteProtection",
    address_moves=AddressMove.HETZNER,  # facts/edge-hetzner.md
    address_token="read, change and delete all of the project: every server with its disks, addresses, firewalls and DNS zones",
)
