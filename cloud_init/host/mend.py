"""What may be mended on a host before it is anybody's: it harms nothing that runs there, and is taken back by deleting a file."""

from __future__ import annotations

import pathlib
import subprocess

from cloud_init.host.running import run

PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGES_FILE = pathlib.Path("/etc/tmpfiles.d/webitel-host.conf")
GOVERNORS = pathlib.Path("/sys/devices/system/cpu")
GOVERNORS_FILE = pathlib.Path("/etc/tmpfiles.d/webitel-governor.conf")
CONNECTIONS_FILE = pathlib.Path("/etc/sysctl.d/59-webitel-host.conf")
INSTALL_SECONDS = 100.0
"""Three of them are less than what SSH waits for (`cli/hosts/ask.py`)."""


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
    """Run apt-get, which asks nobody."""
    return run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *words, seconds=INSTALL_SECONDS)


def mend_time() -> str:
    """Install the daemon that keeps the time, which takes the place of systemd's own."""
    install = ("install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60", "chrony")
    done = apt_get(*install)
    # A fresh host has fetched no lists of packages yet, one that was left alone for long has old ones.
    if done.returncode != 0 and apt_get("update").returncode == 0:
        done = apt_get(*install)
    if done.returncode != 0:
        return (done.stderr.strip() or done.stdout.strip()).splitlines()[-1]
    started = run("systemctl", "enable", "--now", "chrony")
    return started.stderr.strip() if started.returncode != 0 else ""


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
