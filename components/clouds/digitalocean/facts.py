"""DigitalOcean: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.consoles import Console
from components.model.clouds.facts import CloudFacts, PublicAddress, Refusal, Sources
from components.model.clouds.tags import TagRules
from components.model.machine import Public

# clouds.md 0, 4.1 (VPC /16 to /24 and the reserved ranges, no fixed private address, NAT in private preview),
# 4.3 (root disk by size), 4.4 (plain text); regions: schemas/README.md 12.
FACTS = CloudFacts(
    name="digitalocean",
    title="DigitalOcean",
    default_region="fra1",
    default_network="10.20.0.0/16",
    login_user="root",
    private_node=Public.EGRESS,
    egress_reason="its NAT gateway is a preview, in some regions only",
    public_address=PublicAddress.OWN,
    fixed_addresses=False,
    # facts/edge-digitalocean.md
    address_stays="no address inside its network goes from one Droplet to another, and without that audio is dead and hang-ups "
    "are lost",
    firewall_filters_private=True,
    plain_network="DigitalOcean encrypts nothing on its private network",
    real=True,
    region_shape=r"nyc[123]|sgp1|lon1|ams[23]|fra1|tor1|sfo[123]|blr1|syd1|atl1",
    package="digitalocean",
    network_prefixes=(16, 24),
    disk_type="volume",
    disk_limits={"volume": (1, 16_384)},
    # 1000 sources in a rule (clouds.md 4.2); what a node's own files bear is less.
    max_networks=400,
    max_operators=400,
    reserved_networks=("10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24", "10.229.0.0/16"),
    shared_reason="shared, its CPU is taken away under steady voice load",
    shared_state=(
        "make a Space, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are its key, export "
        "PULUMI_BACKEND_URL='s3://YOUR-SPACE?region=us-east-1&endpoint=https://fra1.digitaloceanspaces.com'"
    ),
    machine_resource="digitalocean:index/droplet:Droplet",
    type_output="size",
    dns=True,
    # The first one of a region (terraform-provider-digitalocean issues 472 and 1267).
    lasting_network=("digitalocean:index/vpc:Vpc", "digitalocean:index/getVpc:getVpc"),
    # The API answers in sentences.
    budget_page="https://cloud.digitalocean.com/account/billing (Billing alerts)",
    refusals={
        Refusal.CAPACITY: r"(?i)size .*not available in (the selected )?region|size is not available|currently unavailable",
        Refusal.QUOTA: r"(?i)will exceed your .*limit|limit (was )?exceeded for|reached .*limit",
        Refusal.RATE: r"\b429\b|(?i:too many requests)",
    },
    quota_page="https://cloud.digitalocean.com/account/team (Resource limits)",
    shared_types=("s-*",),
    credentials=Sources(
        (("DIGITALOCEAN_TOKEN",), ("DIGITALOCEAN_ACCESS_TOKEN",)),
        "https://cloud.digitalocean.com/account/api/tokens",
        config=("token",),
    ),
    # facts/clouds.md 4: a tag is one text.
    tags=TagRules(
        name="[A-Za-z0-9_-]{1,127}",
        value="[A-Za-z0-9_-]{1,127}",
        words="letters, digits, _ and -, up to 127 each, as one tag name:value",
        reserved=("webitel",),
    ),
    closed_mail_ports=(25, 465, 587),  # real-clouds.md B21
    console=Console(
        way="the droplet, Access, Recovery Console",
        before="a password",
        without="the droplet, Access, Reset root password (sent by mail); or Recovery, Boot from Recovery ISO",
        page="https://docs.digitalocean.com/products/droplets/how-to/recovery/",
    ),
)
