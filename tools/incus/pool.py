"""The storage pool of everything local: a sparse file with btrfs.

It starts eight machines in 19 s, a plain directory in 43 (facts/ha-measured.md 5).
"""

import shutil
from pathlib import Path

from tools.host.apt import install
from tools.host.fetching import Progress, SetupError
from tools.host.locks import cache_folder, lock
from tools.incus import api

_GIB = 2**30
_LARGEST_GIB = 60
_SMALLEST_GIB = 10  # base image, packages' image twice (as a file and unpacked), one node with everything
_SHARE = 0.8  # of the free space


def ensure_pool(progress: Progress) -> None:
    """Make the pool where it is missing; raise SetupError where there is no room for it."""
    if not api.find(f"/storage-pools/{api.POOL}"):
        with lock(cache_folder() / "pool.lock", "making the storage pool", progress):
            if not api.find(f"/storage-pools/{api.POOL}"):  # another run may have made it meanwhile
                _make_pool(progress)


def _make_pool(progress: Progress) -> None:
    directory = api.socket_path().parent
    size = choose_size(shutil.disk_usage(directory).free, directory)
    if shutil.which("mkfs.btrfs") is None:
        install(["btrfs-progs"], progress)
    progress(f"making storage pool {api.POOL}, at most {size} GiB")
    try:
        _create("btrfs", {"size": f"{size}GiB"})
    except api.IncusError as error:
        progress(f"btrfs is not available here ({error}): machines start slower from a plain directory")
        _create("dir", {})


def choose_size(free: int, directory: Path) -> int:
    """Return the size in GiB for that many free bytes; the file is sparse and grows to it."""
    size = min(_LARGEST_GIB, int(free * _SHARE / _GIB))
    if size < _SMALLEST_GIB:
        raise SetupError(
            f"no room for local machines: {directory} needs {_SMALLEST_GIB / _SHARE:.1f} GiB free, it has {free / _GIB:.1f} GiB"
        )
    return size


def _create(driver: str, config: dict[str, str]) -> None:
    api.call("POST", "/storage-pools", {"name": api.POOL, "driver": driver, "config": config})


def remove_pool(progress: Progress) -> None:
    """Remove the pool with the volumes left in it; containers are gone before."""
    if api.find(f"/storage-pools/{api.POOL}") is None:
        return
    progress(f"removing storage pool {api.POOL}")
    for volume in api.list_objects(f"/storage-pools/{api.POOL}/volumes/custom"):
        api.remove(api.volume_path(volume["name"]))
    api.remove(f"/storage-pools/{api.POOL}")
