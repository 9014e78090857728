"""Google Cloud: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.buckets import Language, OwnBuckets
from components.model.clouds.consoles import Console
from components.model.clouds.disk_keys import DiskKeys
from components.model.clouds.existing import GivenNetworks
from components.model.clouds.facts import AddressMove, CloudFacts, PublicAddress, Refusal, Sources
from components.model.clouds.tags import TagRules
from components.model.machine import Public

MOST_SOFT_DAYS = 90
"""At most so long a bucket keeps what was deleted softly (facts/backups.md 5.2)."""

# clouds.md 0, 2.1, 2.3 (disks by family, no cloud-init), 2.4: the metadata address is also the resolver, so
# only its port 80 is closed; user data is a start-up script, which is text.
FACTS = CloudFacts(
    name="gcp",
    title="Google Cloud",
    default_region="europe-west3",
    default_network="10.20.0.0/16",
    login_user="debian",
    private_node=Public.NO,
    public_address=PublicAddress.TRANSLATED,
    fixed_addresses=True,
    firewall_filters_private=True,
    real=True,
    region_shape=r"[a-z]+-[a-z]+\d+",
    metadata_ports=(80,),
    cloud_init_preinstalled=False,
    package="gcp",
    zones=("a", "b", "c"),
    region_zones={"us-east1": ("b", "c", "d"), "europe-west1": ("b", "c", "d"), "us-central1": ("a", "b", "c", "f")},
    zone_outputs={"gcp:compute/instance:Instance": "zone", "gcp:compute/disk:Disk": "zone"},
    network_prefixes=(8, 29),
    disk_type="pd-ssd",
    disk_limits={"pd-ssd": (10, 65_536), "hyperdisk-balanced": (4, 65_536)},
    boot_max_gib=65_536,
    # 256 ranges in a rule (clouds.md 2.2).
    max_networks=256,
    max_operators=256,
    disk_type_by_family={"c4": "hyperdisk-balanced", "c4d": "hyperdisk-balanced"},
    shared_reason="shared, its CPU is taken away under steady voice load",
    shared_state="gcloud storage buckets create gs://YOUR-BUCKET && export PULUMI_BACKEND_URL=gs://YOUR-BUCKET",
    largest_packet=1460,
    machine_resource="gcp:compute/instance:Instance",
    type_output="machineType",
    max_packets=1_800_000,  # real-clouds.md B28
    flows_per_vcpu=130_000,
    max_flows=1_040_000,
    dns=True,
    dns_key="name of the managed zone, company-zone",
    # Compute Engine, Troubleshooting resource availability and quota errors.
    budget_by="the project",
    budget_hears=True,
    refusals={
        Refusal.CAPACITY: "RESOURCE_POOL_EXHAUSTED|does not have enough resources|STOCKOUT",
        Refusal.QUOTA: "quotaExceeded|QUOTA_EXCEEDED",
        Refusal.RATE: "rateLimitExceeded|RATE_LIMIT_EXCEEDED",
    },
    quota_page="https://console.cloud.google.com/iam-admin/quotas (Compute Engine, CPUs)",
    shared_types=("e2-*", "f1-micro", "g1-small"),
    discouraged_types=("n1-*", "n4-*", "n4d-*"),
    other_architectures=("t2a-*", "c4a-*", "n4a-*"),
    credentials=Sources(
        (("GOOGLE_CREDENTIALS",), ("GOOGLE_APPLICATION_CREDENTIALS",), ("GOOGLE_OAUTH_ACCESS_TOKEN",)),
        "gcloud auth application-default login",
        (".config/gcloud/application_default_credentials.json",),
        ("credentials", "accessToken"),
        {
            "project": (
                ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"),
                "project",
                "export GOOGLE_PROJECT=your-project",
            )
        },
    ),
    disk_keys=DiskKeys(
        shape=r"projects/[a-z][a-z0-9:.-]*/locations/(?P<region>[a-z0-9-]+)/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}",
        example="projects/your-project/locations/{region}/keyRings/webitel/cryptoKeys/disks",
        anywhere=("global",),
    ),
    # facts/clouds.md 2: labels.
    tags=TagRules(
        name="[a-z][a-z0-9_-]{0,62}",
        value="[a-z0-9_-]{0,63}",
        words="lower case letters, digits, _ and -, names of at most 63 that begin with a letter, values of at most 63",
        reserved=("stack", "managed-by", "role", "node", "goog-.*"),
    ),
    address_moves=AddressMove.GCP,  # facts/edge-google.md
    buckets=OwnBuckets(
        host="storage.googleapis.com",
        shape=r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",  # a dot would make it a domain's, of which somebody has to prove that it is his
        words="3 to 63 small letters, digits and hyphens",
        reserved=r"goog.*|.*(google|g00gle).*",
        guard="nobody deletes it before, but the nodes' key may delete what is there, as Google has one right for that and for "
        "replacing; with an account of yours it is brought back",
        language=Language.GOOGLE,
        most_days=MOST_SOFT_DAYS,
    ),
    closed_mail_ports=(25,),  # real-clouds.md B21
    console=Console(
        way="`gcloud compute instances add-metadata NODE --metadata serial-port-enable=TRUE`, then "
        "`gcloud compute connect-to-serial-port NODE`; afterwards `FALSE`, as it is open to every address",
        before="a password; no constraint `compute.disableSerialPortAccess`",
        without="attach the boot disk to another instance",
        page="https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-using-serial-console",
    ),
    given_networks=GivenNetworks(
        shape=r"projects/[a-z][a-z0-9:.-]*/global/networks/[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
        example="projects/your-project/global/networks/your-network",
        subnet_shape=r"projects/[a-z][a-z0-9:.-]*/regions/(?P<region>[a-z0-9-]+)/subnetworks/[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
        subnet_example="projects/your-project/regions/{region}/subnetworks/telephony",
        resource="gcp:compute/network:Network",
        place=("gcp:compute/instance:Instance", "networkInterfaces.0.subnetwork", "networkInterfaces.0.networkIp"),
    ),
)
