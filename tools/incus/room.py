"""How much memory and disk this host has left for machines."""

import re
import shutil
from pathlib import Path

from tools.incus import api

_GIB = 2**30


def read_free_memory(meminfo: Path = Path("/proc/meminfo")) -> float:
    """GiB that programs could still take, caches that can go counted as free."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{meminfo} has no MemAvailable")
    return int(found[1]) * 1024 / _GIB


def read_free_disk() -> float:
    """GiB free where the pool's file grows, and in the pool itself once there is one."""
    free = shutil.disk_usage(api.socket_path().parent).free / _GIB
    if api.find(f"/storage-pools/{api.POOL}"):
        space = api.call("GET", f"/storage-pools/{api.POOL}/resources")["space"]
        free = min(free, (space["total"] - space["used"]) / _GIB)
    return free
