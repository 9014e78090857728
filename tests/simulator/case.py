"""What tests of every cloud have to know of one of them: each has its `Case` in `<cloud>/case.py`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from components.model.naming import is_node_key
from tests.simulator.bugs import Bug
from tests.simulator.world import Thing, World

ZONE = "example.com"
"""The zone that a user of the simulated clouds has."""

RECORD_NAME = f"voice.{ZONE}"
"""The domain of a deployment in it."""

RECORD_LABEL = f"_sip._udp.{RECORD_NAME} SRV"
"""The resource name of one of its records."""

Answer = tuple[str, str, str]
"""Name, type and value of a record; names and targets whole and without the final dot."""


@dataclass(frozen=True)
class Types:
    """A cloud's resource types, and the inputs of a machine that count at its creation only. `keys`, `addresses` and
    `attachments` (of disks) are "" where the cloud has no such resource; `guarded` are those that the cloud itself protects, by
    the input `guard`. `parts` are other resources that make a machine, by type and the end of their name, with the inputs that
    count at its creation only; `kept_inputs` are those of a data disk. `none_of` is how the names of things end that have the
    type of a data disk and are none. `inner_disks` lists the data disks of a machine where they are no resources."""

    machine: str
    disk: str
    at_creation: tuple[str, ...]
    addresses: str = ""
    keys: str = ""
    attachments: str = ""
    guarded: tuple[str, ...] = ()
    guard: str = "deleteProtection"
    parts: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    kept_inputs: tuple[str, ...] = ()
    none_of: str = ""
    inner_disks: Callable[[Thing], list[Thing]] | None = None

    def is_disk(self, type: str, name: str) -> bool:
        """Whether a resource, or the thing that it made, is a data disk."""
        return (
            self.inner_disks is None
            and type == self.disk
            and not (self.none_of and name.endswith(self.none_of))
            and not (self.machine == self.disk and self.is_machine(type, name))
        )

    def is_machine(self, type: str, name: str) -> bool:
        """Whether a resource, or the thing that it made, is a node's machine, and none that keeps a disk."""
        return type == self.machine and is_node_key(name.rpartition("::")[2])

    def resource_of(self, disk: str) -> str:
        """The name of the resource that a data disk is part of, or is."""
        return disk.rpartition("-")[0] if self.inner_disks else disk

    def list_machines(self, world: World) -> list[Thing]:
        """Every machine of a node."""
        return [one for one in world.all(self.machine) if self.is_machine(one.type, one.urn)]

    def list_disks(self, world: World) -> list[Thing]:
        """Every data disk."""
        if self.inner_disks:
            return [disk for machine in self.list_machines(world) for disk in self.inner_disks(machine)]
        return [one for one in world.all(self.disk) if self.is_disk(one.type, one.urn)]


@dataclass(frozen=True)
class Seen:
    """A machine as the cloud has it; `more_addresses` are public ones beside the one of IPv4.

    `boot_gib` is None where the boot disk comes with the machine type; `encrypted` is None where the cloud has no input
    for it (its disks always are, or never). `boot_iops` and `data_iops` are the speed of its boot disk and of the slowest
    data disk, None where the cloud does not sell disks by it. `disks` are the attached data disks, GiB by the disk's name.
    `apart` names the group that keeps its machines on different hosts, "" = none, None where the cloud has neither groups
    nor zones. `guarded`: the cloud itself refuses the machine's deletion; `tokens_only`: its metadata needs a token; both
    None where the cloud has no such thing or it is not used. `way_out` is the zone of the gateway by which it gets out, None
    where that is not a zone's. `runs`: as far as the simulated cloud ever turns one off.
    `devices` are the paths under which the node finds its disks, by the disk's name; `seat` is its place inside `apart` where
    machines of one place share a host; `lets_in`: its operating system is told an SSH key. `untracked`:
    protocol and ports open to everybody whose flows the firewall does not remember, None where it remembers all.
    """

    name: str
    machine_type: str
    image: str
    user_data: str
    place: str
    private_address: str
    public_address: str | None
    firewalls: tuple[str, ...]
    disks: Mapping[str, int] = field(default_factory=dict)
    boot_gib: int | None = None
    boot_iops: int | None = None
    data_iops: int | None = None
    encrypted: bool | None = None
    apart: str | None = ""
    guarded: bool | None = None
    tokens_only: bool | None = None
    way_out: str | None = None
    devices: Mapping[str, str] = field(default_factory=dict)
    seat: int | None = None
    lets_in: bool = True
    untracked: frozenset[tuple[str, str]] | None = None
    runs: bool = True
    labels: tuple[str, ...] = ()
    more_addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Needed:
    """An input that only counts on a later day: its path, with `[]` for every element of a list, the value that it has to have
    (or what says whether one is right), and what comes of another one."""

    type: str
    path: str
    value: Any
    otherwise: str

    def is_of(self, types: Types, name: str) -> bool:
        """Whether it is asked of a resource of that name: where disks have the type of machines, of machines alone."""
        return self.type != types.machine or types.is_machine(self.type, name)

    def find_wrong(self, inputs: Mapping[str, Any]) -> list[Any]:
        """Values that are others; None where there is none."""
        found: list[Any] = [inputs]
        for part in self.path.split("."):
            found = [one.get(part.removesuffix("[]")) if isinstance(one, Mapping) else None for one in found]
            if part.endswith("[]"):
                found = [item for one in found for item in one or ()]
        return [value for value in found if not (self.value(value) if callable(self.value) else value == self.value)]


@dataclass(frozen=True)
class Given:
    """A network that the company has: `make` lists what it is made of for these zones, by key, type and inputs, where `<key>` is
    the id of an earlier one and `network` the network itself; `subnets` are those of them that the setting names, as it does."""

    make: Callable[[tuple[str, ...]], list[tuple[str, str, dict[str, Any]]]]
    subnets: Callable[[tuple[str, ...]], dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """A cloud in tests.

    `settings` are its provider's, for calls without an engine; `config` those of them that a user has to set in a stack file.
    `variables` are credentials, `account` what `doctor` says of who has them; `quota`: which one is small, what is told of
    it and where there is more, () = the cloud tells none. `refusals`: an error of the cloud for each
    `Refusal`. `image` is a newer image than the adapter's. `zone` is
    `webitel:dns_zone` (`{id}` is the zone's id) and `zones` what a user has made for it, by type; `records` reads by type
    what a record answers. `rule` is an input of a firewall that somebody changed: type, input, other value. `unknown` is an
    input with a nested one that is none, by the type's short name.
    `needed` are inputs that only a later day shows. `late` are resources of which a later look learns more
    than their creation told. `off` is the output of a machine that somebody turned off, with its word; `stopping` are the
    words while it goes down, when its own interface refuses a start. `apart`: machines of one zone are on different hosts
    without a group, too. `given` is a network that the company has, None where none can be given.
    `resized_anew`: another size of a machine makes it anew from the disks that it had. `lost_deletion_stays`: why a deletion
    whose answer was lost is not found out by the next run, "" = it is. `reverse_names` reads what addresses answer, None where
    no resource names them. `several` are settings that several zones ask for.
    """

    types: Types
    see: Callable[[World], list[Seen]]
    off: tuple[str, str]
    bugs: tuple[Bug, ...]
    record_bugs: tuple[Bug, ...]
    settings: Mapping[str, Any]
    variables: Mapping[str, str]
    account: str
    refusals: Mapping[str, str]
    image: str
    zone: str
    zones: tuple[tuple[str, Mapping[str, Any]], ...]
    records: Mapping[str, Callable[[Thing], Iterator[Answer]]]
    rule: tuple[str, str, Any]
    unknown: tuple[str, Mapping[str, Any]]
    needed: tuple[Needed, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    quota: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    stopping: tuple[str, ...] = ()
    apart: bool = False
    resized_anew: bool = False
    lost_deletion_stays: str = ""
    given: Given | None = None
    reverse_names: Callable[[World], Iterator[Answer]] | None = None
    several: Mapping[str, Any] = field(default_factory=dict)


@cache
def load_case(cloud: str) -> Case:
    """What tests know of a cloud."""
    case: Case = importlib.import_module(f"tests.simulator.{cloud}.case").CASE
    return case


def identity(thing: Thing) -> str:
    """What no other thing ever has: Google's and Azure's ids are made of names, their outputs tell one from the next, and a
    libvirt machine's UUID is its node's, the id of the disc that it was made with another one each time."""
    for name in ("simulatedNumber", "instanceId", "vmId", "diskId", "uniqueId", "cloudinit"):
        if thing.get(name):
            return str(thing.get(name))
    return thing.id


def whole(name: str, zone: str) -> str:
    """A name inside a zone with the zone's."""
    return zone if name == "@" else f"{name}.{zone}"


def format_number(value: object) -> str:
    """A number as DNS writes it: the engine sends every number as a fraction."""
    return f"{value:.0f}" if isinstance(value, float) else str(value)


def find_by_link(things: Mapping[str, Thing], link: str) -> Thing:
    """The thing whose id stands at the end of a link; Azure does not look at the case."""
    return next(thing for id, thing in things.items() if link.lower().endswith(id.lower()))
