"""The clouds: a row of facts each. A difference between clouds is a named trait here, never a test on a cloud's name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from components.model.plan import MachineType, Public

MACHINES_FILE = Path(__file__).with_name("machines.json")


@dataclass(frozen=True)
class Cloud:
    """Facts about one cloud (sources: `facts/clouds.md`, `facts/machines.md`).

    `private_node` is how nodes that nobody reaches from outside get out. `address_translated`: the machine itself sees
    only its private address. `fixed_addresses`: private addresses can be chosen before the machine exists.
    `firewall_filters_private`: the cloud's firewall also filters traffic inside the network.
    `real`: costs money and is reached from the internet, so documentation values are refused by `up`.
    `trial`: machines are small containers on one host. `user_data_gzip`: takes gzip bytes in base64 as user data.
    `metadata_ports`: ports of the metadata address that only root may use, empty = all of them.
    `cloud_init_preinstalled`: the official Debian 12 image has cloud-init.
    """

    name: str
    title: str
    default_region: str
    default_network: str
    login_user: str
    private_node: Public
    address_translated: bool
    fixed_addresses: bool
    firewall_filters_private: bool
    real: bool
    trial: bool = False
    user_data_gzip: bool = False
    user_data_limit: int = 16384
    first_host: int = 10
    metadata_ports: tuple[int, ...] = ()
    cloud_init_preinstalled: bool = True
    shared_types: str = r"(?!)"
    shared_reason: str = ""
    compute_family: str = ""
    boot_min_gib: int = 10
    package: str = ""

    @property
    def machine_types(self) -> tuple[MachineType, ...]:
        """The dedicated-CPU machine types, cheapest first in the default region."""
        return load_machine_types(self.name)

    def is_shared(self, machine_type: str) -> bool:
        """Whether the provider's name is of a shared or burstable type."""
        return re.fullmatch(self.shared_types, machine_type) is not None


@cache
def load_prices() -> Mapping[str, Any]:
    """The data file of machine types and prices, with its sources and dates (shape: see the file's `notes`)."""
    data: Mapping[str, Any] = json.loads(MACHINES_FILE.read_text())
    return data


@cache
def load_machine_types(cloud: str) -> tuple[MachineType, ...]:
    """Every machine type of the data file for a cloud."""
    rows = load_prices()["clouds"][cloud]["machine_types"]
    return tuple(MachineType(**row) for row in rows)
