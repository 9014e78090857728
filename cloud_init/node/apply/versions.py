"""Packages that shall be of a certain version: which are not, whether they can be, and what newer ones there are."""

import functools
import subprocess
from collections.abc import Iterable, Mapping

from .. import install
from ..manifest import VersionEntry
from ..report import NewerEntry
from ..system import ApplyError, run
from .drift import list_packages

STAND_INS = "webitel-sandbox.list"
"""The file of apt sources with the sandbox's stand-ins."""
INSTALL = ("--allow-downgrades", "--allow-change-held-packages")
"""What apt is allowed once `check` has found nothing against it."""
Wanted = Mapping[str, VersionEntry]
"""The manifest's `versions`, by package."""


def find_stale(wanted: Wanted) -> dict[str, str]:
    """The packages that are installed in another version, and that version."""
    found = list_packages(wanted)
    return {name: found[name][0] for name in wanted if name in found and found[name][0] != wanted[name]["version"]}


def actions_of(stale: Iterable[str], wanted: Wanted) -> list[str]:
    """What their new versions do to units."""
    return list(dict.fromkeys(action for name in stale for action in wanted[name]["actions"]))


def check(wanted: Wanted, stale: dict[str, str], runs: bool, node: str) -> None:
    """Whether every version that is not there yet can be installed; `runs`: the services of this node have run before.

    Raises ApplyError with all that cannot, before anything is changed; InstallError where the lists cannot be read.
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
                f"{setting} runs {stale[name]} already, and what that wrote a lower version may not be able to "
                "read, so it is not installed"
            )
    if problems:
        raise ApplyError("no package was changed:\n" + "\n".join(filter(None, [*problems, unread])), "webitel-install.service")


def list_offered(names: Iterable[str]) -> dict[str, list[str]]:
    """By package, every version that the package lists of this node have."""
    wanted = sorted(names)
    found: dict[str, list[str]] = {name: [] for name in wanted}
    # A package twice in one repository stands twice in what madison says.
    for line in run(["apt-cache", "madison", *wanted], 60).stdout.splitlines() if wanted else ():
        name, version = (part.strip() for part in line.split("|")[:2])
        if version not in found[name]:
            found[name].append(version)
    return found


def is_lower(one: str, other: str) -> bool:
    """Whether a version is lower than another one, as Debian counts."""
    return subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0


def compare(one: str, other: str) -> int:
    """-1, 0 or 1, as `functools.cmp_to_key` wants it."""
    return 0 if one == other else -1 if is_lower(one, other) else 1


def find_newer(packages: Iterable[str]) -> dict[str, NewerEntry]:
    """Find newer versions of held packages. Reads the package lists anew first.

    Security updates renew what is not held by themselves. Raises InstallError.
    """
    if unread := install.read_all_lists():
        raise install.InstallError(unread)
    held = {name: version for name, (version, is_held) in list_packages(packages).items() if is_held}
    offered = list_offered(held)
    newer = {name: [version for version in offered[name] if is_lower(now, version)] for name, now in held.items()}
    order = functools.cmp_to_key(compare)
    return {name: {"now": held[name], "newer": sorted(newer[name], key=order, reverse=True)} for name in sorted(held)}
