"""What a plan is made of before it is one: the settings, and what was decided from them first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network

from components.model.catalogue.service import PackageSource, Service
from components.model.catalogue.tiers import Role, Tier
from components.model.clouds.facts import CloudFacts
from components.model.machine import MachineType, Public, Size
from components.model.planning.addresses import ZONE_SUBNETS, ZONE_SUBNETS_PREFIX, resolve_network
from components.model.planning.placement import choose_quorum, place_services
from components.model.settings import Settings

Catalogue = Mapping[str, Service]


@dataclass(frozen=True)
class Draft:
    """A deployment on its way to a plan, as every check and every later step of the planner takes it.

    `facts` are the cloud's, with the network that the machines get. A role's wrong count and wrong machine type are left out of
    `counts` and `machines`, which have the tier's instead: one mistake must not hide the others.
    """

    settings: Settings
    stack: str
    facts: CloudFacts
    tier: Tier
    catalogue: Catalogue
    counts: Mapping[str, int]
    machines: Mapping[str, MachineType]

    @property
    def region(self) -> str:
        """The cloud's region."""
        return self.settings.region or self.facts.default_region

    @cached_property
    def network(self) -> IPv4Network:
        """The deployment's private network."""
        return resolve_network(self.settings, self.facts)

    @property
    def package_source(self) -> PackageSource:
        """Where packages come from."""
        return resolve_package_source(self.settings, self.facts)

    @cached_property
    def placed(self) -> Mapping[tuple[str, int], tuple[str, ...]]:
        """The services of every node by role and number, in start order."""
        return place_services(self.tier, self.counts, self.catalogue, self.quorum)

    @cached_property
    def quorum(self) -> tuple[tuple[str, int], ...]:
        """Role and number of the nodes with the service that needs a quorum."""
        names = (name.rpartition("-") for name in self.settings.consul_servers)
        standing = [(role, int(n)) for role, _, n in names if n.isdecimal()]
        return choose_quorum(self.tier, self.counts, self.catalogue, self.zone_of, standing)

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones in which new nodes stand in turn; none where the region is one place."""
        return list_zones(self.settings, self.facts)

    def zone_of(self, role: str, n: int) -> str:
        """Return the zone of a role's n-th node, "" where there are none."""
        if not self.zones:
            return ""
        return self.settings.node_zones.get(f"{role}-{n}") or self.zones[(n - 1) % len(self.zones)]

    @property
    def home(self) -> str:
        """The zone of the first node, which always is there: what a deployment has once stands in it."""
        return self.zone_of(self.tier.roles[0].name, 1)

    @property
    def is_given(self) -> bool:
        """Whether the network is the company's."""
        return bool(self.settings.existing_network.id or self.settings.existing_network.subnets)

    def public_of(self, role: str) -> Public:
        """Return how a role's nodes are reached, and get out."""
        public = self.tier.role(role).public
        return public if public is Public.SERVICE else self.facts.private_node

    @cached_property
    def has_zone_subnets(self) -> bool:
        """Whether every zone has subnets of its own."""
        roomy = self.network.prefixlen <= ZONE_SUBNETS_PREFIX
        return self.facts.has_zone_subnets and bool(self.zones) and self.settings.zone_subnets and roomy and not self.is_given

    def slot_of(self, zone: str) -> int | None:
        """Return which of the subnets a zone has, the home's the first whatever zones there are; None where subnets are not by
        zone."""
        if not self.has_zone_subnets:
            return None
        known = self.facts.zones_in(self.region)
        return (known.index(zone) - known.index(self.home)) % ZONE_SUBNETS if {zone, self.home} <= set(known) else 0

    def size_of(self, role: Role) -> Size:
        """Return the size of a role's nodes as the tier has it."""
        return tier_size(role, self.facts)

    def disks_of(self, role: Role) -> dict[str, int]:
        """Return GiB by purpose of a role's disks as the tier has them, the boot disk first."""
        return tier_disks(role, self.facts)


def list_zones(settings: Settings, facts: CloudFacts) -> tuple[str, ...]:
    """Return the zones that are set, else the first that the region has; none where it is one place."""
    region = settings.region or facts.default_region
    return settings.zones or ((settings.zone,) if settings.zone else facts.zones_in(region)[:1])


def resolve_package_source(settings: Settings, facts: CloudFacts) -> PackageSource:
    """Return where packages come from: as set, else the sandbox on containers and the vendor on a cloud."""
    return settings.package_source or (PackageSource.SANDBOX if facts.trial else PackageSource.VENDOR)


def tier_size(role: Role, facts: CloudFacts) -> Size:
    """Return the size of a role's nodes as the tier has it."""
    return role.trial if facts.trial else role.size


def tier_disks(role: Role, facts: CloudFacts) -> dict[str, int]:
    """Return GiB by purpose of a role's disks as the tier has them, the boot disk first."""
    disks = role.trial_disks if facts.trial else role.disks
    boot = max(tier_size(role, facts).boot_gib, facts.boot_min_gib)
    sizes = {"boot": boot, "database": disks.database, "recordings": disks.recordings}
    return {purpose: gib for purpose, gib in sizes.items() if gib}
