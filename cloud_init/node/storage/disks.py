"""Data disks: waited for, formatted once in their life, mounted by UUID, marked with a sentinel."""

import os
import pathlib
import shutil
import time
from collections.abc import Iterable

from ..manifest import DirectoryEntry, Manifest
from ..state import State
from ..system import STAGED, ApplyError, Tell, replace_text, run, systemctl, write_private

FSTAB = pathlib.Path("/etc/fstab")
DEVICES = "/dev/"
"""What stands there is a device; anything else that is given is a directory."""
SENTINEL = ".webitel-disk"
SHARE = "share"
"""The purpose of a directory that is on none of this node's disks (`shares.py`)."""
LOOKED_AT_BYTES = 1 << 20
"""At both ends of a disk, where file systems and partition tables have their signatures."""
APPEAR_SECONDS = 180
"""How long a disk may take to appear: clouds attach it while the machine boots."""


def is_mounted(mount: str) -> bool:
    """Tell whether something is mounted exactly there."""
    return run(["findmnt", "-n", "-M", mount], 10).returncode == 0


def sentinel(mount: str) -> pathlib.Path:
    """Return the file that only the right disk has."""
    return pathlib.Path(mount) / SENTINEL


def prepare(manifest: Manifest, devices: dict[str, str], state: State, tell: Tell) -> None:
    """Mount every data disk of the manifest, and create the directories on them."""
    for disk in manifest["disks"]:
        purpose, mount = disk["purpose"], disk["mount"]
        tell("disks", f"disk {purpose}")
        if not is_mounted(mount):
            device = devices.get(purpose, "")
            if not device:
                raise ApplyError(f"disk {purpose} is not mounted at {mount}: attach it, then run `./webitel up` again")
            if device.startswith(DEVICES):
                mount_device(pathlib.Path(device), purpose, mount, state)
            else:
                mount_directory(pathlib.Path(device), purpose, mount)
        mark(purpose, mount, manifest["stack"])
    make_directories(directory for directory in manifest["directories"] if directory["disk"] != SHARE)


def make_directories(directories: Iterable[DirectoryEntry]) -> None:
    """Create those that do not exist yet, with their owner and mode, which their services would miss ever after."""
    for directory in directories:
        path = pathlib.Path(directory["path"])
        if path.exists():
            continue
        fresh = path.with_name(f".{path.name}{STAGED}")
        fresh.mkdir(parents=True, exist_ok=True)
        owner, _, group = directory["owner"].partition(":")
        shutil.chown(fresh, owner, group)
        fresh.chmod(int(directory["mode"], 8))
        fresh.rename(path)


def mount_device(device: pathlib.Path, purpose: str, mount: str, state: State) -> None:
    """Mount a device; make a file system only where there is none and none was ever made."""
    deadline = time.monotonic() + APPEAR_SECONDS
    while not device.exists():
        if time.monotonic() > deadline:
            raise ApplyError(f"disk {purpose}: {device} did not appear within {APPEAR_SECONDS} s")
        time.sleep(1)
    found = run(["blkid", "-p", "-o", "value", "-s", "TYPE", str(device)], 30)
    signatures = run(["wipefs", "--no-act", "--parsable", str(device)], 30).stdout.strip()
    if found.returncode == 2 and not signatures:
        check_readable(device, purpose)
        if purpose in state["disks"]:
            raise ApplyError(
                f"disk {purpose}: {device} is empty, but this node once had one with UUID {state['disks'][purpose]}: "
                "it is not formatted; attach the right disk, or delete the entry in /var/lib/webitel/state.json"
            )
        made = run(["mkfs.ext4", "-q", "-m", "1", "-L", f"webitel-{purpose[:8]}", str(device)], 600)
        if made.returncode != 0:
            raise ApplyError(f"disk {purpose}: mkfs.ext4 {device}: {made.stderr.strip()}")
    elif found.stdout.strip() != "ext4":
        raise ApplyError(f"disk {purpose}: {device} contains {found.stdout.strip() or signatures!r}, not ext4: it was left alone")
    uuid = run(["blkid", "-p", "-o", "value", "-s", "UUID", str(device)], 30).stdout.strip()
    list_mount(mount, uuid)
    pathlib.Path(mount).mkdir(parents=True, exist_ok=True)
    systemctl("daemon-reload")
    mounted = run(["mount", mount], 120)
    if mounted.returncode != 0 and not is_mounted(mount):
        raise ApplyError(f"disk {purpose}: mount {mount}: {mounted.stderr.strip()}")
    state["disks"][purpose] = uuid


def check_readable(device: pathlib.Path, purpose: str) -> None:
    """Raise ApplyError where a disk cannot be read: blkid says of it what it says of an empty one (blkid(8), exit status 2)."""
    try:
        with device.open("rb") as file:
            file.read(LOOKED_AT_BYTES)
            file.seek(max(file.seek(0, os.SEEK_END) - LOOKED_AT_BYTES, 0))
            file.read(LOOKED_AT_BYTES)
    except OSError as error:
        raise ApplyError(
            f"disk {purpose}: {device} cannot be read: {error.strerror}; it is not formatted, since it may hold data; "
            "see `journalctl -k`, attach a disk that works, then run `./webitel up` again"
        ) from error


def mount_directory(directory: pathlib.Path, purpose: str, mount: str) -> None:
    """Have a directory of a given host in a disk's place. One that holds anything else is left alone."""
    if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
        raise ApplyError(f"disk {purpose}: {directory} is no directory: it was left alone")
    if directory.is_dir() and not (directory / SENTINEL).exists() and any(directory.iterdir()):
        raise ApplyError(f"disk {purpose}: {directory} is not empty, and nothing in it says that it is ours: it was left alone")
    directory.mkdir(parents=True, exist_ok=True)
    list_line(mount, f"{directory} {mount} none bind,nofail 0 0")
    pathlib.Path(mount).mkdir(parents=True, exist_ok=True)
    systemctl("daemon-reload")
    mounted = run(["mount", mount], 120)
    if mounted.returncode != 0 and not is_mounted(mount):
        raise ApplyError(f"disk {purpose}: mount --bind {directory} {mount}: {mounted.stderr.strip()}")


def list_mount(mount: str, uuid: str) -> None:
    """Have a file system mounted at every boot."""
    list_line(mount, f"UUID={uuid} {mount} ext4 defaults,noatime,nofail,x-systemd.device-timeout=90s 0 2")


def list_line(mount: str, line: str = "") -> None:
    """Put the line of a mount point, "" = take it out. Atomically: with half of that file the node may not boot again."""
    lines = FSTAB.read_text(errors="surrogateescape").splitlines() if FSTAB.exists() else []
    kept = [one for one in lines if f" {mount} " not in one]
    text = "".join(f"{one}\n" for one in ([*kept, line] if line else kept))
    if FSTAB.exists():
        replace_text(FSTAB, text)
    elif text:
        write_private(FSTAB, text, 0o644)


def mark(purpose: str, mount: str, stack: str) -> bool:
    """Leave the sentinel, and tell whether it is new. A disk of another purpose or deployment is refused."""
    text = f"{stack} {purpose}\n"
    # An empty one is ours, from when it was not written at once.
    found = sentinel(mount).read_text() if sentinel(mount).exists() else ""
    if found == text:
        return False
    if found:
        raise ApplyError(f"the disk at {mount} belongs to `{found.strip()}`, expected `{text.strip()}`: attach the right one")
    # A file system's root is closed to others by default; services with different users have directories on it.
    pathlib.Path(mount).chmod(0o755)
    write_private(sentinel(mount), text, 0o644)
    return True
