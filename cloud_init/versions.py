"""Which packages of a node are pinned to a version, and what a new version does to its units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloud_init.bundles import StandIns
from cloud_init.node.manifest import VersionEntry
from components.model.catalogue.packages import is_part
from components.model.catalogue.service import PackageSource, Service
from components.model.patches import find_reactions


def main_units(service: Service, source: PackageSource) -> list[str]:
    """List the units of a service that keep running."""
    return [unit for unit in service.units_from(source) if not unit.startswith("webitel-setup")]


def wanted_versions(
    services: Iterable[Service],
    source: PackageSource,
    wanted: Mapping[str, str],
    sandbox: StandIns,
) -> dict[str, VersionEntry]:
    """Return by package what the manifest says of its version.

    Such are the packages of `webitel:package_versions`, and the sandbox's stand-ins, whose versions come from their content:
    of two such versions the new one may well be the lower one, so that theirs has `lower`.
    """
    found: dict[str, VersionEntry] = {}
    for service in services:
        own = service.packages_from(source)
        stand_ins = sandbox.needed_packages(own) if source is PackageSource.SANDBOX else {}
        parts = {name for name in wanted if is_part(name, own)}
        for name in sorted({*own, *stand_ins, *parts}):
            if name in parts:
                entry = found.setdefault(name, {"version": wanted[name], "actions": [], "part": True})
            elif name in wanted:
                entry = found.setdefault(name, {"version": wanted[name], "actions": []})
            elif name in stand_ins:
                entry = found.setdefault(name, {"version": stand_ins[name], "actions": [], "lower": True})
            else:
                continue
            # What the stand-ins run on is in no service's list: a new version is a new program for each of them.
            if find_reactions(name, [service], source) or (name not in own and service.stand_in):
                new = [f"{service.on_new_version.value} {unit}" for unit in main_units(service, source)]
                entry["actions"] += [action for action in new if action not in entry["actions"]]
    return dict(sorted(found.items()))
