"""What waits on this machine: security updates of packages that only a roll-out renews, and a restart for its kernel."""

import contextlib
import functools
import json
import pathlib
import re
import subprocess
from collections.abc import Iterable

from ..manifest import Manifest
from ..report import MachineRow
from ..system import run, write_private

REBOOT_REQUIRED = pathlib.Path("/run/reboot-required")
"""Written by packages that count only after a restart, with their names in the file beside it (`facts/updates.md` 3)."""
LISTS = pathlib.Path("/var/lib/apt/lists")
INSTALLED = pathlib.Path("/var/lib/dpkg/status")
FOUND = pathlib.Path("/run/webitel/updates.json")
"""What was found, and of which packages and lists: looking takes half a second of a processor, and is done every minute."""
KERNEL = pathlib.Path("/proc/version")
MODULES = pathlib.Path("/lib/modules")
CONTAINER = pathlib.Path("/run/systemd/container")
SECURITY_SUITE = "-security"
"""How the suites of Debian's security updates end, bookworm-security for example."""
NAMED = 4
"""How many packages a line of `status` names."""


def ask(manifest: Manifest) -> list[MachineRow]:
    """Return a row for what waits, none where nothing does."""
    return [row for row in (updates(manifest), reboot()) if row]


def updates(manifest: Manifest) -> MachineRow | None:
    """Tell the security updates of packages that do not renew themselves, by the package lists as this machine has them."""
    waiting = recall_security(manifest)
    if not waiting:
        return None
    names = [f"{name} {version}" for name, version in waiting.items()]
    more = [f"{len(names) - NAMED} more"] if len(names) > NAMED else []
    return {
        "name": "security updates",
        "healthy": True,
        "warning": True,
        "why": f"{len(waiting)} waiting: {', '.join([*names[:NAMED], *more])}; ./webitel upgrade --security",
        "packages": waiting,
    }


def recall_security(manifest: Manifest) -> dict[str, str]:
    """Find what waits, anew only if packages or their lists have changed: both are replaced as files, never written in place."""
    seen = [path.stat().st_mtime_ns if path.exists() else 0 for path in (LISTS, INSTALLED)]
    of = json.loads(json.dumps([*seen, manifest.get("parts", ())]))
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = json.loads(FOUND.read_text())
        if known["of"] == of:
            waiting: dict[str, str] = known["waiting"]
            return waiting
    kept = list_kept(manifest)
    offers = list_offers(kept)
    waiting = find_security(kept, offers)
    if offers:  # else dpkg or apt may have failed, which is no answer to keep
        FOUND.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_private(FOUND, json.dumps({"of": of, "waiting": waiting}))
    return waiting


def list_kept(manifest: Manifest) -> dict[str, str]:
    """List the installed packages that only a roll-out renews, with their versions: held ones, and what those consist of."""
    shown = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Want} ${db:Status-Status} ${Version}\n"]).stdout
    rows = [line.split(" ") for line in shown.splitlines()]
    parts = tuple(manifest.get("parts", ()))
    found = {name: (version, want) for name, want, state, version in rows if state == "installed"}
    return {name: version for name, (version, want) in found.items() if want == "hold" or name.startswith(parts)}


def find_security(installed: dict[str, str], offers: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the newest version among Debian's security updates of those packages, where that is newer."""
    found: dict[str, str] = {}
    for name, version, suite in offers:
        if suite.endswith(SECURITY_SUITE) and is_lower(found.get(name, installed[name]), version):
            found[name] = version
    return dict(sorted(found.items()))


def list_offers(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """List name, version and suite of everything that the package lists of this machine have of these packages."""
    wanted = sorted(names)
    shown = run(["apt-cache", "madison", *wanted], 60).stdout.splitlines() if wanted else ()
    rows = [[part.strip() for part in line.split("|")] for line in shown]
    # Such as `nginx | 1.22.1-9+deb12u3 | http://mirror.example/debian-security bookworm-security/main amd64 Packages`.
    return [(row[0], row[1], [*row[2].split(), "", ""][1].partition("/")[0]) for row in rows if len(row) > 2]


@functools.cache
def is_lower(one: str, other: str) -> bool:
    """Tell whether a version is lower than another one, by Debian's rules."""
    return subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0


def reboot() -> MachineRow | None:
    """Tell that the machine should be restarted, and what for."""
    reasons = [newer] if (newer := find_newer_kernel()) else []
    if REBOOT_REQUIRED.exists():
        beside = REBOOT_REQUIRED.with_name(f"{REBOOT_REQUIRED.name}.pkgs")
        named = sorted(set(beside.read_text().split())) if beside.exists() else []
        others = [name for name in named if not (newer and name.startswith("linux-image-"))]
        reasons += [f"{', '.join(others) or 'a package'} asks for it"] if others or not reasons else []
    if not reasons:
        return None
    return {"name": "reboot", "healthy": True, "warning": True, "why": f"wanted: {'; '.join(reasons)}; ./webitel reboot"}


def find_newer_kernel() -> str:
    """Tell a kernel that is installed and newer than the one that runs; "" = none, or the kernel is not this machine's own."""
    running = re.search(r"\bDebian (\S+)", KERNEL.read_text())
    if CONTAINER.exists() or not running:
        return ""
    shown = run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", "linux-image-[0-9]*"]).stdout
    rows = [line.split(" ") for line in shown.splitlines()]
    newest = running[1]
    for state, name, version in rows:
        if state == "installed" and not name.endswith("-dbg") and is_lower(newest, version):
            newest = version
    return f"kernel {newest} is installed and {running[1]} runs" if newest != running[1] else ""
