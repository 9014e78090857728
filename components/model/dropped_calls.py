"""What a node's new configuration does to calls in progress. The provider refuses it, and the command line before any change."""

from collections.abc import Mapping
from typing import Any

from components.model.catalogue.service import Service
from components.model.catalogue.services import CATALOGUE

ANNOUNCED, UNLESS_ALLOWED = "calls in progress suffer: ", "; up does it only with --disruptive"
"""What a preview's warning stands between; the end is left out where it is allowed."""
REFUSED = "calls in progress would suffer, so nothing was changed: "
"""Stands in the provider's refusal, by which the command line knows that only `--disruptive` goes on."""


def find_dropped_calls(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say what the changed files, bundles and versions of packages do to calls in progress, by service; "" for nothing. A file
    changes by its text, or by an address in it."""
    actions = list_actions(old, new)
    dropped = [
        f"{service.title} restarts: {service.drops_calls}"
        for service in CATALOGUE.values()
        # A drain waits for the end of calls.
        if service.drops_calls and actions & {f"restart {unit}" for unit in list_units(service)}
    ]
    return "; ".join(dropped)


def find_put_off(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say which services go on as they are while calls are in progress, since what would keep those through a restart is only
    now installed; "" for none."""
    actions = list_actions(old, new)
    before = old["manifest"].get("services", ()) if isinstance(old.get("manifest"), Mapping) else ()
    known = {service["name"] for service in before}
    return "; ".join(
        f"{service.title} goes on without {CATALOGUE[service.kept_by].title} until no call is in progress; "
        "./webitel up --disruptive does not wait"
        for service in CATALOGUE.values()
        if service.kept_by and service.kept_by not in known and actions & {f"revive {unit}" for unit in list_units(service)}
    )


def list_actions(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """List what changed files, bundles and versions of packages do to units, such as `restart nginx`."""
    if not isinstance(new.get("files"), Mapping) or not isinstance(new.get("attributes"), Mapping):
        return set()
    moved = list_moved(old, new)
    changed = [
        path
        for path, text in new["files"].items()
        if old["files"].get(path) != text or any(place in str(text) for place in moved)
    ]
    actions = {action for path in changed for action in new["attributes"][path].get("actions", ())}
    if isinstance(new.get("manifest"), Mapping):
        for name, wanted in new["manifest"].get("bundle_actions", {}).items():
            if old["bundles"].get(name, new["bundles"][name]) != new["bundles"][name]:
                actions.update(wanted)
        before = dict.fromkeys(old["manifest"].get("packages", ()), "")
        before |= {name: entry["version"] for name, entry in old["manifest"].get("versions", {}).items()}
        for name, entry in new["manifest"].get("versions", {}).items():
            # Of one that had no version of ours nobody here knows which it is.
            if before.get(name, entry["version"]) != entry["version"]:
                actions.update(entry["actions"])
    return actions


def list_moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Find the places in texts where an address stands that is another one now, or not known yet: a machine was replaced where a
    cloud chooses addresses. The text stays the same, the file on the node does not."""
    before, after = ((inputs.get("addresses") or {}) for inputs in (old, new))
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return []
    return [f"{{{{address:{name}}}}}" for name, address in after.items() if before.get(name, address) != address]


def list_units(service: Service) -> set[str]:
    """List the units of a service with any package source."""
    return {*service.units, *(unit for units in service.units_by_source.values() for unit in units)}
