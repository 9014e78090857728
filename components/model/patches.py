"""Versions of packages: which of them are patches of what runs, and what a new one does to the services of a node."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from components.model.catalogue.packages import find_package, is_part
from components.model.catalogue.service import OnChange, PackageSource, Service
from components.model.catalogue.services import CATALOGUE
from components.model.dropped_calls import goes_on_elsewhere
from components.model.plan import Plan

VERSION = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~-]*")
"""A version as Debian's policy has it (5.6.12)."""


def known_packages(source: PackageSource, catalogue: Mapping[str, Service] = CATALOGUE) -> tuple[str, ...]:
    """Return every package of the catalogue, sorted."""
    return tuple(sorted({name for service in catalogue.values() for name in service.packages_from(source)}))


def is_patch(package: str, now: str, new: str) -> bool:
    """Return whether a version is of the same series as another one; which of them is higher is not asked here."""
    parts = find_package(package).series_parts

    def series(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version.partition(":")[2] or version)[:parts]]

    return series(now) == series(new)


def find_reactions(package: str, services: Iterable[Service], source: PackageSource) -> dict[str, OnChange]:
    """Find what a new version of a package does to services, by their names; those that it does nothing to are left out."""
    if find_package(package).is_tool:
        return {}
    return {
        service.name: service.on_new_version
        for service in services
        if is_of(package, service, source) and service.on_new_version is not OnChange.NOTHING
    }


def is_of(package: str, service: Service, source: PackageSource) -> bool:
    """Tell whether a package is one of a service's, or a part of one."""
    own = service.packages_from(source)
    return package in own or is_part(package, own)


@dataclass(frozen=True)
class Patch:
    """A package of a node with a newer version; `reactions`: by name of a service, what it does to it; `spared`: the services
    whose calls another node has meanwhile."""

    node: str
    package: str
    now: str
    new: str
    reactions: Mapping[str, OnChange]
    spared: frozenset[str] = frozenset()

    @property
    def drops_calls(self) -> bool:
        """Whether calls in progress would suffer; a drain waits for their end."""
        return any(self.costs_calls(name) and name not in self.spared for name in self.reactions)

    @property
    def hands_over(self) -> bool:
        """Whether another node has the calls first."""
        return any(self.costs_calls(name) and name in self.spared for name in self.reactions)

    def costs_calls(self, name: str) -> bool:
        """Tell whether what it does to a service would cost calls that run there."""
        return bool(CATALOGUE[name].drops_calls) and self.reactions[name] is OnChange.RESTART


Offers = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By key of a node and package: {"now": version, "newer": [version, the highest first], "security": [those of `newer` that are
security updates of Debian's]} (`cloud_init/node/apply/versions.py`)."""


def choose_patches(plan: Plan, offers: Offers, only: Iterable[str] = (), security: bool = False) -> list[Patch]:
    """Return the highest patch version of every package that all of its nodes can have, in the order of the rollout.

    `only`: names of services, where not the packages of all of them are meant. `security`: security updates and nothing else;
    within a release of Debian all of them are patches, whatever their numbers.
    """
    if security:
        offers = {
            key: {name: {**entry, "newer": entry.get("security", [])} for name, entry in packages.items()}
            for key, packages in offers.items()
        }
    source = PackageSource(plan.package_source)
    chosen: dict[str, str] = {}
    for package in sorted({name for packages in offers.values() for name in packages}):
        entries = [packages[package] for packages in offers.values() if package in packages]
        candidates = [new for entry in entries for new in entry["newer"]]

        # One that a node runs already is no news there, and no way down either.
        def fits(entry: Mapping[str, Any], new: str, name: str = package) -> bool:
            return new == entry["now"] or (new in entry["newer"] and (security or is_patch(name, entry["now"], new)))

        fit = [new for new in candidates if all(fits(entry, new) for entry in entries)]
        if fit:
            chosen[package] = max(
                fit, key=lambda new: -min(entry["newer"].index(new) for entry in entries if new in entry["newer"])
            )
    names = set(only)
    patches = []
    for node in sorted(plan.nodes, key=lambda node: node.leaving):
        services = [CATALOGUE[name] for name in node.services]
        for package, entry in offers.get(node.key, {}).items():
            wanted = not names or any(one.name in names and is_of(package, one, source) for one in services)
            if wanted and chosen.get(package, entry["now"]) != entry["now"]:
                reactions = find_reactions(package, services, source)
                spared = frozenset(one.name for one in services if goes_on_elsewhere(plan, one, node))
                patches.append(Patch(node.key, package, entry["now"], chosen[package], reactions, spared))
    return patches
