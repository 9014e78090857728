"""What each release of Debian and Ubuntu has of the programs that this project needs on a host, and where.

Versions as of November 2026 (packages.debian.org, packages.ubuntu.com):

| release | Python | Go | Incus |
| Debian 12 | 3.11 | 1.19; backports 1.23 | backports 6.0 |
| Debian 13 | 3.13 | 1.24 | 6.0 |
| Ubuntu 24.04 | 3.12 | 1.22 | 6.0 |

Any Go from 1.21 on fetches the newer one that the engine's go.mod names by itself, as a Go module.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from tools.host.fetching import SetupError


@dataclass(frozen=True)
class Wanted:
    """Packages, and the suite of Debian's backports that has them, `only_newer` where the release has an older one too."""

    packages: tuple[str, ...]
    backports: str = ""
    only_newer: bool = False


_BOOKWORM = "bookworm-backports"
_INCUS_TOOLS = ("dnsmasq-base", "btrfs-progs", "nftables")
_INCUS = {"debian": ("incus-base", "incus-client"), "ubuntu": ("incus", "incus-client")}
_FIRST_VERSION = {"debian": 12.0, "ubuntu": 24.04}
_NEWEST = 99.0  # Debian's testing and unstable have no number


def read_system() -> dict[str, str]:
    """Return what /etc/os-release says; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def choose_go(system: Mapping[str, str]) -> Wanted:
    """Return the packages of Go; on a system that is not known those of its relatives."""
    if _identify(system) == ("debian", 12.0):
        return Wanted(("golang-go",), _BOOKWORM, only_newer=True)
    return Wanted(("golang-go",))


def choose_incus(system: Mapping[str, str]) -> Wanted:
    """Return the packages of Incus; SetupError where the system has none."""
    name, version = _identify(system)
    if name not in _INCUS or version < _FIRST_VERSION[name]:
        raise SetupError(
            f"Incus cannot be installed on {system.get('PRETTY_NAME', name) or 'this system'}: "
            "Debian 12, Ubuntu 24.04 and newer have it; "
            "install it yourself (linuxcontainers.org/incus/docs/main/installing) and run this again"
        )
    return Wanted((*_INCUS[name], *_INCUS_TOOLS), _BOOKWORM if (name, version) == ("debian", 12.0) else "")


def _identify(system: Mapping[str, str]) -> tuple[str, float]:
    try:
        return system.get("ID", ""), float(system.get("VERSION_ID", _NEWEST))
    except ValueError:
        return system.get("ID", ""), 0.0
