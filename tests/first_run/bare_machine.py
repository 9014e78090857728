"""A fresh Debian in a folder, with this machine's own way to its package mirrors and nothing else of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.first_run.own_network import own_network
from tools.host.apt import DEBIAN_KEYRING
from tools.host.fetching import Done
from tools.incus.apt import format_debian_sources
from tools.incus.network import read_resolvers

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ca-certificates", "git", "sudo")
USER, USER_ID = "newcomer", 1000
CHECKOUT = f"/home/{USER}/webitel"
"""A user's, who takes `sudo` where root is needed."""
CGROUPS = Path("/sys/fs/cgroup")
AUTHORITIES = Path("/usr/local/share/ca-certificates")
ROUTE_VARIABLES = re.compile(r"(?i)(https?|all|no|ftp)_proxy|PIP_(?!FIND_LINKS).*")
"""Variables by which a machine is told how to reach its mirrors."""
GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE")
ENTER = """
set -e
root=$1; user=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /sys/fs/cgroup "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mkdir "$root/run/lock"
cd "$root"
# Who is only changed into it by chroot may start no container.
pivot_root . mnt
# The machine has no umount of its own yet.
chroot mnt umount -l /
exec chroot --userspec="$user" / env -i "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A root file system and the name space of its network; the kernel is this host's."""

    root: Path
    network: str

    def run(self, *command: str, folder: str = CHECKOUT, user: bool = False, seconds: float = 300) -> Done:
        """Run a command, in mounts and a process tree of its own, without a terminal, HOME and PATH. All that it started ends
        with it."""
        who = f"{USER_ID}:{USER_ID}" if user else "0:0"
        inside = [*read_route(), "/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
        return subprocess.run(
            [
                "nsenter",
                f"--net={self.network}",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                ENTER,
                "enter",
                str(self.root),
                who,
                *inside,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )


@contextmanager
def bare_machine(folder: Path) -> Iterator[Machine]:
    """A fresh Debian 12 with a user's clone of this checkout as committed."""
    with ended_by_sigterm(), own_network() as network:
        machine = Machine(folder / "root", network)
        try:
            make_root(machine.root, folder / "debian.sources")
            for command in ("update-ca-certificates", f"useradd --create-home --shell /bin/bash --uid {USER_ID} {USER}"):
                machine.run(*command.split(), folder="/").check_returncode()
            subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), f"{machine.root}{CHECKOUT}"], check=True)
            machine.run("chown", "-R", USER, CHECKOUT, folder="/").check_returncode()
            yield machine
        finally:
            remove_cgroups(machine.root)
            if machine.root.exists():
                shutil.rmtree(machine.root)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """SIGTERM (of `timeout`) ends the test as Ctrl-C does: by itself it would leave the machine running."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def remove_cgroups(root: Path) -> None:
    """Remove what the machine's containers leave in the host's cgroups when they end with it, not by their Incus."""
    for container in (root / "var/lib/incus/containers").glob("*"):
        for group in list(CGROUPS.glob(f"**/lxc.*.{container.name}*")):
            folders = [group, *(path for path in group.rglob("*") if path.is_dir())]
            # One of the same name may be the host's own.
            if not any((folder / "cgroup.procs").read_text().split() for folder in folders):
                for folder in sorted(folders, reverse=True):
                    folder.rmdir()


def make_root(root: Path, sources: Path) -> None:
    """The file system of a new machine, as this network's administrator hands it over."""
    sources.write_text(format_debian_sources())
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=apt",
            f"--include={','.join(PACKAGES)}",
            "--keyring",
            str(DEBIAN_KEYRING),
            "bookworm",
            str(root),
            *([str(sources)] if sources.stat().st_size else []),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    hand_over_route(root)


def hand_over_route(root: Path) -> None:
    """What an administrator of this network sets up on a new machine: name servers, authorities, settings of apt and pip."""
    for file in ("hosts", "pip.conf"):
        if Path("/etc", file).exists():
            shutil.copy(f"/etc/{file}", root / "etc" / file)
    (root / "etc/resolv.conf").write_text("".join(f"nameserver {server}\n" for server in read_resolvers()))
    for authority in AUTHORITIES.glob("*.crt"):
        shutil.copy(authority, f"{root}{AUTHORITIES}")
    dumped = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    settings = [line for line in dumped.splitlines() if re.match(r"Acquire::(https?|Check-|Retries|ForceIPv4)", line)]
    (root / "etc/apt/apt.conf.d/90route").write_text("\n".join(settings) + "\n")
    if Path("/etc/apt/auth.conf.d").is_dir():
        shutil.copytree("/etc/apt/auth.conf.d", root / "etc/apt/auth.conf.d", dirs_exist_ok=True)


def read_route() -> list[str]:
    """The variables by which this machine's programs find their mirrors; Go's may stand in a file."""
    found = {name: value for name, value in os.environ.items() if ROUTE_VARIABLES.fullmatch(name)}
    if go := shutil.which("go"):
        shown = json.loads(subprocess.run([go, "env", "-json", *GO_SETTINGS], check=True, capture_output=True, text=True).stdout)
        found |= {name: value for name, value in shown.items() if value}
    return [f"{name}={value}" for name, value in sorted(found.items())]
