"""Disks: what stands on those that are named, room, and how long a write takes. Nothing is ever written to a named device."""

from __future__ import annotations

import os
import pathlib
import shutil
import stat
import tempfile
import time

from cloud_init.host.facts import Device, FileSystem, Storage, Sync
from cloud_init.host.running import read, run

LOOKED_AT = ("/", "/tmp", "/var", "/var/lib", "/var/tmp")
SENTINEL = ".webitel-disk"
ORDINARY = ("lost+found", SENTINEL)
"""What an empty file system, or one of ours, has at its root."""
BLOCK_BYTES = 8192
"""A page of PostgreSQL's."""
FILE_BLOCKS = 1024
SIGNATURE_BYTES = 1 << 20
"""At the beginning of a disk, where most file systems have theirs."""
WRITES, WRITE_SECONDS = 400, 2.0
STABLE = ("/dev/disk/by-id/", "/dev/disk/by-uuid/", "/dev/disk/by-path/", "/dev/mapper/", "/dev/md/")
"""Names that mean the same disk after a restart."""


def look_at_storage(devices: dict[str, str], measure: bool) -> Storage:
    """Look at file systems and named devices; with `measure` write and sync a file where the database would stand."""
    named = tuple(look_at_device(purpose, path) for purpose, path in devices.items())
    return Storage(
        systems=tuple(look_at_system(path) for path in LOOKED_AT if pathlib.Path(path).is_dir()),
        devices=named,
        sync=measure_sync(find_place(devices.get("database", ""))) if measure else None,
    )


def find_mount(path: str) -> tuple[str, str, str]:
    """Return device, kind and options of what a path stands on."""
    shown = run("findmnt", "-n", "-r", "-o", "SOURCE,FSTYPE,OPTIONS", "-T", path).stdout.split()
    return (shown[0], shown[1], shown[2]) if len(shown) > 2 else ("", "", "")


def look_at_system(path: str) -> FileSystem:
    """Look at the file system that a directory is on."""
    device, kind, options = find_mount(path)
    room = shutil.disk_usage(path)
    return FileSystem(path, device, kind, room.total, room.free, "noexec" in options.split(","))


def look_at_device(purpose: str, path: str) -> Device:
    """Look at what the settings name for a purpose."""
    place = pathlib.Path(path)
    if not place.exists():
        return Device(purpose, path, "missing", 0, 0, (), "", "", False, path.startswith(STABLE))
    mode = place.stat().st_mode
    if stat.S_ISBLK(mode):
        return look_at_block(purpose, path)
    if stat.S_ISDIR(mode):
        return look_at_directory(purpose, place)
    return Device(purpose, path, "other", 0, 0, (), "", "", False, False)


def look_at_block(purpose: str, path: str) -> Device:
    """List all that is on a disk: signatures, partitions, and whoever holds it (LVM, RAID, encryption)."""
    real = str(pathlib.Path(path).resolve())
    system = run("blkid", "-p", "-o", "value", "-s", "TYPE", path).stdout.strip()
    label = run("blkid", "-p", "-o", "value", "-s", "LABEL", path).stdout.strip()
    signed = [line.split(",")[-1] for line in run("wipefs", "--no-act", "--parsable", path).stdout.splitlines() if line[0] != "#"]
    inside = run("lsblk", "-n", "-r", "-o", "NAME,TYPE,MOUNTPOINT", real).stdout.splitlines()
    parts = [" ".join(line.split()[1::-1]) for line in inside[1:]]
    mounted = [fields[2] for line in inside if len(fields := line.split()) > 2]
    on_root = find_mount("/")[0] in (real, *(f"/dev/{line.split()[0]}" for line in inside))
    size = run("blockdev", "--getsize64", path).stdout.strip()
    holds = tuple(dict.fromkeys(filter(None, [system, *signed, *parts])))
    stable = path.startswith(STABLE)
    kind = "block" if is_readable(real) else "unreadable"
    return Device(purpose, path, kind, int(size or 0), 0, holds, label, mounted[0] if mounted else "", on_root, stable)


def is_readable(path: str) -> bool:
    """Tell whether a disk can be read at all: of one that cannot, blkid and wipefs say what they say of an empty one."""
    try:
        with pathlib.Path(path).open("rb") as file:
            file.read(SIGNATURE_BYTES)
    except OSError:
        return False
    return True


def look_at_directory(purpose: str, place: pathlib.Path) -> Device:
    """Look at a directory in place of a disk: a mounted one, or one of the root file system, whose fate it shares."""
    room = shutil.disk_usage(place)
    ours = read(place / SENTINEL)
    holds = tuple(sorted(one.name for one in place.iterdir() if one.name not in ORDINARY))[:5] if not ours else ()
    mounted = str(place) if os.path.ismount(place) else ""
    on_root = place.stat().st_dev == pathlib.Path("/").stat().st_dev
    label = f"webitel {ours}" if ours else ""
    return Device(purpose, str(place), "directory", room.total, room.free, holds, label, mounted, on_root, True)


def find_place(database: str) -> pathlib.Path:
    """Return a directory on the disk of the database's, where that has one; a device as such is not written to."""
    place = pathlib.Path(database) if database else pathlib.Path("/var/lib")
    while not place.is_dir():
        place = place.parent
    return pathlib.Path("/var/lib") if place.is_relative_to("/dev") else place


def measure_sync(place: pathlib.Path) -> Sync:
    """Write pages of a small file one by one, each brought to the disk as PostgreSQL does it, and forget the file."""
    page = os.urandom(BLOCK_BYTES)
    took: list[float] = []
    with tempfile.NamedTemporaryFile(dir=place, prefix=".webitel-check-") as file:
        file.write(page * FILE_BLOCKS)
        os.fsync(file.fileno())
        end = time.monotonic() + WRITE_SECONDS
        while len(took) < WRITES and time.monotonic() < end:
            begun = time.perf_counter()
            os.pwrite(file.fileno(), page, (len(took) * 389 % FILE_BLOCKS) * BLOCK_BYTES)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return Sync(str(place), find_mount(str(place))[0], len(took), took[len(took) // 2], took[int(len(took) * 0.99)])
