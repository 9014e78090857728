"""Whether a host's disks are as the plan wishes."""

from __future__ import annotations

from collections.abc import Iterator

from cli.hosts.finding import Verdict
from cli.hosts.wish import Wish
from cloud_init.host.facts import Device, Facts, Storage, Sync
from components.model.host_limits import FREE_SHARE, LEAST_FREE_GIB, OTHER_SYNC, SYNC, State

OURS = "webitel"
"""How labels of our file systems begin (`cloud_init/node/storage/disks.py`)."""


def judge(wish: Wish, facts: Facts) -> Iterator[Verdict]:
    """Judge the disks. Those of a node that is ours already hold its data, as they should."""
    if not facts.storage:
        return
    ours = bool(facts.system and facts.system.ours_stack == wish.stack)
    yield from judge_systems(wish, facts.storage, ours=ours)
    for device in facts.storage.devices:
        yield judge_device(wish, device, ours=ours)
    if facts.storage.sync:
        yield judge_sync(wish, facts.storage.sync)


def judge_systems(wish: Wish, storage: Storage, *, ours: bool) -> Iterator[Verdict]:
    """Judge the file systems that are there."""
    root = next(one for one in storage.systems if one.path == "/")
    free, size, wanted = root.free / 2**30, root.size / 2**30, wish.size.boot_gib * FREE_SHARE / 100
    state: State = "fail" if free < LEAST_FREE_GIB and not ours else "warn" if free < wanted and not ours else "pass"
    yield Verdict("room", state, f"{free:.0f} of {size:.0f} GiB free on {root.device}", f"{wanted:.0f} GiB free")
    closed = [one.path for one in storage.systems if one.noexec]
    yield Verdict("mounts", "fail" if closed else "pass", f"noexec: {', '.join(closed)}" if closed else "no noexec")


def judge_device(wish: Wish, device: Device, *, ours: bool) -> Verdict:
    """Judge what the settings name for the data of a purpose."""
    name = f"{device.purpose}: {device.path}"
    wanted = next((disk.size_gib for disk in wish.node.disks if disk.purpose == device.purpose), 0)
    size, room = device.size / 2**30, (device.size if device.kind == "block" else device.free) / 2**30
    if device.kind == "missing":
        if not device.path.startswith("/dev/"):
            stands = f"{name} is made by `up`, on whatever it stands on"
            return Verdict("data disk", "warn", stands, remedy="mount a disk of its own there first, or name one")
        return Verdict("data disk", "fail", f"{name} is not there", remedy="name a disk of the host: ls -l /dev/disk/by-id/")
    if device.kind == "other":
        return Verdict("data disk", "fail", f"{name} is neither a disk nor a directory")
    if device.kind == "unreadable":
        return Verdict("data disk", "fail", f"{name} cannot be read", remedy="see journalctl -k on the host; name another disk")
    if ours:
        return Verdict("data disk", "pass", f"{name}: {size:.0f} GiB, of this node")
    if device.label.startswith(OURS):
        return Verdict(
            "data disk",
            "warn",
            f"{name} holds {device.label} of an earlier deployment, which is taken as it is",
            remedy="that is meant where a node moves to this host; else empty it yourself: wipefs --all DEVICE",
        )
    if device.mounted and device.kind == "block":
        return Verdict("data disk", "fail", f"{name} is in use at {device.mounted}")
    if device.holds:
        return Verdict("data disk", "fail", f"{name} holds {', '.join(device.holds)}")
    if device.kind == "block" and device.on_root:
        return Verdict("data disk", "fail", f"{name} is on the disk of /")
    if room < wanted * 0.95:
        return Verdict("data disk", "warn", f"{name}: {room:.0f} GiB", f"{wanted} GiB, as in the tier", "a larger disk")
    if device.on_root:
        return Verdict("data disk", "warn", f"{name} shares the fate of the disk of /", remedy="a disk of its own")
    if not device.stable:
        return Verdict("data disk", "warn", f"{name}: another disk may have that name after a restart",
                       remedy="its name in /dev/disk/by-id/")  # fmt: skip
    return Verdict("data disk", "pass", f"{name}: {size:.0f} GiB, empty")


def judge_sync(wish: Wish, sync: Sync) -> Verdict:
    """Judge how long a write takes. A disk that is still empty is not written to, so this is that of /var/lib then."""
    limit = SYNC if wish.has_database else OTHER_SYNC
    state: State = limit.judge(sync.slowest)
    device = wish.host.devices.get("database", "")
    # What is not measured cannot be refused: this disk is another one than the database's.
    other = wish.has_database and device.startswith("/dev/")
    if other and state == "fail":
        state = "warn"
    where = f"{sync.path} ({sync.device})" + (f"; {device} is empty and not written to" if other else "")
    found = f"{sync.middle:.1f} ms, 1 of 100 beyond {sync.slowest:.1f} ms at {where}"
    return Verdict("disk latency", state, found, limit.words[0])
