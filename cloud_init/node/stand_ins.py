"""Stand-ins of the sandbox whose packages changed: their versions come from their content."""

import subprocess
from typing import Any

from . import install
from .manifest import run

SOURCE = "webitel-sandbox.list"
Wanted = dict[str, dict[str, Any]]
"""The manifest's `stand_ins`: by package its version, and what another version does to which unit."""


def find_stale(wanted: Wanted) -> list[str]:
    """The packages that are installed in another version."""
    if not wanted:
        return []
    shown = run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *wanted], 30).stdout
    installed = {package: version for status, package, version in map(str.split, shown.splitlines()) if status == "installed"}
    return [name for name, entry in wanted.items() if installed.get(name, entry["version"]) != entry["version"]]


def actions_of(stale: list[str], wanted: Wanted) -> list[str]:
    """What their new versions do to units."""
    return list(dict.fromkeys(action for name in stale for action in wanted[name]["actions"]))


def bring_up_to_date(stale: list[str], wanted: Wanted) -> None:
    """Install the wanted versions; of two digests the new one may well be the lower version. Raises InstallError."""
    install.read_lists(SOURCE)
    install.run_apt(
        ["install", "--no-install-recommends", "--allow-downgrades", "--allow-change-held-packages",
         *(f"{name}={wanted[name]['version']}" for name in stale)], "stand-ins", len(stale))
    subprocess.run(["apt-mark", "hold", *stale], capture_output=True, check=False)
