"""The parts of the repository's tests: what each runs, and what of this machine it takes."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from tools.host.locks import cache_folder

PYTHON = (sys.executable, "-P", "-m")
# The module has no __main__, and its script's first line may name another place.
IMPORT_LINTER = (sys.executable, "-P", "-c", "from importlinter.cli import lint_imports_command as run; run()")
SLOWEST = ("--durations", "10", "--durations-min", "1")
PYTEST = (*PYTHON, "pytest", "-q", *SLOWEST)
SPEED = "tests/clouds/conformance/test_speed.py"
"""Prints figures, which nothing beside it may spoil."""


@dataclass(frozen=True)
class Step:
    """A command of a part. Only those of pytest take words of the user's, and run with several `workers` at once."""

    name: str
    command: tuple[str, ...]
    workers: int = 0
    as_root: bool = False
    """Several workers only for root, who gives each a network of its own."""

    @property
    def is_pytest(self) -> bool:
        """Whether it runs tests."""
        return self.command[: len(PYTEST)] == PYTEST

    def words(self, more: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the whole command. A choice of the user's runs in one process: several take longer to start than it takes."""
        if not more and self.workers and (os.geteuid() == 0 or not self.as_root):
            # Whole files each: the tests of one go on where others ended.
            return (*self.command, "-n", str(self.workers), "--dist", "loadfile")
        return (*self.command, *more)


BUSY = max(2, min(4, os.cpu_count() or 2))
"""Workers that compute: one a processor."""
WAITING = BUSY + 1
"""Workers that wait most of the time."""


def marked(part: str, *folders: str) -> tuple[str, ...]:
    """Select the tests with a part's mark. Its folders are named: collecting all tests takes longer than some parts do."""
    return (*PYTEST, "-m", part, *folders)


UNIT_FOLDERS = ("tests/lint", "tests/sandbox", "tests/simulator", "tests/unit")
"""Where tests without a mark are. Of the other folders what their tests have in common would be read."""

PARTS: dict[str, tuple[Step, ...]] = {
    "lint": (
        Step("ruff", (*PYTHON, "ruff", "check", "--quiet", ".")),
        Step("ruff format", (*PYTHON, "ruff", "format", "--quiet", "--check", ".")),
        # It compares contents, not times: a fresh clone reads anew only what no run on this machine has read yet.
        Step("mypy", (*PYTHON, "mypy", "--cache-dir", str(cache_folder() / "mypy"))),
        Step("import-linter", IMPORT_LINTER),
        Step("files that changed since a real program read them", (*PYTHON, "tests.lint.real_programs")),
    ),
    # A quarter of the time is spent waiting: for sockets, processes, the clock.
    "unit": (Step("unit tests", (*PYTEST, *UNIT_FOLDERS), WAITING),),
    "engine": (Step("engine tests", marked("engine", "tests/engine", "tests/simulator"), BUSY),),
    # Each waits for a chain of programs that seldom fill a processor: three leave next to nothing of two processors idle.
    "clouds": (
        Step(
            "deployments on simulated clouds",
            (*marked("clouds", "tests/clouds", "tests/simulator"), f"--ignore={SPEED}"),
            WAITING,
        ),
        Step("speed on simulated clouds", marked("clouds", SPEED)),
    ),
    # Half of the time nobody computes: these wait for leases, elections and clocks.
    "sandbox": (Step("stand-ins on Debian's programs", marked("sandbox", "tests/sandbox"), WAITING + 1, as_root=True),),
    # Two groups side by side: tests/local/conftest.py, which pytest's controller knows because its folder is named.
    "local": (Step("tests on real nodes", marked("local", "tests/local"), 2),),
    "nodes": (Step("tests on several real nodes", marked("nodes", "tests/local")),),
    "drills": (Step("drills on real nodes", marked("drills", "tests/drills")),),
    "first_run": (Step("first run on a bare machine", (*marked("first_run", "tests/first_run"), "-s")),),
    "kvm": (Step("a real hypervisor", (*marked("kvm", "tests/kvm"), "-s", "-x")),),
}
ONLY_BY_NAME = ("nodes", "first_run", "kvm")
"""What takes a quiet machine and many minutes: not a part of the whole."""
ON_NODES = ("local", "nodes", "drills")
"""What needs Incus, and names and images of its own there: one run on a machine at a time."""
SWEEP = (*PYTHON, "tests.local.ended")
"""Deletes the nodes of runs that were killed or interrupted."""
PACKAGES: dict[str, tuple[str, ...]] = {
    "unit": ("fail2ban", "gnupg", "openssl", "openssh-client"),
    "sandbox": (
        "nginx",
        "haproxy",
        "nftables",
        "logrotate",
        "postgresql-15",
        "rabbitmq-server",
        "python3-psycopg2",
        "python3-pika",
        "rtpengine-daemon",
        "redis-server",
        "openssl",
        "rsyslog",
        "rsyslog-gnutls",
        "testssl.sh",
        "lego",
        "prometheus",
        "prometheus-alertmanager",
        "prometheus-blackbox-exporter",
        "prometheus-node-exporter",
        "pgbackrest",
        "rclone",
        "tcpdump",
        "patroni",
        "python3-consul",
        "wireguard-tools",
        "wireguard-go",
    ),
    # What KVM's provider runs on this side, and `doctor` looks for.
    "clouds": ("genisoimage", "xsltproc"),
    "local": ("openssh-client",),
    "nodes": ("openssh-client",),
    "drills": ("openssh-client",),
    "first_run": ("mmdebstrap",),
    "kvm": (
        *("libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "qemu-utils"),
        *("xsltproc", "genisoimage", "mmdebstrap", "fdisk", "syslinux", "syslinux-common", "mtools", "dosfstools"),
    ),
}
"""Debian's packages that a part runs programs of."""
