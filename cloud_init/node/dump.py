"""Everything about the node that helps somebody else understand a fault, as one JSON document of texts."""

import pathlib

from .manifest import MANIFEST, load_manifest
from .state import STATE, load_state
from .system import run

LARGEST_BYTES = 256 * 1024
COMMANDS = {
    "units": ["systemctl", "list-units", "--all", "--no-pager", "--plain"],
    "addresses": ["ip", "address"],
    "routes": ["ip", "route"],
    "sockets": ["ss", "-Hlntup"],
    "firewall": ["nft", "list", "ruleset"],
    "disks": ["df", "-h"],
    "memory": ["free", "-m"],
    "processes": ["ps", "-eo", "pid,user,pcpu,rss,etime,comm"],
    "clock": ["chronyc", "-n", "tracking"],
    "consul": ["consul", "members"],
    "boot": ["journalctl", "-b", "--no-pager", "-p", "warning", "-n", "500", "-o", "short-iso"],
}
LOGS = ("/var/log/cloud-init-output.log", "/var/log/webitel-install.log")


def gather(lines: int) -> dict[str, str]:
    """Gather texts by their path in the archive: every unit's log, states, rendered files. Secrets are still in them."""
    manifest = load_manifest()
    found: dict[str, str] = {}
    for name, command in COMMANDS.items():
        done = run(command, 20)
        found[f"{name}.txt"] = done.stdout + done.stderr
    packages = run(["dpkg-query", "-W", *manifest["packages"]], 20) if manifest["packages"] else None
    found["packages.txt"] = packages.stdout + packages.stderr if packages else ""
    for unit in (entry["name"] for entry in manifest["units"]):
        done = run(["journalctl", "--no-pager", "-q", "-o", "short-iso", "-n", str(lines), "-u", unit], 30)
        found[f"logs/{unit}.log"] = done.stdout + done.stderr
    for path in (str(MANIFEST), str(STATE), *LOGS, *load_state()["files"]):
        if pathlib.Path(path).is_file():
            found[f"files{path}"] = pathlib.Path(path).read_text(errors="replace")[-LARGEST_BYTES:]
    return found
