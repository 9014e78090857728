"""Limits of this host's kernel that containers share: every container's root is one user to it."""

from collections.abc import Mapping
from pathlib import Path

LIMITS: Mapping[str, int] = {
    # Each systemd takes about a dozen; with 128, the kernel's default, the fourteenth container had no network.
    "fs/inotify/max_user_instances": 4096,
    "fs/inotify/max_user_watches": 524288,
    # One key a systemd unit, 200 and 20,000 bytes by default.
    "kernel/keys/maxkeys": 10000,
    "kernel/keys/maxbytes": 1000000,
}
SYSTEM = Path("/proc/sys")


def raise_limits(system: Path = SYSTEM) -> list[str]:
    """Raise what is lower, until the next boot; returns the names of what this user may not raise."""
    refused = []
    for name, wanted in LIMITS.items():
        file = system / name
        if not file.exists() or int(file.read_text()) >= wanted:
            continue
        try:
            file.write_text(f"{wanted}\n")
        except OSError:
            refused.append(name.replace("/", "."))
    return refused
