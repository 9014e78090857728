"""Drift: what was changed on the node outside `webitel`: files, units and packages against what the last run left behind."""

import fcntl
import hashlib
import pathlib
import time
from collections.abc import Collection, Iterable
from typing import TextIO

from .. import quiet, turns
from ..clusters import access, cookie, encryption, trust
from ..health import status
from ..manifest import LOCK, Login, Manifest, load_manifest
from ..report import Finding
from ..state import State, Stock, load_state
from ..system import ApplyError, run
from . import identity, keys, sshd
from .units import WATCH

TRIES, PAUSE_SECONDS = 10, 0.1
MARK = "drift"
"""The entry of a manifest under which the state keeps what was found, until the node is configured again."""


def take_stock(manifest: Manifest, paths: Iterable[str], login: Login) -> Stock:
    """Record what is there now, for a later comparison."""
    stock: Stock = {
        "login": login,
        "files": {path: describe_file(pathlib.Path(path)) for path in sorted(paths)},
        "units": {name: state["UnitFileState"] for name, state in unit_states(manifest).items()},
        "packages": list_packages(manifest["packages"]),
        "identity": identity.describe(),
        "accounts": sorted(keys.list_homes()),
    }
    if manifest.get("given"):
        stock["strangers"] = keys.find_strangers(login, stock["files"])
    return stock


def find() -> list[Finding]:
    """Find everything that differs from what the last run left behind. Raises ApplyError where that is unknown."""
    stock = load_state().get("stock")
    if stock is None:
        raise ApplyError("this node was last configured by a version that kept no record")
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        if not share(lock):
            raise ApplyError("it is being configured right now")
        manifest = load_manifest()
        with turns.held(turns.WRITING):  # what this program changes by itself is compared between two such changes
            found = [("file", path, compare_file(was, describe_file(pathlib.Path(path)))) for path, was in stock["files"].items()]
        states = unit_states(manifest)
        # What runs on a node that leaves is not our concern.
        units = {} if manifest.get("leaving") else stock["units"]
        idle = {unit["name"] for unit in manifest["units"] if unit.get("moves")} | set(quiet.list_units(manifest))
        found += [("unit", name, compare_unit(was, states.get(name, {}), name in idle)) for name, was in units.items()]
        packages = list_packages(stock["packages"])
        found += [("package", name, compare_package(was, packages.get(name))) for name, was in stock["packages"].items()]
        now = identity.describe()
        found += [
            ("machine", what, f"{now[what]} instead of {was}" if now[what] != was else "")
            for what, was in stock.get("identity", {}).items()
        ]
        known = stock.get("strangers", {})
        strangers = keys.find_strangers(stock["login"], stock["files"]) if "login" in stock else {}
        strangers = {path: count - known.get(path, 0) for path, count in strangers.items() if count > known.get(path, 0)}
        found += [("account", name, what) for name, what in compare_accounts(stock.get("accounts"), keys.list_homes()).items()]
        found += [("sshd", name, what) for name, what in sshd.find_overruled().items()]
        found += [("file", path, f"lets in keys that are not the deployment's: {count}") for path, count in strangers.items()]
    return [{"kind": kind, "name": name, "what": what} for kind, name, what in found if what]


def share(lock: TextIO) -> bool:
    """Share the lock of the runs; tell whether none is under way. The watcher holds it for a moment, to see the same."""
    for _ in range(TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            time.sleep(PAUSE_SECONDS)
        else:
            return True
    return False


def hold_again(state: State, renewed: Collection[str]) -> None:
    """Hold packages again that were held at the end of the last run, and let those go that security updates renew."""
    stock = state.get("stock")
    was = {name for name, (_, held) in stock["packages"].items() if held} if stock else set()
    if loose := [name for name, (_, held) in list_packages(was - set(renewed)).items() if not held]:
        run(["apt-mark", "hold", *loose])
    if kept := [name for name, (_, held) in list_packages(renewed).items() if held]:
        run(["apt-mark", "unhold", *kept])


def describe_file(path: pathlib.Path) -> tuple[str, str]:
    """Return a file's digest, "" where there is none, and its mode and owner."""
    if path.is_symlink() or not path.is_file():
        return "", ""
    found = path.stat()
    return hashlib.sha256(
        cookie.blank(encryption.blank(trust.blank(access.blank(path.read_bytes()))))
    ).hexdigest(), f"{found.st_mode & 0o7777:04o} {found.st_uid} {found.st_gid}"


def compare_file(was: tuple[str, str], now: tuple[str, str]) -> str:
    """Say what happened to a file; "" for nothing."""
    if not now[0]:
        return "is gone" if was[0] else ""
    if was[0] != now[0]:
        return "content changed"
    return "" if was[1] == now[1] else "mode or owner changed"


def unit_states(manifest: Manifest) -> dict[str, dict[str, str]]:
    """Return the states of our units by name."""
    return status.unit_states([*(unit["name"] for unit in manifest["units"]), WATCH.removesuffix(".service")])


def compare_accounts(was: Iterable[str] | None, now: Iterable[str]) -> dict[str, str]:
    """Say which accounts that can log in came and went; nothing where none were recorded."""
    before, after = set(now if was is None else was), set(now)
    came = dict.fromkeys(sorted(after - before), "can log in, and was made by somebody else")
    return came | dict.fromkeys(sorted(before - after), "cannot log in any more")


def compare_unit(was: str, now: dict[str, str], may_rest: bool = False) -> str:
    """Say what happened to a unit; "" for nothing. One that moves is stopped wherever its lock is not, which `status` checks, and
    one that speaks to the outside while the deployment is quiet."""
    if now.get("LoadState") == "not-found":
        return "is gone"
    changed = [now.get("UnitFileState", "")] if now.get("UnitFileState") != was else []
    if not may_rest and now.get("ActiveState") in ("inactive", "failed", "deactivating"):
        changed.append("stopped" if now["ActiveState"] != "failed" else "failed")
    return " and ".join(filter(None, changed))


def list_packages(names: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Version and whether it is held, of every package that is installed."""
    wanted = sorted(names)
    if not wanted:
        return {}
    shown = run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Want} ${db:Status-Status} ${Version}\n", *wanted]).stdout
    rows = [line.split(" ") for line in shown.splitlines()]
    return {name: (version, want == "hold") for name, want, state, version in rows if state == "installed"}


def compare_package(was: tuple[str, bool], now: tuple[str, bool] | None) -> str:
    """Say what happened to a package; "" for nothing. Security updates may renew one that is not held."""
    if now is None:
        return "removed"
    version, held = was
    changed = [f"version {now[0]} instead of {version}"] if held and now[0] != version else []
    if held and not now[1]:
        changed.append("no longer held")
    return " and ".join(changed)
