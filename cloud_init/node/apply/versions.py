"""Packages pinned to a version: which differ, whether that version is available, and what newer ones exist."""

import functools
from collections.abc import Iterable, Mapping

from .. import install
from ..health.updates import SECURITY_SUITE, is_lower, list_kept, list_offers
from ..manifest import Manifest, VersionEntry
from ..report import NewerEntry
from ..system import ApplyError
from .drift import list_packages

STAND_INS = "webitel-sandbox.list"
"""The apt sources of the sandbox's stand-ins."""
INSTALL = ("--allow-downgrades", "--allow-change-held-packages")
"""What apt is allowed to do once `check` has found nothing wrong."""
Wanted = Mapping[str, VersionEntry]
"""The manifest's `versions`, by package."""


def find_stale(wanted: Wanted) -> dict[str, str]:
    """Find the packages that are installed in another version, and that version."""
    found = list_packages(wanted)
    return {name: found[name][0] for name in wanted if name in found and found[name][0] != wanted[name]["version"]}


def actions_of(stale: Iterable[str], wanted: Wanted) -> list[str]:
    """Return what their new versions do to units."""
    return list(dict.fromkeys(action for name in stale for action in wanted[name]["actions"]))


def check(wanted: Wanted, stale: dict[str, str], runs: bool, node: str) -> None:
    """Check that every version not installed yet can be; `runs`: the services of this node have run before.

    Raises ApplyError with all that cannot, and with the lists that could not be read, before anything is changed.
    """
    missing = wanted.keys() - list_packages(wanted).keys()
    names = sorted({*missing, *stale})
    unread = ""
    offered = list_offered(names)
    if any(wanted[name]["version"] not in offered[name] for name in names):
        unread = install.read_all_lists()
        offered = list_offered(names)
    problems = []
    for name in names:
        version = wanted[name]["version"]
        setting = f"webitel:package_versions.{name} = {version}: {node}"
        if version not in offered[name]:
            problems.append(f"{setting}: its repositories have {', '.join(offered[name]) or 'no package of that name'}")
        elif runs and name in stale and not wanted[name].get("lower") and is_lower(version, stale[name]):
            problems.append(
                f"{setting}: {stale[name]} has run already, and a lower version may be unable to read what that wrote, "
                "so it is not installed"
            )
    if problems:
        lines = ["no packages were changed:", *problems, *filter(None, [unread])]
        raise ApplyError("\n".join(lines), "webitel-install.service")


def list_offered(names: Iterable[str]) -> dict[str, list[str]]:
    """List by package every version in the package lists of this node."""
    found: dict[str, list[str]] = {name: [] for name in sorted(names)}
    # A package that is twice in one repository is twice in madison's output.
    for name, version, _ in list_offers(found):
        if version not in found[name]:
            found[name].append(version)
    return found


def compare(one: str, other: str) -> int:
    """Return -1, 0 or 1, as `functools.cmp_to_key` expects."""
    return 0 if one == other else -1 if is_lower(one, other) else 1


def find_newer(manifest: Manifest) -> dict[str, NewerEntry]:
    """Find newer versions of packages that only a roll-out renews, and which of them are security updates. Refreshes the package
    lists first.

    Security updates renew the others by themselves. Raises InstallError.
    """
    if unread := install.read_all_lists():
        raise install.InstallError(unread)
    own = set(manifest["packages"])
    parts = tuple(manifest.get("parts", ()))
    held = {name: version for name, version in list_kept(manifest).items() if name in own or name.startswith(parts)}
    offered: dict[str, dict[str, bool]] = {name: {} for name in held}
    for name, version, suite in list_offers(held):
        if is_lower(held[name], version):
            offered[name][version] = offered[name].get(version, False) or suite.endswith(SECURITY_SUITE)
    order = functools.cmp_to_key(compare)
    found: dict[str, NewerEntry] = {}
    for name in sorted(held):
        newer = sorted(offered[name], key=order, reverse=True)
        found[name] = {"now": held[name], "newer": newer, "security": [one for one in newer if offered[name][one]]}
    return found


def leave_out_absent(wanted: Wanted) -> Wanted:
    """Leave out parts of packages that this node does not have: nobody asked for them here."""
    parts = [name for name, entry in wanted.items() if entry.get("part")]
    absent = set(parts) - list_packages(parts).keys()
    return {name: entry for name, entry in wanted.items() if name not in absent}
