"""Consul's program: Debian 12 has none, so it comes from Debian 11 as on the nodes, unpacked into the cache."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from cloud_init.node.install import debian_mirror


def find_consul() -> str | None:
    """The program on this machine or in the cache, fetched when it is in neither; None without Debian's tools."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "webitel" / "consul-bullseye"
    program = root / "usr" / "bin" / "consul"
    if installed := shutil.which("consul"):
        return installed
    if not shutil.which("apt-get"):
        return str(program) if program.exists() else None
    for folder in ("lists/partial", "archives/partial"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    # Whoever else looks for it now waits until it is there as a whole.
    with (root / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            fetch_consul(root)
    return str(program)


def fetch_consul(root: Path) -> None:
    """The program out of Debian 11's package, by an apt of its own."""
    (root / "sources.list").write_text(
        f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {debian_mirror()} bullseye main\n"
    )
    options = [
        f"Dir::Etc::sourcelist={root}/sources.list",
        "Dir::Etc::sourceparts=-",
        "Dir::Etc::preferencesparts=-",
        f"Dir::State::lists={root}/lists",
        f"Dir::Cache={root}",
        "APT::Sandbox::User=root",
    ]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", "consul"], check=True, cwd=root)
    subprocess.run(["dpkg-deb", "-x", str(next(root.glob("consul_*.deb"))), str(root)], check=True)
