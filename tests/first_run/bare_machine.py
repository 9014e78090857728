"""A fresh Debian in a folder, with this machine's own way to its package mirrors and nothing else of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tools.host.apt import DEBIAN_KEYRING
from tools.incus.apt import format_debian_sources

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ca-certificates", "git", "sudo")
USER, USER_ID = "operator", 1000
CHECKOUT = f"/home/{USER}/webitel"
"""A user's, who takes `sudo` where root is needed."""
AUTHORITIES = Path("/usr/local/share/ca-certificates")
ROUTE_VARIABLES = re.compile(r"(?i)(https?|all|no|ftp)_proxy|PIP_(?!FIND_LINKS).*")
"""Variables by which a machine is told how to reach its mirrors."""
GO_SETTINGS = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE")
ENTER = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
user=$1; shift
exec chroot --userspec="$user" "$root" env -i "$@"
"""


def make_machine(folder: Path) -> Path:
    """A root file system with a clone of this checkout as committed."""
    root = folder / "root"
    sources = folder / "debian.sources"
    sources.write_text(format_debian_sources())
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(PACKAGES)}", "--keyring", str(DEBIAN_KEYRING),
         "bookworm", str(root), *([str(sources)] if sources.stat().st_size else [])],
        check=True, stdin=subprocess.DEVNULL)
    hand_over_route(root)
    run_in(root, ["useradd", "--create-home", "--shell", "/bin/bash", "--uid", str(USER_ID), USER], folder="/")
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), f"{root}{CHECKOUT}"], check=True)
    run_in(root, ["chown", "-R", USER, CHECKOUT], folder="/")
    return root


def remove_machine(root: Path) -> None:
    """Removes it; Go keeps its modules in folders that not even their owner may write, unless he is root."""
    shutil.rmtree(root)


def hand_over_route(root: Path) -> None:
    """What an administrator of this network sets up on a new machine: name servers, authorities, settings of apt and pip."""
    for file in ("resolv.conf", "hosts", "pip.conf"):
        if Path("/etc", file).exists():
            shutil.copy(f"/etc/{file}", root / "etc" / file)
    for authority in AUTHORITIES.glob("*.crt"):
        shutil.copy(authority, f"{root}{AUTHORITIES}")
    dumped = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    settings = [line for line in dumped.splitlines() if re.match(r"Acquire::(https?|Check-|Retries|ForceIPv4)", line)]
    (root / "etc/apt/apt.conf.d/90route").write_text("\n".join(settings) + "\n")
    if Path("/etc/apt/auth.conf.d").is_dir():
        shutil.copytree("/etc/apt/auth.conf.d", root / "etc/apt/auth.conf.d", dirs_exist_ok=True)
    run_in(root, ["update-ca-certificates"], folder="/")


def read_route() -> list[str]:
    """The variables by which this machine's programs find their mirrors; Go's may stand in a file."""
    found = {name: value for name, value in os.environ.items() if ROUTE_VARIABLES.fullmatch(name)}
    if go := shutil.which("go"):
        shown = json.loads(subprocess.run([go, "env", "-json", *GO_SETTINGS], check=True, capture_output=True, text=True).stdout)
        found |= {name: value for name, value in shown.items() if value}
    return [f"{name}={value}" for name, value in sorted(found.items())]


def run_in(
    root: Path, command: Iterable[str], folder: str = CHECKOUT, user: bool = False, seconds: float = 300,
) -> subprocess.CompletedProcess[str]:
    """Run a command in the root, in mounts and a process tree of its own, without a terminal and without HOME and PATH."""
    who = f"{USER_ID}:{USER_ID}" if user else "0:0"
    inside = [*read_route(), "/bin/sh", "-c", 'cd "$0" && exec "$@"', folder, *command]
    return subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter", str(root), who, *inside],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)
