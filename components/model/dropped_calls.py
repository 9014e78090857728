"""What a node's new configuration does to calls in progress. The provider refuses it, and the command line before any change."""

from collections.abc import Collection, Mapping
from typing import Any

from components.model.catalogue.service import Service
from components.model.catalogue.services import CATALOGUE

ANNOUNCED, UNLESS_ALLOWED = "calls in progress suffer: ", "; up does it only with --disruptive"
"""What a preview's warning stands between; the end is left out where it is allowed."""
INTERRUPTED = "some calls in progress end: "
"""Begins a preview's warning of what needs no leave."""
REFUSED = "calls in progress would suffer, so nothing was changed: "
"""Stands in the provider's refusal, by which the command line knows that only `--disruptive` goes on."""


def find_dropped_calls(old: Mapping[str, Any], new: Mapping[str, Any], rotated: Collection[str] = ()) -> str:
    """Say what the changed files, bundles and versions of packages do to calls in progress, by service; "" for nothing. A file
    changes by its text, or by an address or a secret in it; `rotated` are secrets that are to be others where the values are not
    at hand."""
    actions = list_actions(old, new, rotated)
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


def find_interrupted(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Say which calls in progress end with a service that is restarted without leave, since most calls do not; "" for none."""
    actions = list_actions(old, new)
    return "; ".join(
        f"{service.title} restarts: {service.interrupts}"
        for service in CATALOGUE.values()
        if service.interrupts and actions & {f"restart {unit}" for unit in list_units(service)}
    )


def list_actions(old: Mapping[str, Any], new: Mapping[str, Any], rotated: Collection[str] = ()) -> set[str]:
    """List what changed files, bundles and versions of packages do to units, such as `restart nginx`."""
    if not isinstance(new.get("files"), Mapping) or not isinstance(new.get("attributes"), Mapping):
        return set()
    moved = [*list_moved(old, new), *(f"{{{{secret:{name}}}}}" for name in rotated)]
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
    """Find the places in texts where an address or a secret stands that is another one now, or not known yet: a machine was
    replaced where a cloud chooses addresses, a password was rotated. The text stays the same, the file on the node does not."""
    found: list[str] = []
    for kind, key in (("address", "addresses"), ("secret", "secrets")):
        before, after = ((inputs.get(key) or {}) for inputs in (old, new))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += [f"{{{{{kind}:{name}}}}}" for name, value in after.items() if before.get(name, value) != value]
    return found


def list_units(service: Service) -> set[str]:
    """List the units of a service with any package source."""
    return {*service.units, *(unit for units in service.units_by_source.values() for unit in units)}
