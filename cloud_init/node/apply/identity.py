"""What only the first boot sets otherwise: the machine's time zone and host name."""

import os
import pathlib
import socket

from ..manifest import Manifest
from ..system import ApplyError, Tell, run, systemctl, write_private

ZONES = pathlib.Path("/usr/share/zoneinfo")
LOCAL_TIME = pathlib.Path("/etc/localtime")
TIME_ZONE = pathlib.Path("/etc/timezone")
HOST_NAME = pathlib.Path("/etc/hostname")


def describe() -> dict[str, str]:
    """What the machine says of itself, by what it is."""
    return {"time zone": read_zone(), "host name": read_host_name()}


def correct(manifest: Manifest, tell: Tell) -> list[str]:
    """Give the machine its time zone and host name back; what was changed. Programs that run keep what they started with, and
    none is restarted for it but cron, which would go on at the hours of the zone before."""
    done = []
    if (zone := manifest.get("time_zone", "")) and resolve(zone) != resolve(read_zone()):
        if not (ZONES / zone).is_file():
            raise ApplyError(f"webitel:time_zone = {zone}: this node's time zone database has none of that name")
        tell("files", f"time zone {zone}")
        write_private(TIME_ZONE, f"{zone}\n", 0o644)
        fresh = LOCAL_TIME.with_name(f".{LOCAL_TIME.name}.webitel-new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(ZONES / zone)
        fresh.replace(LOCAL_TIME)
        systemctl("try-restart", "cron")
        done.append("time zone")
    name = manifest["node"]
    if name != read_host_name():
        tell("files", f"host name {name}")
        write_private(HOST_NAME, f"{name}\n", 0o644)
        if (set_name := run(["hostname", name])).returncode:
            raise ApplyError(f"this node cannot be given its host name {name} back: {set_name.stderr.strip()}")
        done.append("host name")
    return done


def read_host_name() -> str:
    """The host name, without a domain that a cloud may add."""
    return socket.gethostname().partition(".")[0]


def read_zone() -> str:
    """The time zone's name; where it is no link but a copy, the one that is written beside it."""
    if not LOCAL_TIME.exists():
        return "UTC"
    if LOCAL_TIME.is_symlink():
        target = pathlib.Path(os.path.normpath(LOCAL_TIME.parent / LOCAL_TIME.readlink()))
        return str(target.relative_to(ZONES)) if target.is_relative_to(ZONES) else str(target)
    return TIME_ZONE.read_text().strip() if TIME_ZONE.exists() else "unknown"


def resolve(zone: str) -> pathlib.Path:
    """The file of a zone: one zone has several names."""
    return (ZONES / zone).resolve()
