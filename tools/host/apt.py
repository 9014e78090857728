"""Packages on this host, by apt: installed where they are missing, one run at a time."""

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.host import fetching
from tools.host.fetching import Done, Progress, SetupError, fetch, list_hosts
from tools.host.locks import lock
from tools.host.pace import Pace
from tools.host.releases import Wanted

DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SOURCES = Path("/etc/apt/sources.list.d")
_LOCK = Path("/run/lock/webitel-apt.lock")
_BUSY = re.compile(r"Could not get lock|Unable to lock|Unable to acquire")
"""apt waits for the lock of dpkg by itself, not for that of the package lists."""
_BUSY_SECONDS = 300.0
_BUSY_POLL_SECONDS = 2.0
_UNFETCHED = re.compile(r"Failed to fetch|Some index files failed|is not signed|no longer has a Release|does not have a Release")
_HOPELESS = re.compile(r"Unable to locate package|no installation candidate|unmet dependencies|No space left|enough free space")
# apt's words are read here, so they have to be English.
_SETTINGS = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def has_apt() -> bool:
    """Whether this is a system with apt."""
    return shutil.which("apt-get") is not None


def require_root(purpose: str, command: str = "sudo ./webitel up") -> None:
    """Refuse anybody but root with a SetupError, which names the one command to run."""
    if os.geteuid() != 0:
        raise SetupError(f"{purpose} needs root: {command}")


def install(packages: Sequence[str], progress: Progress) -> None:
    """Installs what is missing of the packages. Raises SetupError with what apt said and which hosts it asked."""
    install_wanted(Wanted(tuple(packages)), progress)


def install_wanted(wanted: Wanted, progress: Progress) -> None:
    """Installs what a release has of a program. Raises SetupError as `install` does."""
    packages = wanted.packages
    missing = packages if wanted.only_newer else find_missing(packages)
    if not missing:
        return
    require_root(f"Installing {' '.join(missing)}")
    with lock(_LOCK, "installing packages", progress):
        missing = packages if wanted.only_newer else find_missing(packages)
        if not missing:  # another run installed them meanwhile
            return
        progress(f"installing {', '.join(missing)}")
        if wanted.backports:
            _add_backports(wanted.backports, progress)
        # An update first only where it is needed: it is the slow half.
        if not all(has_candidate(package) for package in missing):
            _update(progress, lambda: all(map(has_candidate, missing)))
        target = ["-t", wanted.backports] if wanted.only_newer else []
        _apt_get(
            f"installing {', '.join(missing)} (apt-get install)",
            ["install", "-y", "--no-install-recommends", *target, *missing],
            # Lists of last month name files that their mirror has no more.
            progress,
            before_retry=lambda: run(["apt-get", "-q", "update"]),
        )


def install_stopped(packages: list[str], progress: Progress) -> None:
    """Installs what is missing of the packages, with every start of a service of theirs forbidden.

    For programs that tests run as processes of their own. No cluster of PostgreSQL is made either.
    """
    if not find_missing(packages):
        return
    require_root(f"Installing {' '.join(packages)}", "sudo ./webitel test")
    with lock(_LOCK.with_name("webitel-policy.lock"), "installing packages", progress):
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


def find_missing(packages: Sequence[str]) -> list[str]:
    """Those of the packages that are not installed."""
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status}"]
    return [package for package in packages if run([*command, package]).stdout != "installed"]


def has_candidate(package: str) -> bool:
    """Whether apt knows where to get the package."""
    shown = run(["apt-cache", "policy", package]).stdout
    return "Candidate: " in shown and "Candidate: (none)" not in shown


def read_debian_mirrors() -> dict[str, str]:
    """Return this host's own mirror of each suite of Debian, by its code name; empty before the package lists were ever read."""
    mirrors: dict[str, str] = {}
    shown = run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)", "Created-By: Packages"])
    for line in shown.stdout.splitlines():
        uri, suite, component, origin = line.split("|")
        # Other vendors name their suites after Debian's too.
        if component == "main" and origin in ("Debian", "Debian Backports"):
            mirrors[suite] = uri.rstrip("/")
    return dict(sorted(mirrors.items()))


def format_source(mirror: str, suite: str) -> str:
    """Return a source of Debian's in apt's deb822 format."""
    return f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {DEBIAN_KEYRING}\n"


def run(command: Sequence[str]) -> Done:
    """Return what a command of apt or dpkg says, in English."""
    return fetching.run(command, _environment())


def _environment() -> dict[str, str]:
    return {**os.environ, **_SETTINGS}


def _add_backports(suite: str, progress: Progress) -> None:
    if suite in read_debian_mirrors():
        return
    release = suite.partition("-")[0]
    if release not in read_debian_mirrors():
        _update(progress, lambda: release in read_debian_mirrors())
    mirror = read_debian_mirrors().get(release)
    if mirror is None:
        raise SetupError(f"None of apt's sources is Debian's {release}: add a mirror of it with {suite} to {_SOURCES}.")
    file = _SOURCES / "webitel-backports.sources"
    progress(f"adding Debian's backports as {file}")
    file.write_text(format_source(mirror, suite))
    _update(progress, lambda: suite in read_debian_mirrors())


def _update(progress: Progress, is_enough: Callable[[], bool]) -> None:
    """Read the package lists; those of a repository that is of no concern here may be out of reach."""
    # apt-get update exits 0 although a mirror did not answer.
    _apt_get(
        "reading the package lists (apt-get update)",
        ["update"],
        progress,
        succeeded=lambda done: is_enough() or (done.returncode == 0 and not _UNFETCHED.search(done.stderr)),
    )


def _apt_get(
    step: str,
    arguments: Sequence[str],
    progress: Progress,
    succeeded: Callable[[Done], bool] = lambda done: done.returncode == 0,
    before_retry: Callable[[], object] = lambda: None,
) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *arguments]
    waiting = Pace(progress)

    def execute() -> Done:
        deadline = time.monotonic() + _BUSY_SECONDS
        while _BUSY.search((done := run(command)).stderr) and time.monotonic() < deadline:
            waiting.say("waiting for another program that uses apt")
            time.sleep(_BUSY_POLL_SECONDS)
        return done

    fetch(
        step,
        execute,
        progress,
        succeeded=succeeded,
        hopeless=_HOPELESS,
        before_retry=before_retry,
        configured=lambda: list_hosts(list(read_debian_mirrors().values())),
    )
