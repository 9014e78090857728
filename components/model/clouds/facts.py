"""The clouds, a row of facts each. A difference between clouds is a named trait, never a test of a cloud's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from components.model.machine import MachineType, Public
from components.model.settings import Settings

MACHINES_FILE = Path(__file__).with_name("machines.json")


class PublicAddress(StrEnum):
    """What a node that is reached from outside knows of its public address. `translated`: nothing, 1:1 translation is the
    cloud's. `own`: it stands on the machine beside the private one. `private`: there is only the private one.
    """

    TRANSLATED = "translated"
    OWN = "own"
    PRIVATE = "private"


class Refusal(StrEnum):
    """`CAPACITY`: none of the type is free there. `QUOTA`: the account may have no more. `RATE`: asked too often."""

    CAPACITY = "capacity"
    QUOTA = "quota"
    RATE = "rate"


@dataclass(frozen=True)
class CloudFacts:
    """Facts about one cloud (sources: `facts/clouds.md` by section, `facts/machines.md`).

    `private_node` is how nodes that nobody reaches from outside get out. `fixed_addresses`: private addresses can be
    chosen before the machine exists.
    `firewall_filters_private`: the cloud's firewall also filters traffic inside the network.
    `way_out_by_subnet`: a subnet has one way out for all its nodes, so those reached from outside stand in the upper
    half of the network and the others in the lower.
    `real`: costs money and is reached from the internet, so documentation values are refused by `up`.
    `trial`: machines are small containers on one host. `user_data_gzip`: takes gzip bytes in base64 as user data.
    `user_data_limit`: bytes as sent, ours for every cloud (the smallest of theirs). `metadata_ports`: ports of the
    metadata address that only root may use, empty = all of them. `cloud_init_preinstalled`: the official Debian 12
    image has cloud-init. `package` is the name of the Pulumi package, "" = none but our own; `machine_resource` the Pulumi
    type of a machine. `dns`: has DNS of its own for the domain's records; `dns_key` is what its zones are found by beside
    their names, with an example, "" = by name alone.

    `region_shape` is a regular expression of region names, `zones` the letters or numbers of zones, the default first
    (empty = no zones). `network_prefixes` are the longest and shortest network (prefix lengths) the cloud takes,
    `reserved_networks` are ranges it keeps for itself. `disk_type` is the provider's name of the disks we order (a key
    of the price list), `disk_type_by_family` where a machine family takes only another. `closed_families` are sold to
    nobody new: never chosen, never advised. `disk_rules` are udev's for the names of data disks that Debian has none for, a
    file of `cloud_init/files`. `boot_min_gib` is the smallest boot disk of the Debian image. `refusals` are regular expressions
    for the cloud's errors, `quota_page` is where more is asked for.
    """

    name: str
    title: str
    default_region: str
    default_network: str
    login_user: str
    private_node: Public
    public_address: PublicAddress
    fixed_addresses: bool
    firewall_filters_private: bool
    real: bool
    region_shape: str
    trial: bool = False
    way_out_by_subnet: bool = False
    user_data_gzip: bool = False
    user_data_limit: int = 16384
    first_host: int = 10
    metadata_ports: tuple[int, ...] = ()
    cloud_init_preinstalled: bool = True
    shared_reason: str = ""
    boot_min_gib: int = 10
    package: str = ""
    machine_resource: str = ""
    dns: bool = False
    dns_key: str = ""
    zones: tuple[str, ...] = ()
    network_prefixes: tuple[int, int] = (16, 28)
    reserved_networks: tuple[str, ...] = ()
    disk_type: str = ""
    disk_type_by_family: Mapping[str, str] = field(default_factory=dict)
    closed_families: tuple[str, ...] = ()
    shared_state: str = ""
    disk_rules: str = ""
    refusals: Mapping[Refusal, str] = field(default_factory=dict)
    quota_page: str = ""

    @property
    def machine_types(self) -> tuple[MachineType, ...]:
        """The dedicated-CPU machine types; none where machines are containers."""
        return () if self.trial else load_machine_types(self.name)

    def machine_type(self, name: str) -> MachineType | None:
        """The machine type of that provider's name, None where it is not in the list."""
        return next((machine for machine in self.machine_types if machine.name == name), None)

    def is_shared(self, machine_type: str) -> bool:
        """Whether the provider's name is of a shared or burstable type."""
        return self._matches("shared_or_burstable", machine_type)

    def is_discouraged(self, machine_type: str) -> bool:
        """Whether the provider may move the type's CPU to others or it is of an old generation."""
        return self._matches("discouraged", machine_type)

    def is_not_x86(self, machine_type: str) -> bool:
        """Whether the type has another architecture than the vendor's packages."""
        return self._matches("not_x86", machine_type)

    def disk_type_for(self, machine_type: MachineType) -> str:
        """The provider's name of the disks that this machine type takes."""
        return self.disk_type_by_family.get(machine_type.family, self.disk_type)

    def _matches(self, key: str, name: str) -> bool:
        globs = () if self.trial else load_prices()["clouds"][self.name].get(key, ())
        return any(fnmatchcase(name, glob) for glob in globs)


@cache
def load_prices() -> Mapping[str, Any]:
    """The data file of machine types and prices, with its sources and dates (shape: see the file's `notes`)."""
    data: Mapping[str, Any] = json.loads(MACHINES_FILE.read_text())
    return data


@cache
def load_machine_types(cloud: str) -> tuple[MachineType, ...]:
    """Every machine type of the data file for a cloud; where only the hour is priced a month is `hours_per_month`."""
    data = load_prices()
    hours = data["hours_per_month"][cloud]
    machines = []
    for row in data["clouds"][cloud]["machine_types"]:
        prices = row.get("monthly") or {
            region: hourly * hours for region, hourly in row["hourly"].items() if hourly is not None
        }
        machines.append(MachineType(
            name=row["name"], vcpus=row["vcpus"], memory_gib=row["memory_gib"], cores=row["cores"],
            monthly={region: round(price, 2) for region, price in prices.items() if price is not None},
            family=row["family"], whole_cores=row["full_core_vcpu"] is True,
            root_disk_gib=row["local_disk_gib"] if row.get("root_disk_included") else 0,
        ))
    return tuple(machines)


_rows = (
    CloudFacts(
        "local", "this machine", default_region="local", default_network="10.77.0.0/24", login_user="debian",
        private_node=Public.NO, public_address=PublicAddress.PRIVATE, fixed_addresses=True,
        firewall_filters_private=False, real=False, region_shape="local", trial=True, boot_min_gib=5,
        machine_resource="webitel:index:LocalMachine",
    ),
    CloudFacts(
        # clouds.md 0 (address, firewall, NAT, user data), 1.1 (network sizes), 1.3 (login, disks, burstable), 1.4.
        # us-east-1 is the one region with a dated price of disk, address and NAT (machines.md, uncertain 3).
        "aws", "AWS", default_region="us-east-1", default_network="10.20.0.0/16", login_user="admin",
        private_node=Public.NO, public_address=PublicAddress.TRANSLATED, fixed_addresses=True,
        firewall_filters_private=True, real=True,
        region_shape=r"[a-z]{2}(-[a-z]+)+-\d", user_data_gzip=True, boot_min_gib=8, package="aws",
        zones=("a", "b", "c", "d", "e", "f"), disk_type="gp3", way_out_by_subnet=True, network_prefixes=(16, 27),
        shared_reason="burstable, its CPU is throttled under steady voice load",
        shared_state="aws s3 mb s3://YOUR-BUCKET && export PULUMI_BACKEND_URL='s3://YOUR-BUCKET?region=us-east-1'",
        machine_resource="aws:ec2/instance:Instance", dns=True, dns_key="hosted zone id, Z0123456789ABCDEFGHIJ",
        # EC2's table of error codes.
        refusals={
            Refusal.CAPACITY: "InsufficientInstanceCapacity|InsufficientHostCapacity|InsufficientCapacity",
            Refusal.QUOTA: "LimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded",
            Refusal.RATE: "RequestLimitExceeded|Throttling",
        },
        quota_page="https://console.aws.amazon.com/servicequotas (EC2, Running On-Demand Standard instances)",
    ),
    CloudFacts(
        # clouds.md 0, 2.1, 2.3 (disks by family, no cloud-init), 2.4: the metadata address is also the resolver, so
        # only its port 80 is closed; user data is a start-up script, which is text.
        "gcp", "Google Cloud", default_region="europe-west3", default_network="10.20.0.0/16", login_user="debian",
        private_node=Public.NO, public_address=PublicAddress.TRANSLATED, fixed_addresses=True,
        firewall_filters_private=True, real=True,
        region_shape=r"[a-z]+-[a-z]+\d+", metadata_ports=(80,), cloud_init_preinstalled=False, package="gcp",
        zones=("a", "b", "c", "d", "f"), network_prefixes=(8, 29),
        disk_type="pd-ssd", disk_type_by_family={"c4": "hyperdisk-balanced", "c4d": "hyperdisk-balanced"},
        shared_reason="shared, its CPU is taken away under steady voice load",
        shared_state="gcloud storage buckets create gs://YOUR-BUCKET && export PULUMI_BACKEND_URL=gs://YOUR-BUCKET",
        machine_resource="gcp:compute/instance:Instance", dns=True, dns_key="name of the managed zone, company-zone",
        # Compute Engine, Troubleshooting resource availability and quota errors.
        refusals={
            Refusal.CAPACITY: "RESOURCE_POOL_EXHAUSTED|does not have enough resources|STOCKOUT",
            Refusal.QUOTA: "quotaExceeded|QUOTA_EXCEEDED",
            Refusal.RATE: "rateLimitExceeded|RATE_LIMIT_EXCEEDED",
        },
        quota_page="https://console.cloud.google.com/iam-admin/quotas (Compute Engine, CPUs)",
    ),
    CloudFacts(
        # clouds.md 0, 3.1, 3.3 (login may not be root or admin), 3.4; Debian's image has 30 GiB. Fs_v2 retires in 2028, and no
        # new subscription gets one since July 2026 (real-clouds.md B2).
        # westeurope has dated prices of address and NAT; no region has one of the disks (machines.md, uncertain 3).
        # What a node begins leaves by its subnet's NAT gateway even where it has an address of its own.
        "azure", "Azure", default_region="westeurope", default_network="10.20.0.0/16", login_user="debian",
        private_node=Public.NO, public_address=PublicAddress.TRANSLATED, fixed_addresses=True,
        firewall_filters_private=True, real=True,
        region_shape=r"[a-z]+\d?", user_data_gzip=True, boot_min_gib=30, package="azure-native",
        zones=("1", "2", "3"), network_prefixes=(8, 28), way_out_by_subnet=True,
        disk_type="Premium_LRS", closed_families=("Fs_v2",), disk_rules="node/61-webitel-azure-disks.rules",
        shared_reason="burstable or shared, its CPU is throttled under steady voice load",
        shared_state=(
            "az storage container create --account-name YOUR-ACCOUNT --name YOUR-CONTAINER && export "
            "PULUMI_BACKEND_URL='azblob://YOUR-CONTAINER?storage_account=YOUR-ACCOUNT'"
        ),
        machine_resource="azure-native:compute:VirtualMachine", dns=True, dns_key="resource group, dns-group",
        # Azure Resource Manager, Troubleshoot SKU, allocation, quota and throttling errors.
        refusals={
            Refusal.CAPACITY: "SkuNotAvailable|AllocationFailed|OverconstrainedAllocationRequest|OverconstrainedZonalAllocation",
            Refusal.QUOTA: "QuotaExceeded|exceeding approved|LimitExceeded|CountLimitReached",
            Refusal.RATE: "TooManyRequests|OperationPreempted|RequestsThrottled",
        },
        quota_page="https://portal.azure.com (Subscriptions, Usage + quotas)",
    ),
    CloudFacts(
        # clouds.md 0, 4.1 (VPC /16 to /24 and the reserved ranges, no fixed private address, NAT in private preview),
        # 4.3 (root disk by size), 4.4 (plain text); regions: schemas/README.md 12.
        "digitalocean", "DigitalOcean", default_region="fra1", default_network="10.20.0.0/16", login_user="root",
        private_node=Public.EGRESS, public_address=PublicAddress.OWN, fixed_addresses=False, firewall_filters_private=True,
        real=True, region_shape=r"nyc[123]|sgp1|lon1|ams[23]|fra1|tor1|sfo[123]|blr1|syd1|atl1", package="digitalocean",
        network_prefixes=(16, 24), disk_type="volume",
        reserved_networks=("10.244.0.0/16", "10.245.0.0/16", "10.246.0.0/24", "10.229.0.0/16"),
        shared_reason="shared, its CPU is taken away under steady voice load",
        shared_state=(
            "make a Space, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are its key, export "
            "PULUMI_BACKEND_URL='s3://YOUR-SPACE?region=us-east-1&endpoint=https://fra1.digitaloceanspaces.com'"
        ),
        machine_resource="digitalocean:index/droplet:Droplet", dns=True,
        # The API answers in sentences.
        refusals={
            Refusal.CAPACITY: r"(?i)size .*not available in (the selected )?region|size is not available|currently unavailable",
            Refusal.QUOTA: r"(?i)will exceed your .*limit|limit (was )?exceeded for|reached .*limit",
            Refusal.RATE: r"\b429\b|(?i:too many requests)",
        },
        quota_page="https://cloud.digitalocean.com/account/team (Resource limits)",
    ),
    CloudFacts(
        # clouds.md 0, 5.1 (no NAT, fixed address, 172.31.1.1 reserved), 5.2 (private network unfiltered), 5.3 (root
        # disk by type, locations), 5.4 (base64 of gzip is decoded).
        "hetzner", "Hetzner", default_region="fsn1", default_network="10.20.0.0/16", login_user="root",
        private_node=Public.EGRESS, public_address=PublicAddress.OWN, fixed_addresses=True, firewall_filters_private=False,
        real=True, region_shape="fsn1|nbg1|hel1|ash|hil|sin", user_data_gzip=True, package="hcloud",
        network_prefixes=(8, 28), disk_type="volume", reserved_networks=("172.31.1.1/32",),
        shared_reason="shared, its CPU is taken away under steady voice load",
        shared_state=(
            "make a bucket (Object Storage), AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are its key, export "
            "PULUMI_BACKEND_URL='s3://YOUR-BUCKET?region=fsn1&endpoint=https://fsn1.your-objectstorage.com'"
        ),
        machine_resource="hcloud:index/server:Server", dns=True,
        # Hetzner Cloud API, Errors.
        refusals={
            Refusal.CAPACITY: "resource_unavailable|placement_error",
            Refusal.QUOTA: "resource_limit_exceeded|limit_reached",
            Refusal.RATE: "rate_limit_exceeded",
        },
        quota_page="https://console.hetzner.com (Limits)",
    ),
)

CLOUDS: Mapping[str, CloudFacts] = {cloud.name: cloud for cloud in _rows}

LOCAL_NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "bridged": {"public_address": PublicAddress.PRIVATE, "private_node": Public.NO, "fixed_addresses": True},
    # As on AWS, Google and Azure; as on DigitalOcean; as on Hetzner.
    "nat": {"public_address": PublicAddress.TRANSLATED, "private_node": Public.NO, "fixed_addresses": True},
    "late_address": {"public_address": PublicAddress.OWN, "private_node": Public.EGRESS, "fixed_addresses": False},
    "late_network": {"public_address": PublicAddress.OWN, "private_node": Public.EGRESS, "fixed_addresses": True},
}
"""What `webitel:local_network` makes of the facts where machines are containers."""


def resolve_facts(facts: CloudFacts, settings: Settings) -> CloudFacts:
    """The facts as a deployment's machines have them, with the network that they get."""
    return replace(facts, **LOCAL_NETWORKS[settings.local_network]) if facts.trial else facts
