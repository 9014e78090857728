"""What may be mended on a host before it is anybody's: it harms nothing that runs there, and is taken back by deleting a file."""

from __future__ import annotations

import pathlib
import subprocess

from cloud_init.host.machine import find_owner
from cloud_init.host.running import run
from cloud_init.host.software import CLOCKS

PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGES_FILE = pathlib.Path("/etc/tmpfiles.d/webitel-host.conf")
GOVERNORS = pathlib.Path("/sys/devices/system/cpu")
GOVERNORS_FILE = pathlib.Path("/etc/tmpfiles.d/webitel-governor.conf")
CONNECTIONS_FILE = pathlib.Path("/etc/sysctl.d/59-webitel-host.conf")
CHRONY = "chrony"
SYNC_SECONDS = 20
"""Until a time server was chosen: a burst of four questions takes eight."""
MOST_LINES = 6
"""Of what apt-get says: the last one is that dpkg failed, those before it say why."""
INSTALL_SECONDS = 80.0
"""Three of them and the clock are less than what SSH waits for (`cli/hosts/ask.py`)."""


def mend_huge_pages() -> str:
    """Have the kernel give huge pages to who asks for them only, from now on and after a restart."""
    PAGES.write_text("madvise\n")
    PAGES_FILE.write_text(f"w {PAGES} - - - - madvise\n")
    return ""


def mend_governor() -> str:
    """Have the processor keep its speed, from now on and after a restart."""
    files = sorted(GOVERNORS.glob("cpu[0-9]*/cpufreq/scaling_governor"))
    for file in files:
        file.write_text("performance\n")
    GOVERNORS_FILE.write_text("".join(f"w {file} - - - - performance\n" for file in files))
    return ""


def apt_get(*words: str) -> subprocess.CompletedProcess[str]:
    """Run apt-get, which asks nobody: a file that the owner has already stays."""
    keep = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
    return run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *words, *keep, seconds=INSTALL_SECONDS)


def mend_time() -> str:
    """Have chrony keep the time, it alone, and step the clock to what its servers say. A node at work is left alone: a step
    is heard in its calls, and it has a chrony that steps what is off by more than a second by itself."""
    if owner := find_owner():
        return f"it is a node at work, {owner['key']} of {owner['stack']}: its chrony brings the clock in step by itself"
    if not is_active(CHRONY) and (problem := install_chrony()):
        return problem
    for unit in CLOCKS:
        # One that chrony's unit ends when it starts would end chrony at the next start of the host.
        if unit != CHRONY and (is_active(unit) or is_enabled(unit)):
            stopped = run("systemctl", "disable", "--now", unit)
            if stopped.returncode != 0:
                return stopped.stderr.strip()
    return step_clock()


def is_active(unit: str) -> bool:
    """Return whether a unit runs."""
    return run("systemctl", "is-active", unit).stdout.strip() == "active"


def is_enabled(unit: str) -> bool:
    """Return whether a unit starts with the host."""
    return run("systemctl", "is-enabled", unit).stdout.strip() == "enabled"


def install_chrony() -> str:
    """Install the daemon that keeps the time, which takes the place of systemd's own, and start it, now and at every start."""
    install = ("install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60", "chrony")
    done = apt_get(*install)
    # A fresh host has fetched no lists of packages yet, one that was left alone for long has old ones.
    if done.returncode != 0 and apt_get("update").returncode == 0:
        done = apt_get(*install)
    if done.returncode != 0:
        return " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-MOST_LINES:])
    started = run("systemctl", "enable", "--now", CHRONY)
    return started.stderr.strip() if started.returncode != 0 else ""


def step_clock() -> str:
    """Have chrony ask its servers now, and step the clock: what it slews instead takes hours."""
    run("chronyc", "online")
    run("chronyc", "burst", "4/4")
    # Any correction and any skew, asked every second: it ends as soon as a server was chosen.
    if run("chronyc", "waitsync", str(SYNC_SECONDS), "0", "0", "1", seconds=2 * SYNC_SECONDS).returncode != 0:
        return "chrony reaches no time server: let it out by UDP 123, or name yours in /etc/chrony/sources.d"
    done = run("chronyc", "makestep")
    said = done.stderr.strip() or done.stdout.strip()
    return f"chronyd does not step the clock: {said}" if done.returncode != 0 else ""


def mend_connections(most: int) -> str:
    """Have the kernel track more connections, from now on and after a restart."""
    CONNECTIONS_FILE.write_text(f"net.netfilter.nf_conntrack_max = {most}\n")
    done = run("sysctl", "-q", "-p", str(CONNECTIONS_FILE))
    return done.stderr.strip() if done.returncode != 0 else ""


MENDS = {"huge pages": mend_huge_pages, "governor": mend_governor, "time": mend_time}
"""By the check that they mend; "" = mended, else why not."""


def mend(check: str, most: int = 0) -> str:
    """Mend what a check found; return "", or why it is as it was."""
    try:
        return mend_connections(most) if check == "connections" else MENDS[check]()
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
