"""Packages on this host, and the Debian mirror that it uses."""

import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools.environment import SetupError

Progress = Callable[[str], None]

DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_BACKPORTS_FILE = Path("/etc/apt/sources.list.d/webitel-backports.sources")
_SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
_INCUS_PACKAGES = {"debian": ("incus-base", "incus-client"), "ubuntu": ("incus", "incus-client")}
_FIRST_VERSION = {"debian": 12, "ubuntu": 24.04}


def require_root(purpose: str) -> None:
    """Raises SetupError for anybody but root."""
    if os.geteuid() != 0:
        raise SetupError(f"{purpose} needs root: sudo ./webitel up")


def install_stopped(packages: list[str], progress: Progress) -> None:
    """Installs what is missing of the packages, with every start of a service of theirs forbidden.

    For programs that tests run as processes of their own. No cluster of PostgreSQL is made either.
    """
    if all(map(_is_installed, packages)):
        return
    require_root(f"Installing {' '.join(packages)}")
    cluster = Path("/etc/postgresql-common/createcluster.conf")
    if not cluster.exists():
        cluster.parent.mkdir(parents=True, exist_ok=True)
        cluster.write_text("create_main_cluster = false\n")
    policy = Path("/usr/sbin/policy-rc.d")
    own = not policy.exists()
    if own:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        install(packages, progress)
    finally:
        if own:
            policy.unlink()


def install(packages: list[str], progress: Progress) -> None:
    """Installs what is missing of the packages; the error is what apt said."""
    missing = [package for package in packages if not _is_installed(package)]
    if not missing:
        return
    require_root(f"Installing {' '.join(missing)}")
    progress(f"installing {', '.join(missing)}")
    # An update first only where it is needed: it is the slow half.
    if not all(_has_candidate(package) for package in missing):
        _apt_get("update")
    _apt_get("install", "-y", "--no-install-recommends", *missing)


def install_incus(progress: Progress) -> None:
    """Installs Incus from the distribution, on Debian 12 from its backports."""
    require_root("Installing Incus")
    system = platform.freedesktop_os_release()
    name, version = system["ID"], float(system.get("VERSION_ID", "0"))
    if name not in _INCUS_PACKAGES or version < _FIRST_VERSION[name]:
        raise SetupError(
            f"Incus cannot be installed on {system.get('PRETTY_NAME', name)}: "
            "Debian 12, Ubuntu 24.04 and newer have it; "
            "install it yourself (linuxcontainers.org/incus/docs/main/installing) and run this again"
        )
    packages = [*_INCUS_PACKAGES[name], "dnsmasq-base", "btrfs-progs", "nftables"]
    if name == "debian" and version == 12 and not _has_candidate("incus-base"):
        progress(f"adding Debian's backports as {_BACKPORTS_FILE}")
        _BACKPORTS_FILE.write_text(_format_source(read_debian_sources()["bookworm"], "bookworm-backports"))
        _apt_get("update")
    install(packages, progress)


def read_debian_sources() -> dict[str, str]:
    """Returns this host's own mirror of each Debian 12 suite (bookworm, -updates, -security); empty where it is no Debian 12."""
    sources: dict[str, str] = {}
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"]
    for line in subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines():
        uri, suite, component = line.split("|")
        # Other vendors name their suites after Debian's too; only Debian's mirrors end so.
        if suite in _SUITES and component == "main" and uri.rstrip("/").endswith(("/debian", "/debian-security")):
            sources[suite] = uri.rstrip("/")
    return dict(sorted(sources.items()))


def format_debian_sources() -> str:
    """Returns the sources of a Debian 12 machine in apt's deb822 format; empty = whatever mmdebstrap takes by itself."""
    return "\n".join(_format_source(mirror, suite) for suite, mirror in read_debian_sources().items())


def _format_source(mirror: str, suite: str) -> str:
    return f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {DEBIAN_KEYRING}\n"


def _is_installed(package: str) -> bool:
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "installed"


def _has_candidate(package: str) -> bool:
    done = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False)
    return "Candidate: " in done.stdout and "Candidate: (none)" not in done.stdout


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    # `apt-get update` exits 0 although a mirror did not answer; the install that needs it says so next.
    if done.returncode:
        last = "\n  ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-8:])
        raise SetupError(f"apt-get {' '.join(arguments)} failed; apt said:\n  {last}")
