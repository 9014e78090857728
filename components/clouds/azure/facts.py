"""Azure: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.consoles import Console
from components.model.clouds.disk_keys import DiskKeys
from components.model.clouds.existing import GivenNetworks
from components.model.clouds.facts import CloudFacts, PublicAddress, Refusal, Sources
from components.model.clouds.tags import TagRules
from components.model.machine import Public

WITHOUT_ZONES = (
    "australiacentral",
    "australiacentral2",
    "australiasoutheast",
    "brazilsoutheast",
    "canadaeast",
    "francesouth",
    "germanynorth",
    "koreasouth",
    "northcentralus",
    "norwaywest",
    "southafricawest",
    "southindia",
    "switzerlandwest",
    "uaecentral",
    "ukwest",
    "westcentralus",
    "westus",
)
"""Regions that are one place (Microsoft, List of Azure regions)."""

NETWORK_ID = r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Network/virtualNetworks/[\w.-]{2,64}"

# clouds.md 0, 3.1, 3.3 (login may not be root or admin), 3.4; Debian's image has 30 GiB. Fs_v2 retires in 2028, and no
# new subscription gets one since July 2026 (real-clouds.md B2).
# A Premium SSD's speed comes with its size (real-clouds.md B11); Premium SSD v2 is for data disks only.
# What a node begins leaves by its subnet's NAT gateway even where it has an address of its own.
FACTS = CloudFacts(
    name="azure",
    title="Azure",
    default_region="westeurope",
    first_region="germanywestcentral",  # West Europe is short of capacity (real-clouds.md B3)
    default_network="10.20.0.0/16",
    login_user="debian",
    private_node=Public.NO,
    public_address=PublicAddress.TRANSLATED,
    fixed_addresses=True,
    firewall_filters_private=True,
    real=True,
    region_shape=r"[a-z]+\d?",
    user_data_gzip=True,
    boot_min_gib=30,
    package="azure-native",
    zones=("1", "2", "3"),
    region_zones=dict.fromkeys(WITHOUT_ZONES, ()),
    zone_outputs={"azure-native:compute:VirtualMachine": "zones", "azure-native:compute:Disk": "zones"},
    subnet_output=("azure-native:network:Subnet", "addressPrefix"),
    network_prefixes=(8, 28),
    way_out_by_subnet=True,
    disk_type="Premium_LRS",
    data_disk_type="PremiumV2_LRS",
    boot_iops={32: 120, 64: 240, 128: 500, 256: 1100, 512: 2300, 1024: 5000, 2048: 7500},
    disk_limits={"Premium_LRS": (1, 32_767), "PremiumV2_LRS": (1, 65_536)},
    boot_max_gib=4_095,
    # 4000 addresses and ranges in a group (clouds.md 3.2), each named by five rules; what a node's own files bear is less.
    max_networks=400,
    max_operators=200,
    closed_families=("Fs_v2",),
    disk_rules="node/61-webitel-azure-disks.rules",
    shared_reason="burstable or shared, its CPU is throttled under steady voice load",
    shared_state=(
        "az storage container create --account-name YOUR-ACCOUNT --name YOUR-CONTAINER && export "
        "PULUMI_BACKEND_URL='azblob://YOUR-CONTAINER?storage_account=YOUR-ACCOUNT'"
    ),
    machine_resource="azure-native:compute:VirtualMachine",
    type_output="hardwareProfile.vmSize",
    max_flows=500_000,  # real-clouds.md B28
    dns=True,
    dns_key="resource group, dns-group",
    # Azure Resource Manager, Troubleshoot SKU, allocation, quota and throttling errors.
    budget_by="the deployment",
    refusals={
        Refusal.CAPACITY: "SkuNotAvailable|AllocationFailed|OverconstrainedAllocationRequest|OverconstrainedZonalAllocation",
        Refusal.QUOTA: "QuotaExceeded|exceeding approved|LimitExceeded|CountLimitReached",
        Refusal.RATE: "TooManyRequests|OperationPreempted|RequestsThrottled",
    },
    quota_page="https://portal.azure.com (Subscriptions, Usage + quotas)",
    shared_types=("Standard_B*", "Basic_A*", "Standard_A*"),
    other_architectures=("Standard_*p*s_v*",),
    credentials=Sources(
        (
            ("ARM_CLIENT_ID", "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"),
            ("ARM_CLIENT_ID", "ARM_USE_OIDC", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"),
        ),
        "az login",
        (".azure/azureProfile.json",),
        ("clientId",),
    ),
    disk_keys=DiskKeys(
        shape=r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Compute/diskEncryptionSets/[\w.-]+",
        example="/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/keys"
        "/providers/Microsoft.Compute/diskEncryptionSets/disks",
    ),
    # facts/clouds.md 3; the names that begin so are Microsoft's.
    tags=TagRules(
        name=r"[^<>%&\\?/]{1,512}",
        value=r".{0,256}",
        words=r"names up to 512 without < > % & \ ? / and values up to 256",
        reserved=("stack", "managed-by", "role", "node", "azure.*", "microsoft.*", "windows.*"),
    ),
    closed_mail_ports=(25,),  # real-clouds.md B21
    console=Console(
        way="`az serial-console connect --resource-group STACK --name NODE`; boot diagnostics, which it needs, are on",
        before="a password, or nothing",
        without="`az vm user update --resource-group STACK --name NODE --username debian --password ...` has the agent on the "
        "machine set one",
        page="https://learn.microsoft.com/troubleshoot/azure/virtual-machines/linux/serial-console-linux",
    ),
    given_networks=GivenNetworks(
        shape=NETWORK_ID,
        example="/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/network"
        "/providers/Microsoft.Network/virtualNetworks/your-network",
        subnet_shape=rf"(?P<network>{NETWORK_ID})/subnets/[\w.-]{{1,80}}",
        subnet_example="{network}/subnets/telephony",
        resource="azure-native:network:VirtualNetwork",
        place=(
            "azure-native:network:NetworkInterface",
            "ipConfigurations.0.subnet.id",
            "ipConfigurations.0.privateIPAddress",
        ),
    ),
)
