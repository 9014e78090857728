"""What a node's new configuration does to calls in progress. The provider refuses it, and the command line before any change."""

from collections.abc import Collection, Mapping
from typing import Any

from components.model.catalogue.service import Service
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import FOLLOWING
from components.model.plan import Node, Plan

ANNOUNCED, UNLESS_ALLOWED = "calls in progress suffer: ", "; up does it only with --disruptive"
"""What a preview's warning stands between; the end is left out where it is allowed."""
INTERRUPTED = "some calls in progress end: "
"""Begins a preview's warning of what needs no leave."""
COST = "about 3 s of silence; calls that ring are lost, and TCP, TLS and web sockets connect anew"
"""What callers notice of that (docs/operate/availability.md, two edges)."""
HANDED_OVER, ONCE_HANDED_OVER = "calls in progress go on: ", f" restarts once another node has them ({COST})"
"""What a preview's warning of that stands between."""
REFUSED = "calls in progress would suffer, so nothing was changed: "
"""Stands in the provider's refusal, by which the command line knows that only `--disruptive` goes on."""


def find_dropped_calls(old: Mapping[str, Any], new: Mapping[str, Any], rotated: Collection[str] = ()) -> str:
    """Say what the changed files, bundles and versions of packages do to calls in progress, by service; "" for nothing. A file
    changes by its text, or by an address or a secret in it; `rotated` are secrets that are to be others where the values are not
    at hand."""
    found = list_dropping(old, new, rotated)
    return "; ".join(f"{one.title} restarts: {one.drops_calls}" for one in found if not is_spared(one, old, new))


def find_handed_over(old: Mapping[str, Any], new: Mapping[str, Any], rotated: Collection[str] = ()) -> str:
    """Say which services are changed only once another node has their calls, if this node has them; "" for none."""
    return " and ".join(one.title for one in list_dropping(old, new, rotated) if is_spared(one, old, new))


def list_dropping(old: Mapping[str, Any], new: Mapping[str, Any], rotated: Collection[str]) -> list[Service]:
    """List the services whose restart for this change would cost calls."""
    actions = list_actions(old, new, rotated)
    # A drain waits for the end of calls.
    return [one for one in CATALOGUE.values() if one.drops_calls and actions & {f"restart {unit}" for unit in list_units(one)}]


def is_spared(service: Service, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether another node can have a service's calls meanwhile: it was ready to before, is afterwards, and by the same
    address."""
    manifests = [inputs.get("manifest") for inputs in (old, new)]
    known = [one for one in manifests if isinstance(one, Mapping) and can_hand_over(one, service.name)]
    return len(known) == len(manifests) and known[0].get("sip_address") == known[1].get("sip_address")


def can_hand_over(manifest: Mapping[str, Any], service: str) -> bool:
    """Tell whether a node's manifest has another node for a service that moves by another one's lock."""
    entry: Mapping[str, Any] = next((one for one in manifest.get("services", ()) if one["name"] == service), {})
    return "lock" in entry and sum(not one.get("leaving") for one in entry.get("candidates", ())) > 1


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


def goes_on_elsewhere(plan: Plan, service: Service, node: Node) -> bool:
    """Tell whether another node of the role goes on with what a service does on a node."""
    moves = service.moves or (bool(plan.sip_address) and service.name in FOLLOWING)
    return moves and len(plan.candidates(service.name, node)) > 1
