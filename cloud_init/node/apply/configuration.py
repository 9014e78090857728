"""Bringing the node to a configuration: packages, disks, files, units. Safe to run again at any time."""

import compileall
import fcntl
import json
import pathlib
import py_compile
import shutil
import time
from collections.abc import Collection, Iterable, Mapping

from .. import install, owed, quiet, turns
from ..ask import sip
from ..clusters import access, cookie, encryption, locks, trust
from ..health import kept_calls
from ..manifest import BUNDLES, LOCK, MANIFEST, PROBE_SECRETS, PROGRAM, Configuration, Manifest
from ..records import who
from ..report import Applied
from ..state import load_state, save_state
from ..storage import disks, owners, shares
from ..system import ApplyError, Tell, systemctl, write_private
from ..system import run as run_program
from . import accounts, drift, files, guard, host, identity, keys, leave, spare, units, users, versions

WRAPPER = pathlib.Path("/usr/local/sbin/webitel-node")
SANDBOX = pathlib.Path("/var/lib/webitel/sandbox")
OLD = "-old"
"""How the name of a bundle ends that was moved out of the way. No dot: Python runs the node program under its folder's name."""
OWN_BUNDLES = ("node", "sandbox")
"""What the steps themselves need. Every other bundle is read by a service together with its files: they are placed together."""
PACKAGE_FILES = (str(install.PLAN), "/etc/apt/auth.conf.d/webitel.conf")
GUARD_FILES = (f"/etc/systemd/system/{guard.UNIT}",)
PAUSE_SECONDS = 0.3
FORMER_PASSWORDS = 5
"""Of FreeSWITCH's event socket, each of which one that has not been restarted since may have."""
BY_HASH = py_compile.PycInvalidationMode.CHECKED_HASH
INSTALL_SECONDS = 1500
"""The limit for packages; a hundred packages from a slow mirror stay far below."""


def run(incoming: pathlib.Path, update: bool, tell: Tell) -> Applied:
    """Apply what lies in `incoming`, one run at a time."""
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            tell("lock", "waiting for another run on this node")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return apply(incoming, update, tell)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)


def apply(incoming: pathlib.Path, update: bool, tell: Tell) -> Applied:
    """Go through the steps, in order, each timed."""
    configuration: Configuration = json.loads((incoming / "configuration.json").read_text())
    addresses: dict[str, str] = json.loads((incoming / "addresses.json").read_text())
    secrets: dict[str, str] = json.loads((incoming / "secrets.json").read_text())
    manifest = configuration["manifest"]
    manifest["versions"] = dict(versions.leave_out_absent(manifest["versions"]))
    disruptive = configuration.get("disruptive", False)
    seconds: dict[str, float] = {}
    state = load_state()
    clock = time.monotonic()

    def done(step: str) -> None:
        nonlocal clock
        seconds[step] = round(time.monotonic() - clock, 1)
        clock = time.monotonic()

    tell("program", "node program")
    fill = files.Placeholders(addresses, secrets)
    complete_manifest(fill_manifest(manifest, fill))
    own = [name for name in configuration["bundles"] if name in OWN_BUNDLES]
    others = [name for name in configuration["bundles"] if name not in OWN_BUNDLES]
    bring_back(others)
    stage_bundles(incoming, own)
    place_bundles(own)
    keep_probe_secrets({name: secrets[name] for name in manifest["probe_secrets"] if name in secrets})
    done("program")
    # A run that was cut off before its firewall or sshd had proved itself starts from what worked.
    guard.revert()
    # Package sources and their credentials come before all other files, whose owners are created by the packages; and the unit
    # that brings a file back before any file that it may have to.
    early = {path: text for path, text in configuration["files"].items() if path in (*PACKAGE_FILES, *GUARD_FILES)}
    first = files.compare(early, configuration["attributes"], fill, ())
    keep_found(manifest, first, state["files"])
    files.write(first)
    wait_for_packages(tell)
    # A package may start what it brings.
    quiet.keep(manifest)
    try:
        stale = find_stale(manifest, "stock" in state)
        # Saved first: if we die between a package and the restart of what it changed, the next run still does that.
        state["pending"] = [*state["pending"], *versions.actions_of(stale, manifest["versions"])]
        save_state(state)
        if update:
            spare.hand_over_first(manifest, state["pending"], disruptive, tell)
        install_packages(manifest, stale, tell)
    except install.InstallError as error:
        raise ApplyError(str(error), "webitel-install.service") from error
    finally:
        units.keep_off(manifest["install_units"])
    drift.hold_again(state, manifest.get("renewed", ()))
    done("packages")
    users.prepare(manifest)
    disks.prepare(manifest, configuration["devices"], state, tell)
    # Before the units are written that run as the new one.
    owners.begin([entry for entry in manifest["directories"] if entry.get("changed_owner")], tell)
    done("disks")
    changed_accounts = accounts.prepare(manifest.get("operators", []), tell)
    access.prepare(manifest)
    with turns.held(turns.WRITING):
        fill.values["secret"] = cookie.fill(trust.fill(access.fill(secrets)))
        texts = encryption.relax(fill_manifest(manifest, fill), configuration["files"], configuration["attributes"], fill.apply)
        plan = files.compare(texts, configuration["attributes"], fill, state["files"])
        actions = units.order_actions(
            [*state["pending"], *owed.list_owed(), *plan.actions, *units.actions_of_bundles(configuration, state)], manifest
        )
        # Saved before the files: if we die between a file and its reload, the next run still does the reload, and knows what it
        # has to remove of this one.
        names = [unit["name"] for unit in manifest["units"]]
        save_state(
            {
                **state,
                "files": sorted({*state["files"], *configuration["files"]}),
                "units": list(dict.fromkeys([*state.get("units", []), *names])),
                "pending": actions,
                "bundles": state.get("bundles", {}),
            }
        )
        owed.forget(owed.list_owed())
        if update:
            spare.hand_over_first(manifest, actions, disruptive, tell)
        tell("files", f"files {len(plan.changed)} of {len(configuration['files'])} to write")
        units.drop([name for name in reversed(state.get("units", [])) if name not in names], tell)
        shares.drop(plan.removed)
        stage_bundles(incoming, others)

        def before_files() -> None:
            place_bundles(others)
            keep_found(manifest, plan, state["files"])
            guard.arm(plan.changed, configuration["attributes"])

        files.write(plan, before_files)
    # Only once the operators' own file is there.
    reduced = keys.reduce(configuration["login"], configuration["files"], manifest.get("given", False))
    left = guard.prove(actions, tell)
    corrected = identity.correct(manifest, tell)
    # From here on with addresses in place of placeholders.
    manifest = fill_manifest(manifest, fill)
    save_manifest(manifest)
    if disruptive:
        left = units.order_actions([*left, *(f"revive {unit}" for unit in kept_calls.list_put_off())], manifest)
    done("files")
    shares.prepare(manifest, tell)
    leaving = manifest.get("leaving", False)
    if leaving:
        leave.leave(manifest, tell)
        performed = ["leave"]
    else:
        locks.take_again()
        if renewed := state.get("bundles", {}).get("node") != configuration["bundles"]["node"]:
            systemctl("try-reload-or-restart", units.LOCKS)
            systemctl("try-restart", units.RECORDS)
            if "mesh" in manifest:
                systemctl("try-restart", units.MESH)
            if "address_move" in manifest:
                systemctl("try-restart", units.MOVER)
        performed = [one for one in actions if one not in left] + units.converge(manifest, left, update, tell, disruptive)
        changed = any(units.WATCH in path for path in plan.changed)
        if renewed or changed or not units.is_running(units.WATCH):
            systemctl("restart", units.WATCH)
    # What the node goes on from by itself is no drift.
    kept = [path for path in configuration["files"] if not configuration["attributes"][path].get("seed")]
    with turns.held(turns.WRITING):
        stock = drift.take_stock(manifest, kept, configuration["login"])
    save_state(
        {
            **state,
            "files": sorted(configuration["files"]),
            "pending": [],
            "bundles": configuration["bundles"],
            "left": leaving,
            "disks": state["disks"],
            "units": [unit["name"] for unit in manifest["units"]],
            "stock": stock,
        }
    )
    done("services")
    who.record_changes([*plan.changed, *reduced], plan.removed)
    applied: Applied = {
        "changed": sorted([*plan.changed, *reduced]),
        "removed": sorted(plan.removed),
        "actions": [*changed_accounts, *corrected, *performed],
        "seconds": seconds,
    }
    if waiting := kept_calls.list_put_off():
        applied["put_off"] = waiting
    return applied


def keep_found(manifest: Manifest, plan: files.FilePlan, ours: Collection[str]) -> None:
    """Keep what a given host's owner has where we write for the first time."""
    mark = host.read_mark() if manifest.get("given") else None
    if mark:
        host.keep_found(plan.changed, {*ours, *mark["files"]})


def fill_manifest(manifest: Manifest, fill: files.Placeholders) -> Manifest:
    """Return the manifest with every placeholder filled."""
    filled: Manifest = json.loads(fill.apply(json.dumps(manifest), "the manifest"))
    return filled


def save_manifest(whole: Mapping[str, object]) -> None:
    """Save a manifest where the program's other processes read it."""
    write_private(MANIFEST, json.dumps(whole, indent=1, sort_keys=True), 0o644)


def complete_manifest(manifest: Manifest) -> None:
    """Add to the old manifest what the program of its time did not need, before the new program is put beside it:
    units that start meanwhile wait with the new one."""
    if not MANIFEST.exists():
        return
    known: dict[str, object] = json.loads(MANIFEST.read_text())
    if lacking := {name: value for name, value in manifest.items() if name in Manifest.__required_keys__ and name not in known}:
        save_manifest(known | lacking)


def keep_probe_secrets(fresh: dict[str, str]) -> None:
    """Save what the health check logs in with. FreeSWITCH keeps the password of its last start until it is drained, through more
    than one rotation if calls do not end: so do we, the latest first."""
    kept: dict[str, str] = json.loads(PROBE_SECRETS.read_text()) if PROBE_SECRETS.exists() else {}
    known = [kept.get("esl_password", ""), *kept.get(sip.BEFORE, "").split()]
    before = [one for one in dict.fromkeys(known) if one and one != fresh.get("esl_password")][:FORMER_PASSWORDS]
    write_private(PROBE_SECRETS, json.dumps(fresh | ({sip.BEFORE: " ".join(before)} if before else {})))


def bundle_place(name: str, suffix: str = "") -> pathlib.Path:
    """Return where a bundle is, or the one staged (`.new`) or moved out of the way (`OLD`) beside it."""
    target = PROGRAM if name == "node" else SANDBOX if name == "sandbox" else BUNDLES / name
    return target.with_name(target.name + suffix)


def bring_back(names: Iterable[str]) -> None:
    """Move back what a run that was killed between two renames had moved out of the way."""
    for name in names:
        if not bundle_place(name).exists() and bundle_place(name, OLD).exists():
            bundle_place(name, OLD).rename(bundle_place(name))


def stage_bundles(incoming: pathlib.Path, names: Collection[str]) -> None:
    """Put bundles beside those in place, where the checks of files find them (`services/opensips.yaml.j2`)."""
    for name in names:
        fresh = bundle_place(name, ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(incoming / name, fresh)
        # A health check that compiles the node program takes twice the processor of one that does not. By hash: its files have no
        # times, and what one run wrote must never be taken for another version's (`__main__.py` writes none).
        compileall.compile_dir(fresh, quiet=1, ddir=str(bundle_place(name)), invalidation_mode=BY_HASH)
        for path in [fresh, *fresh.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    # Else a power cut may find the renames done and files that are empty, and no unit starts without the node program.
    if names and (synced := run_program(["sync", "-f", *(str(bundle_place(name, ".new")) for name in names)])).returncode:
        raise ApplyError(f"the disk does not take {' and '.join(names)}: {synced.stderr.strip()}")


def place_bundles(names: Iterable[str]) -> None:
    """Put staged bundles in place, each replaced as a whole."""
    for name in names:
        target, former = bundle_place(name), bundle_place(name, OLD)
        # Out of the way first, so that nothing is missing for longer than two renames take: units may start meanwhile.
        shutil.rmtree(former, ignore_errors=True)
        if target.exists():
            target.rename(former)
        bundle_place(name, ".new").rename(target)
        shutil.rmtree(former, ignore_errors=True)
    # Every time: a run cut off while writing this would leave half of it.
    write_private(WRAPPER, make_wrapper(), 0o755)


def make_wrapper() -> str:
    """Return the script by which units and people call the node program: the former one, where a run was cut off between two
    renames. What it reads and says is UTF-8, whatever the locale of who calls it."""
    return (
        f'#!/bin/sh\nprogram={PROGRAM}\n[ -e $program ] || program={PROGRAM}{OLD}\nexec /usr/bin/python3 -X utf8 $program "$@"\n'
    )


def wait_for_packages(tell: Tell) -> None:
    """Wait for the installation that was started at boot."""
    start = time.monotonic()
    tell("packages", "packages")
    # Only the first boot starts it: after a restart of the node it is inactive, and there is nothing to wait for.
    while systemctl("is-active", "webitel-install.service").stdout.strip() == "activating":
        progress = {"step": "packages", "done": 0, "total": 0}
        if install.PROGRESS.exists():
            progress = json.loads(install.PROGRESS.read_text())
        count = f" {progress['done']}/{progress['total']}" if progress["total"] else ""
        tell("packages", f"{progress['step']}{count}")
        if progress.get("error") and time.monotonic() - start > 60:
            raise ApplyError(f"packages could not be installed:\n{progress['error']}", "webitel-install.service")
        if time.monotonic() - start > INSTALL_SECONDS:
            raise ApplyError(f"packages were not installed within {INSTALL_SECONDS} s: {progress}", "webitel-install.service")
        time.sleep(PAUSE_SECONDS)


def find_stale(manifest: Manifest, runs: bool) -> list[str]:
    """Write the package sources; return the packages installed in another version than the manifest's, all of them available.

    Raises ApplyError or InstallError, with no package changed.
    """
    install.prepare_sources(json.loads(install.PLAN.read_text()))
    wanted = manifest["versions"]
    stale = versions.find_stale(wanted)
    if SANDBOX.is_dir():
        (install.SOURCES / versions.STAND_INS).write_text(f"deb [trusted=yes] file:{SANDBOX} ./\n")
        if stale or install.list_missing(manifest["packages"], {}):
            install.read_lists(versions.STAND_INS)
    versions.check(wanted, stale, runs, manifest["node"])
    return list(stale)


def install_packages(manifest: Manifest, stale: list[str], tell: Tell) -> None:
    """Install what is still missing (what needs a credential) or stale. Raises InstallError."""
    wanted = {name: entry["version"] for name, entry in manifest["versions"].items()}
    for name in stale:
        tell("packages", f"package {name} {wanted[name]}")
    # Stand-ins are not data: their files need not be synced to the disk one by one.
    options = install.QUICK if SANDBOX.is_dir() else ()
    install.install(
        list(dict.fromkeys([*manifest["packages"], *wanted])),
        manifest["install_units"],
        fresh_lists=not SANDBOX.is_dir(),
        options=(*options, *(versions.INSTALL if wanted else ())),
        versions=wanted,
    )
