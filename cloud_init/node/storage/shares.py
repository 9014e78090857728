"""The share: the operator's network file system, mounted by a systemd unit where several nodes have the same files.

Only separate processes touch it: a call to a file system whose server is gone blocks for as long as that is.
"""

import pathlib

from ..manifest import Manifest, ShareEntry
from ..report import DiskRow
from ..system import ENDED, ApplyError, Tell, last_lines, run, systemctl
from . import disks

UNITS = pathlib.Path("/etc/systemd/system")
MOUNT_SECONDS, ANSWER_SECONDS = 90, 4
"""How long a mount may take, and a question."""
NEARLY_FULL_PERCENT = 90
WRITABLE = "it must be writable for root there (NFS: no_root_squash)"
# The sentinel's time is set: a read-only file system refuses that, a full one does not.
ASK = 'test -e "$0" && touch -c "$0" && stat -f -c "%S %b %a" "$0"'


def prepare(manifest: Manifest, tell: Tell) -> None:
    """Mount the share, again where its unit has changed, and create the directories on it. Raises ApplyError."""
    share = manifest.get("share")
    if not share:
        return
    tell("disks", f"share {share['source']}")
    if is_new(share):
        systemctl("stop", share["unit"])
        systemctl("daemon-reload")
        systemctl("enable", share["unit"])
    # systemd need not be asked about what is mounted: if it reloads meanwhile, its unit may wait for a device that a container
    # does not have.
    done = systemctl("start", share["unit"], timeout=MOUNT_SECONDS) if not is_mounted(share) else None
    if done and done.returncode != 0:
        raise ApplyError(f"{describe(share)} is not mounted: {why_not(share) or done.stderr.strip()}", share["unit"])
    try:
        disks.mark(disks.SHARE, share["mount"], manifest["stack"])
        disks.make_directories(directory for directory in manifest["directories"] if directory["disk"] == disks.SHARE)
    except OSError as error:
        raise ApplyError(f"{describe(share)}: {error}; {WRITABLE}", share["unit"]) from error


def is_new(share: ShareEntry) -> bool:
    """Tell whether systemd has not loaded its unit as it is now, by this run or by one that was cut off."""
    shown = systemctl("show", "-p", "UnitFileState,NeedDaemonReload", share["unit"]).stdout.split()
    return "UnitFileState=enabled" not in shown or "NeedDaemonReload=yes" in shown


def drop(removed: list[str]) -> None:
    """Unmount what this node no longer has, while its unit still exists to be stopped and disabled."""
    for path in map(pathlib.Path, removed):
        if path.parent == UNITS and path.suffix == ".mount":
            systemctl("disable", "--now", path.name)


def keep(manifest: Manifest) -> None:
    """Mount it again where it is gone: systemd tries only once."""
    share = manifest.get("share")
    if share and not is_mounted(share):
        print(f"mounting {describe(share)}", flush=True)
        systemctl("reset-failed", share["unit"])
        systemctl("start", "--no-block", share["unit"])


def report(share: ShareEntry) -> DiskRow:
    """Make the share's row among the disks: mounted, ours, writable, not nearly full."""

    def sick(why: str) -> DiskRow:
        return {"purpose": disks.SHARE, "healthy": False, "why": f"{describe(share)}{why}"}

    if not is_mounted(share):
        return sick(" is not mounted" + (f": {said}" if (said := why_not(share)) else ""))
    asked = run(["sh", "-c", ASK, str(disks.sentinel(share["mount"]))], ANSWER_SECONDS)
    if asked.returncode == ENDED:
        return sick(f" does not answer within {ANSWER_SECONDS} s")
    if asked.returncode != 0:
        said = asked.stderr.strip().rpartition(": ")[2]
        return sick(": " + (f"{said}; {WRITABLE}" if said else "it is another one: no sentinel file"))
    block, blocks, free = map(int, asked.stdout.split())
    percent = 100 * (blocks - free) // max(blocks, 1)
    full = f"{describe(share)} is nearly full: {percent} % used" if percent >= NEARLY_FULL_PERCENT else ""
    return {
        "purpose": disks.SHARE,
        "healthy": not full,
        "why": full,
        "size": blocks * block,
        "free": free * block,
        "days_until_full": None,
    }


def is_mounted(share: ShareEntry) -> bool:
    """Tell whether its unit is active."""
    return systemctl("is-active", share["unit"]).stdout.strip() == "active"


def describe(share: ShareEntry) -> str:
    """Describe the share in words."""
    return f"the share {share['source']} at {share['mount']}"


def why_not(share: ShareEntry) -> str:
    """Return what the last attempt to mount it said; "" = nothing, as when somebody unmounted it."""
    shown = systemctl("show", "-p", "ActiveState,AssertResult,AssertTimestampMonotonic", share["unit"]).stdout
    state = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    if state.get("AssertTimestampMonotonic", "0") != "0" and state.get("AssertResult") == "no":
        return f"{share['source']} is not a mount point on this node, so it may be a folder of its boot disk"
    if state.get("ActiveState") != "failed":
        return ""
    lines = [line.partition(": ")[2] for line in last_lines(share["unit"], 10)]
    return ([line for line in lines if line.startswith("mount")] or lines or [""])[-1]
