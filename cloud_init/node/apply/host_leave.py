"""Leaving a host that was given: our services stop and are off, our files go and those that were there before come back, and the
deployment's key lets nobody in. Packages and data stay."""

import fcntl
import json
import pathlib
import shutil

from ..manifest import BASE, LOCK, MANIFEST, Manifest, load_manifest
from ..state import STATE, load_state
from ..storage import disks
from ..system import ApplyError, Tell, run, systemctl, write_private
from . import host
from .units import AFTER_END, WATCH

UNIT_FOLDER = "/etc/systemd/system/"
STARTED = (".service", ".timer", ".socket", ".mount")
STOP_SECONDS = 300
PREFERENCES = pathlib.Path("/etc/apt/preferences.d")
SOURCES = pathlib.Path("/etc/apt/sources.list.d")
GROWTH = pathlib.Path("/var/lib/webitel/growth.json")
WRAPPER = pathlib.Path("/usr/local/sbin/webitel-node")
LEFT = pathlib.Path("/var/lib/webitel/left.json")
"""Names of all packages at the time: `hosts check` knows by it what was ours, should the host be taken again."""
MENDED = (
    pathlib.Path("/etc/tmpfiles.d/webitel-host.conf"),
    pathlib.Path("/etc/tmpfiles.d/webitel-governor.conf"),
    pathlib.Path("/etc/sysctl.d/59-webitel-host.conf"),
)
"""What `hosts check --apply` has brought about at every start; at the next one the host is as its owner had it."""
OWN_FOLDERS = ("/etc/webitel", "/usr/share/webitel", "/usr/lib/webitel", "/run/webitel")


def leave(tell: Tell) -> list[str]:
    """Leave the host; return what stays on it. Safe to run again after it was cut off."""
    mark = host.read_mark()
    if mark is None:
        raise ApplyError("this host is nobody's: nothing was taken here, or it was left already")
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        manifest, state = load_manifest(), load_state()
        paths = sorted({*state["files"], *mark["files"]})
        stop(manifest, paths, tell)
        kept = unmount(manifest)
        tell("files", f"{len(paths)} files")
        run(["apt-mark", "unhold", *manifest["packages"]])
        for path in paths:
            host.give_back(path)
        host.give_back("/etc/hosts")
        for source in (*SOURCES.glob("webitel-*"), *PREFERENCES.glob("webitel-*")):
            source.unlink()
        systemctl("daemon-reload")
        open_firewall(mark)
        systemctl("try-reload-or-restart", "ssh.service")
        host.shut_out(mark["user"], mark["key"])
        installed = run(["dpkg-query", "-W", "-f", "${Package}\n"]).stdout.split()
        write_private(LEFT, json.dumps({"packages": installed}))
        for record in (host.MARK, STATE, MANIFEST, WRAPPER, GROWTH, *MENDED):
            record.unlink(missing_ok=True)
        shutil.rmtree(host.FOUND, ignore_errors=True)
        for folder in (*OWN_FOLDERS, "/var/lib/webitel/sandbox", "/var/lib/webitel/guard"):
            shutil.rmtree(folder, ignore_errors=True)
    return [*kept, f"{len(manifest['packages'])} packages"]


def stop(manifest: Manifest, paths: list[str], tell: Tell) -> None:
    """Stop what is ours and keep it from starting; the base services are the owner's too, and go on."""
    base = {unit["name"] for unit in manifest["units"] if unit["service"] in BASE}
    ours = [path.removeprefix(UNIT_FOLDER) for path in paths if path.startswith(UNIT_FOLDER) and path.endswith(STARTED)]
    names = [unit["name"] for unit in reversed(manifest["units"]) if unit["name"] not in base]
    # What packages had enabled beside them, and is nobody's without them.
    for name in (WATCH, *names, *ours, *manifest["install_units"]):
        if name.removesuffix(".service") in base or "/" in name:
            continue
        tell("services", f"stop {name}")
        systemctl("disable", "--now", name, timeout=STOP_SECONDS)
        if systemctl("is-active", name).stdout.strip() in ("active", "deactivating"):
            raise ApplyError(f"{name} does not stop", name)
        systemctl("reset-failed", name)
        if name in AFTER_END:
            AFTER_END[name]()


def unmount(manifest: Manifest) -> list[str]:
    """Take the data disks out of the way; return where the data are."""
    kept = []
    for disk in manifest["disks"]:
        mount = disk["mount"]
        source = run(["findmnt", "-n", "-o", "SOURCE", "-M", mount]).stdout.strip()
        if source:
            done = run(["umount", mount])
            if done.returncode:
                raise ApplyError(f"{mount} is in use: {done.stderr.strip()}")
            kept.append(f"the data of {disk['purpose']} ({source})")
        disks.list_line(mount)
    return kept


def open_firewall(mark: host.Mark) -> None:
    """Have the firewall as it was: as its owner's file says where it was on, else off."""
    if mark["firewall"]:
        systemctl("restart", "nftables")
    else:
        systemctl("disable", "--now", "nftables")
        run(["nft", "flush", "ruleset"])
