"""What a machine is: what we require of one, which types there are, its disks, how it is reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil


class Public(StrEnum):
    """`service`: reached from outside. `egress`: an address only to get out. `no`: goes out through the cloud's NAT."""

    SERVICE = "service"
    EGRESS = "egress"
    NO = "no"


@dataclass(frozen=True)
class Size:
    """Our requirement for a node, and where the figures come from. `boot_gib` and `iops` are of the boot disk."""

    vcpus: int
    memory_gib: float
    boot_gib: int
    iops: int
    source: str


@dataclass(frozen=True)
class MachineType:
    """A machine type of a cloud with dedicated CPU. `cores` are whole cores, None where the provider does not say.

    `monthly` maps a region (or `any`) to the price of a month without tax; a region that is missing has no dated price.
    `whole_cores`: a vCPU is a core of its own, not a thread of one. `root_disk_gib`: the boot disk comes with the
    machine in this size; 0 = the boot disk is chosen and paid apart. `transfer_gib`: traffic that a month of it includes.
    """

    name: str
    vcpus: int
    memory_gib: float
    cores: float | None = None
    monthly: Mapping[str, float] = field(default_factory=dict)
    family: str = ""
    whole_cores: bool = False
    root_disk_gib: int = 0
    transfer_gib: int = 0

    def price_in(self, region: str) -> float | None:
        """Return the price of a month in a region, None where no dated price is known."""
        return self.monthly.get(region, self.monthly.get("any"))


MEASURE = re.compile(r"([1-9]\d{0,2})x([1-9]\d{0,3})")
"""vCPU and whole GiB of a machine that is made to measure, `4x8`."""


def make_to_measure(vcpus: int, memory_gib: float) -> MachineType:
    """Return a machine with just so many vCPU and at least so much memory: it has no price."""
    return MachineType(f"{vcpus}x{ceil(memory_gib)}", vcpus, ceil(memory_gib))


def read_measure(name: str) -> MachineType | None:
    """Return the machine that `4x8` means, None where it means none."""
    found = MEASURE.fullmatch(name)
    return make_to_measure(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Disk:
    """A disk of a node. `purpose` is `boot`, `database` or `recordings`; all but `boot` outlive the node."""

    purpose: str
    size_gib: int

    @property
    def is_data(self) -> bool:
        """Whether the disk is kept when its node goes."""
        return self.purpose != "boot"
