"""Incus from the distribution's packages, and the mirror that Debian 12 machines on this host take theirs from."""

from tools.host.apt import format_source, install_wanted, read_debian_mirrors, require_root
from tools.host.fetching import Progress
from tools.host.releases import choose_incus, read_system

_RELEASE = "bookworm"
_SUITES = (_RELEASE, f"{_RELEASE}-updates", f"{_RELEASE}-security")


def install_incus(progress: Progress) -> None:
    """Installs Incus from the distribution, on Debian 12 from its backports."""
    require_root("Installing Incus")
    install_wanted(choose_incus(read_system()), progress)


def read_debian_sources() -> dict[str, str]:
    """Return the mirror of each suite of Debian 12 (bookworm, -updates, -security); empty where this host is no Debian.

    Another release of Debian has its mirror, and that has bookworm too.
    """
    mirrors = read_debian_mirrors()
    if _RELEASE not in mirrors:
        mirrors = {_rename(suite): mirror for suite, mirror in mirrors.items()}
    return {suite: mirrors[suite] for suite in sorted(_SUITES) if suite in mirrors}


def _rename(suite: str) -> str:
    release, dash, rest = suite.partition("-")
    del release
    return _RELEASE + dash + rest


def format_debian_sources() -> str:
    """Return the sources of a Debian 12 machine in apt's deb822 format; empty = whatever mmdebstrap takes by itself."""
    return "\n".join(format_source(mirror, suite) for suite, mirror in read_debian_sources().items())
