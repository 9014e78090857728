"""What a cloud's facts are; each cloud's own stand in its folder. A difference between clouds is a named trait, never a test
of a cloud's name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from components.model.catalogue.tiers import TIERS
from components.model.clouds.buckets import OwnBuckets
from components.model.clouds.consoles import Console
from components.model.clouds.disk_keys import DiskKeys
from components.model.clouds.existing import GivenNetworks
from components.model.clouds.tags import TagRules
from components.model.machine import MachineType, Public, read_measure
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


class AddressMove(StrEnum):
    """How the one address of SIP goes from one node to the other. `NEVER`: not built. `ARP`: the node takes it, and its
    neighbours follow. `AWS`: a secondary private address that the node has EC2 move to its own interface, with the Elastic IP
    that is translated to it; the address' packets stay within its subnet, so within one zone. `HETZNER`: an alias of the server
    in the network, and a floating address that the node has on its own interface. `GCP`: rules that forward a public
    and a private address of the region to one instance, which the node has Google lead to itself; nothing is translated.
    """

    NEVER = ""
    ARP = "arp"
    AWS = "aws"
    GCP = "gcp"
    HETZNER = "hetzner"


METADATA = "169.254.169.254"
"""Where a machine asks its cloud about itself (IPv4, the same on all five)."""


@dataclass(frozen=True)
class Sources:
    """Where a provider finds its credentials.

    `variables`: sets of environment variables, each set enough. `files` of the home directory, written by `login`.
    `config`: names under the provider's namespace in the stack file. `also`: further things it cannot do without,
    each as the variables and names in the stack file that say it, with how to set it.
    """

    variables: tuple[tuple[str, ...], ...]
    login: str
    files: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    also: Mapping[str, tuple[tuple[str, ...], str, str]] = field(default_factory=dict)


NO_SOURCES = Sources((), "")
"""Of a cloud that asks for none."""


@dataclass(frozen=True)
class CloudFacts:
    """Facts about one cloud (sources: `facts/clouds.md` by section, `facts/machines.md`).

    `private_node` is how nodes that nobody reaches from outside get out, `egress_reason` why by addresses of their own where they
    do. `fixed_addresses`: private addresses can be
    chosen before the machine exists.
    `firewall_filters_private`: the cloud's firewall also filters traffic inside the network; `firewalls`: there is one at all,
    else the nodes' own is the only one.
    `way_out_by_subnet`: a subnet has one way out for all its nodes, so those reached from outside stand in the upper
    half of the network and the others in the lower.
    `real`: machines are made by an account of a provider. `given`: hosts are given, none is made.
    `trial`: machines are small containers on one host. `priced`: machines are of types with prices, in the price list; else
    nobody is paid for them by the month. `made_to_measure`: a machine has the vCPU and the memory that its role needs, on hosts
    of one's own, which are not promised twice; the nodes' MAC addresses then begin with `mac_prefix`, and
    `site_uses` are parts of `webitel:site` that are of use there, beside those that are everywhere. `licence_cores`: as many
    cores at least count for each CPU of a host where its software is licensed by the core, 0 = it is not.
    `disks_in_machine`: a data disk is part of its machine and goes with it, so no machine with data is replaced, and none is
    deleted unless its data may go; `key_in_user_data`: nothing tells a machine our SSH key but its user data.
    `image_shape`: a regular expression of `webitel:image`, which has to be given, and what it means; empty = there is a usual.
    `user_data_gzip`: takes gzip bytes in base64 as user data. `user_data_limit`: bytes as sent, ours everywhere (the smallest
    of theirs). `metadata_ports`: ports of the
    metadata address that only root may use, empty = all of them. `cloud_init_preinstalled`: the official Debian 12
    image has cloud-init. `package` is the name of the Pulumi package, "" = none but our own; `machine_resource` the Pulumi
    type of a machine, `type_output` which output tells its machine type.
    `lasting_network`: the type of a network that may have become the region's default, which the cloud never deletes, and the
    function that tells it (`default`), "" = no such thing. `budget_by`: of what `budget` makes an alarm, "" = it makes none,
    and `budget_page` is where the console has one; `budget_hears`: the alarm reaches somebody by itself. `dns`: has DNS of its
    own for the domain's records; `dns_key` is what its zones are found by beside their names, with an example, "" = by name
    alone.

    `default_region` is where a deployment stands that names none, for good: another one would be other machines. `first_region`
    is what a new stack file names, where another one is better now ("" = the default).
    `region_shape` is a regular expression of region names, `zones` the letters or numbers of zones, the default first (empty =
    no zones), `region_zones` those of regions that have others. `zone_shape` is a regular expression of zones whose names their
    owner chose (hosts of a hypervisor), "" = there are just those. `zone_outputs` are the types of resources that stand in one
    zone for good and the output that tells it; `subnet_output` the type of a subnet that belongs to a zone, so that every zone
    has its own, and the output with its range, "" = subnets are the region's. `network_prefixes` are the longest and shortest
    network (prefix lengths) the cloud takes, `reserved_networks` are ranges it keeps for itself. `disk_type` is the provider's
    name of the disks we order (a key of the price list), `disk_type_by_family` where a machine family takes only another,
    `data_disk_type` that of data disks where it is no type for boot disks. `boot_iops` are the IOPS of boot disks by GiB where
    size decides the speed.
    `disk_limits` are the smallest and the largest data disk by that name, `boot_max_gib` is the largest boot disk (0 = not
    known). `max_networks` are as many of carriers and phones, adjacent ones merged, as the firewalls of one machine have
    room for, `max_operators` as many operators; 0 = any number. `rules_per_group`: what a group of rules holds each way
    where a machine has few groups (0 = enough of both). `reserved_names`: stack names that the cloud refuses for what is
    named after them.
    `closed_families` are sold to nobody new: never chosen, never advised. `disk_rules` are udev's for
    the names of data disks that Debian has none for, a file of `cloud_init/files`. `boot_min_gib` is the smallest boot disk of
    the Debian image. `refusals` are regular expressions for the cloud's errors, `quota_page` is where more is asked for.
    `shared_types`, `discouraged_types` and `other_architectures` are shell patterns of machine types that no node gets.
    `credentials` is where the provider finds them. `tags` are the rules of a deployment's own tags, None where nothing wears any.
    `disk_keys` is how it names an encryption key of one's own, None where it takes none. `console` is the way to a machine that
    nobody reaches over its network, None where that is this machine's own. `given_networks`: how a network that the company has
    is named, None where a deployment always makes its own. `closed_mail_ports`: where no mail of a new account gets out.
    `tracks_all_but`: ports of a way out to everybody with which the firewall does not remember what everybody may send in,
    "" = it remembers each flow, or none. `largest_packet`: bytes that get through between nodes where that is less than an
    interface has by itself, 0 elsewhere. `plain_network`: why its private network is none for what must not be read, "" =
    nothing speaks against it. `max_packets`: a second, from outside, to one machine; `max_flows`: of one machine, by
    its size where that is less (`flows_per_vcpu`); 0 = not published. `reverse_dns`: names of addresses are resources that come
    and go by themselves; `reverse_dns_first`: a name has to lead to its address before that leads
    back. `deletion_guard`: the input by which the cloud refuses to delete a thing, and which its provider leaves alone at a
    deletion, "" = there is none. `address_moves`: how the address of SIP goes from one node to another, and `address_token`: what
    whoever has the token that nodes need for that could do with it, "" = they need none of ours; `address_stays`: why it does not
    go to another node, where that is known.
    `buckets`: how a bucket for backups is named that a deployment makes itself, None where it makes none.
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
    first_region: str = ""
    egress_reason: str = ""
    trial: bool = False
    priced: bool = True
    made_to_measure: bool = False
    mac_prefix: str = ""
    site_uses: tuple[str, ...] = ()
    licence_cores: int = 0
    firewalls: bool = True
    disks_in_machine: bool = False
    key_in_user_data: bool = False
    image_shape: tuple[str, str] = ("", "")
    given: bool = False
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
    type_output: str = ""
    lasting_network: tuple[str, str] = ("", "")
    budget_by: str = ""
    budget_page: str = ""
    budget_hears: bool = False
    dns: bool = False
    dns_key: str = ""
    zones: tuple[str, ...] = ()
    region_zones: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zone_shape: str = ""
    zone_outputs: Mapping[str, str] = field(default_factory=dict)
    subnet_output: tuple[str, str] = ("", "")
    network_prefixes: tuple[int, int] = (16, 28)
    reserved_networks: tuple[str, ...] = ()
    disk_type: str = ""
    disk_type_by_family: Mapping[str, str] = field(default_factory=dict)
    data_disk_type: str = ""
    boot_iops: Mapping[int, int] = field(default_factory=dict)
    disk_limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    boot_max_gib: int = 0
    max_networks: int = 0
    max_operators: int = 0
    rules_per_group: int = 0
    reserved_names: str = ""
    closed_families: tuple[str, ...] = ()
    shared_state: str = ""
    disk_rules: str = ""
    refusals: Mapping[Refusal, str] = field(default_factory=dict)
    quota_page: str = ""
    shared_types: tuple[str, ...] = ()
    discouraged_types: tuple[str, ...] = ()
    other_architectures: tuple[str, ...] = ()
    credentials: Sources = NO_SOURCES
    tags: TagRules | None = None
    disk_keys: DiskKeys | None = None
    console: Console | None = None
    given_networks: GivenNetworks | None = None
    closed_mail_ports: tuple[int, ...] = ()
    tracks_all_but: str = ""
    largest_packet: int = 0
    plain_network: str = ""
    max_packets: int = 0
    max_flows: int = 0
    flows_per_vcpu: int = 0
    reverse_dns: bool = False
    reverse_dns_first: bool = False
    deletion_guard: str = ""
    address_moves: AddressMove = AddressMove.NEVER
    address_token: str = ""
    address_stays: str = ""
    buckets: OwnBuckets | None = None

    @property
    def moved_by_cloud(self) -> bool:
        """Whether the cloud has to be asked to move the address of SIP, which has a public one of its own there."""
        return self.address_moves not in (AddressMove.NEVER, AddressMove.ARP)

    @property
    def forwards_public(self) -> bool:
        """Whether packets to the public address of SIP come with that, and the node has to translate it itself."""
        return self.address_moves is AddressMove.GCP

    @property
    def in_earnest(self) -> bool:
        """Whether people rely on it and the internet reaches it: then documentation values are refused by `up`."""
        return self.real or self.given

    @property
    def best_region(self) -> str:
        """The region that a new stack file names."""
        return self.first_region or self.default_region

    @property
    def is_one_place(self) -> bool:
        """Whether there is one region only, which nobody has to name."""
        return self.region_shape == self.default_region

    @property
    def machine_types(self) -> tuple[MachineType, ...]:
        """The dedicated-CPU machine types; none where nobody sells any."""
        return load_machine_types(self.name) if self.priced else ()

    def zones_in(self, region: str) -> tuple[str, ...]:
        """Return the zones of a region, the default first; none where it is one place."""
        return self.region_zones.get(region, self.zones)

    @property
    def has_endpoints(self) -> bool:
        """Whether a zone is a host that is spoken to itself, by an endpoint of its own."""
        return "hosts" in self.site_uses

    @property
    def has_zone_subnets(self) -> bool:
        """Whether a subnet belongs to a zone."""
        return bool(self.subnet_output[0])

    def machine_type(self, name: str) -> MachineType | None:
        """Return the machine type of that provider's name, None where it is not in the list; one made to measure by `4x8`."""
        if self.made_to_measure:
            return read_measure(name)
        return next((machine for machine in self.machine_types if machine.name == name), None)

    def is_shared(self, machine_type: str) -> bool:
        """Return whether the provider's name is of a shared or burstable type."""
        return _matches(self.shared_types, machine_type)

    def is_discouraged(self, machine_type: str) -> bool:
        """Return whether the provider may move the type's CPU to others or it is of an old generation."""
        return _matches(self.discouraged_types, machine_type)

    def is_not_x86(self, machine_type: str) -> bool:
        """Return whether the type has another architecture than the vendor's packages."""
        return _matches(self.other_architectures, machine_type)

    def disk_type_for(self, machine_type: MachineType, *, data: bool = False) -> str:
        """Return the provider's name of the boot disk that this machine type takes, or of its data disks."""
        if data and self.data_disk_type:
            return self.data_disk_type
        return self.disk_type_by_family.get(machine_type.family, self.disk_type)

    def boot_gib_for(self, iops: int) -> int:
        """Return the smallest boot disk that does so many IOPS, GiB; 0 where its size has nothing to do with it."""
        return min((gib for gib, carried in self.boot_iops.items() if carried >= iops), default=0) if iops else 0


def _matches(globs: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


@cache
def load_prices() -> Mapping[str, Any]:
    """Return the data file of machine types and prices, with its sources and dates (shape: see the file's `notes`)."""
    data: Mapping[str, Any] = json.loads(MACHINES_FILE.read_text())
    return data


@cache
def load_machine_types(cloud: str) -> tuple[MachineType, ...]:
    """Return every machine type of the data file for a cloud; where only the hour is priced a month is `hours_per_month`."""
    data = load_prices()
    hours = data["hours_per_month"][cloud]
    machines = []
    for row in data["clouds"][cloud]["machine_types"]:
        prices = row.get("monthly") or {region: hourly * hours for region, hourly in row["hourly"].items() if hourly is not None}
        machines.append(
            MachineType(
                name=row["name"],
                vcpus=row["vcpus"],
                memory_gib=row["memory_gib"],
                cores=row["cores"],
                monthly={region: round(price, 2) for region, price in prices.items() if price is not None},
                family=row["family"],
                whole_cores=row["full_core_vcpu"] is True,
                root_disk_gib=row["local_disk_gib"] if row.get("root_disk_included") else 0,
                transfer_gib=row.get("transfer_gib", 0),
            )
        )
    return tuple(machines)


LOCAL_NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "bridged": {
        "public_address": PublicAddress.PRIVATE,
        "private_node": Public.NO,
        "fixed_addresses": True,
        "address_moves": AddressMove.ARP,
    },
    # As on AWS, Google and Azure; as on DigitalOcean; as on Hetzner.
    "nat": {
        "public_address": PublicAddress.TRANSLATED,
        "private_node": Public.NO,
        "fixed_addresses": True,
        "address_moves": AddressMove.ARP,
    },
    "late_address": {"public_address": PublicAddress.OWN, "private_node": Public.EGRESS, "fixed_addresses": False},
    "late_network": {"public_address": PublicAddress.OWN, "private_node": Public.EGRESS, "fixed_addresses": True},
}
"""What `webitel:local_network` makes of the facts where machines are containers."""


def resolve_facts(facts: CloudFacts, settings: Settings) -> CloudFacts:
    """Return the facts as a deployment's machines have them, with the network that they get."""
    if facts.made_to_measure:
        # Whoever has a router of their own says what it translates.
        return replace(
            facts, public_address=PublicAddress.TRANSLATED if settings.site.public_addresses else PublicAddress.PRIVATE
        )
    if facts.given:
        return replace(facts, login_user=settings.host_user, public_address=find_public_address(settings))
    return replace(facts, **LOCAL_NETWORKS[settings.local_network]) if facts.trial else facts


def find_public_address(settings: Settings) -> PublicAddress:
    """Return what given hosts know of the addresses by which they are reached. Hosts that differ are refused elsewhere."""
    outer = {role.name for role in TIERS[settings.tier].roles if role.public is Public.SERVICE}
    reached = [host for host in settings.hosts if host.role in outer]
    if any(host.translated for host in reached):
        return PublicAddress.TRANSLATED
    return PublicAddress.OWN if any(host.public != host.private for host in reached) else PublicAddress.PRIVATE
