"""What otherwise only the first boot sets: the machine's time zone and host name."""

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
    """Return what the machine has now, by what it is."""
    return {"time zone": read_zone(), "host name": read_host_name()}


def correct(manifest: Manifest, tell: Tell) -> list[str]:
    """Give the machine its time zone and host name back; return what was changed. Running programs keep what they started with,
    and none is restarted but cron, which would go on at the hours of the zone before."""
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
    # The one of now and the one of the next start; a host that was given keeps its owner's.
    if not manifest.get("given") and not name == read_host_name() == read_written_name():
        tell("files", f"host name {name}")
        write_private(HOST_NAME, f"{name}\n", 0o644)
        if (set_name := run(["hostname", name])).returncode:
            raise ApplyError(f"this node cannot be given its host name {name} back: {set_name.stderr.strip()}")
        done.append("host name")
    return done


def read_host_name() -> str:
    """Return the host name, without a domain that a cloud may add."""
    return socket.gethostname().partition(".")[0]


def read_written_name() -> str:
    """Return the name that the next start will take; where nothing is written, the present one."""
    written = HOST_NAME.read_text().strip() if HOST_NAME.exists() else socket.gethostname()
    return written.partition(".")[0]


def read_zone() -> str:
    """Return the time zone's name; where it is a copy instead of a link, the name that is written beside it."""
    if not LOCAL_TIME.exists():
        return "UTC"
    if LOCAL_TIME.is_symlink():
        target = pathlib.Path(os.path.normpath(LOCAL_TIME.parent / LOCAL_TIME.readlink()))
        return str(target.relative_to(ZONES)) if target.is_relative_to(ZONES) else str(target)
    return TIME_ZONE.read_text().strip() if TIME_ZONE.exists() else "unknown"


def resolve(zone: str) -> pathlib.Path:
    """Return the file of a zone: one zone has several names."""
    return (ZONES / zone).resolve()
