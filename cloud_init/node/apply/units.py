"""The node's units: enabled, started, and touched only where a change affects them."""

import pathlib
import time
from collections.abc import Callable

from .. import quiet
from ..clusters import broker_cluster, database_cluster, encryption, mesh
from ..health import kept_calls, status
from ..manifest import Configuration, Manifest
from ..state import State
from ..system import RUNNING, ApplyError, Tell, last_lines, run, systemctl
from .drain import admit, drain

WATCH, LOCKS, RECORDS = "webitel-watch.service", "webitel-locks.service", "webitel-records.service"
MOVER, MESH = "webitel-address.service", "webitel-mesh.service"
SETUP = "/usr/lib/webitel/setup/"
"""Our own commands."""

UNIT_FILES = pathlib.Path("/etc/systemd/system")

SETTLE_SECONDS = 300
"""How long a touched service may take to work again after an update."""

BEFORE_RESTART: dict[str, Callable[[Manifest, Tell], None]] = {
    "patroni": database_cluster.step_down,
    "rabbitmq-server": broker_cluster.drain,
}
"""What a member of a cluster does before its restart, so that the others continue without it."""

AFTER_RELOAD: dict[str, Callable[[Manifest], None]] = {"patroni": encryption.await_offer}
"""What has to be true before what follows is restarted."""

AFTER_END: dict[str, Callable[[], None]] = {mesh.UNIT: mesh.forget}
"""What has to go with a unit that this node no longer has."""

VERBS = ("reload", "restart", "drain", "refresh", "revive")
"""`revive` is a restart that is put off while calls would not come back. `refresh` is for what matters at the next start only:
it touches a unit that is still on its way up."""


def actions_of_bundles(configuration: Configuration, state: State) -> list[str]:
    """Return what a new version of a bundle does: the manifest says it for every bundle that a service reads."""
    before = state.get("bundles", {})
    uses = configuration["manifest"]["bundle_actions"]
    return [
        action
        for name, digest in configuration["bundles"].items()
        if before.get(name) not in (None, digest)
        for action in uses.get(name, [])
    ]


def order_actions(actions: list[str], manifest: Manifest) -> list[str]:
    """Order the actions by the units' start, each once; a restart makes a reload of the same unit unnecessary."""
    names = [unit["name"] for unit in manifest["units"]]
    wanted = list(dict.fromkeys(actions))
    wanted = [
        action
        for action in wanted
        if not (action.startswith("reload ") and {f"restart {action[7:]}", f"drain {action[7:]}"} & set(wanted))
    ]

    def place(action: str) -> int:
        # Our commands talk to a running program: the new one, where the same change restarts it.
        if action.startswith(SETUP):
            return len(names)
        unit = action.partition(" ")[2]
        return names.index(unit) if unit in names else -1

    return sorted(wanted, key=place)


def converge(manifest: Manifest, actions: list[str], update: bool, tell: Tell, disruptive: bool = False) -> list[str]:
    """Bring units to what the manifest says; return what was done. At creation everything is told to start and nothing is
    waited for. With `disruptive` nothing is put off for calls."""
    done = list(actions)
    off = set(quiet.list_units(manifest))
    names = [unit["name"] for unit in manifest["units"]]
    moving = {unit["name"] for unit in manifest["units"] if unit.get("moves")}
    if "daemon-reload" in actions:
        systemctl("daemon-reload")
    if missing := [name for name in (*names, WATCH) if name not in moving and systemctl("is-enabled", name).returncode != 0]:
        systemctl("unmask", *missing)
        systemctl("enable", *missing)
    # Only the holder of its lock starts it; one that is running goes on until the lock has been asked for.
    if loose := [name for name in sorted(moving) if systemctl("is-enabled", name).stdout.strip() != "disabled"]:
        systemctl("unmask", *loose)
        systemctl("disable", *loose)
    touched: list[str] = []
    for action in actions:
        verb, _, unit = action.partition(" ")
        if verb == "daemon-reload" or verb not in VERBS:
            if verb != "daemon-reload":
                perform_command(action, tell)
            continue
        if unit not in names:
            continue
        if not is_running(unit):
            continue
        tell("services", action)
        if verb == "drain" and update:
            drain(manifest, tell)
        if verb == "restart" and update and unit in BEFORE_RESTART:
            BEFORE_RESTART[unit](manifest, tell)
        if verb == "revive" and update and not disruptive and (why := kept_calls.describe_obstacle(manifest)):
            kept_calls.put_off(unit)
            tell("services", f"{unit} is not restarted: {why}")
            done[done.index(action)] = f"{unit} not restarted: {why}"
            continue
        perform(verb, unit, update)
        if verb == "reload" and update and unit in AFTER_RELOAD:
            AFTER_RELOAD[unit](manifest)
        if verb == "drain" and update:
            # A restarted one is not paused, but Consul may remember that it was out of service.
            admit(manifest)
        if verb != "refresh":
            touched.append(unit)
    if resting := list_resting([name for name in names if name not in moving | off]):
        tell("services", f"start {resting[0]}" + (f" and {len(resting) - 1} more" if resting[1:] else ""))
        systemctl("reset-failed", *resting)
        systemctl("start", "--no-block", *resting)
        if update:
            touched += resting
    if update and touched:
        settle(manifest, touched, tell)
    return done


def leave_clusters_to_others(manifest: Manifest, tell: Tell) -> None:
    """Have other members lead what this node leads, before all of it stops at once."""
    names = {unit["name"] for unit in manifest["units"]}
    for unit, step in BEFORE_RESTART.items():
        if unit in names and is_running(unit):
            step(manifest, tell)


def list_resting(units: list[str]) -> list[str]:
    """List the units that are neither active nor activating, in the given order."""
    said = systemctl("is-active", *units)
    states = said.stdout.split()
    if len(states) != len(units):
        why = said.stderr.strip() or f"{len(states)} answers"
        raise ApplyError(f"systemd does not say whether {' and '.join(units)} run: {why}")
    return [unit for unit, state in zip(units, states, strict=True) if state not in RUNNING]


def drop(names: list[str], tell: Tell) -> None:
    """Stop what this node no longer has, while its unit is still there to be stopped and disabled."""
    for name in names:
        tell("services", f"stop {name}")
        systemctl("disable", "--now", name)
        if name in AFTER_END:
            AFTER_END[name]()


def keep_off(names: list[str]) -> None:
    """Disable what packages enabled and no drop-in of ours configures, such as Debian's own nginx where only its program is
    wanted: it would start with the machine. A socket's drop-in stands for its service too (epmd)."""
    strange = [
        name if "." in name else f"{name}.service"
        for name in names
        if not any(UNIT_FILES.glob(f"{name.partition('.')[0]}.*.d/webitel.conf"))
    ]
    shown = systemctl("list-unit-files", "--state=enabled", "--no-legend", "--plain", *strange).stdout if strange else ""
    if enabled := [line.split()[0] for line in shown.splitlines()]:
        systemctl("disable", *enabled)


def is_running(unit: str) -> bool:
    """Tell whether the unit is active or activating."""
    return not list_resting([unit])


def perform(verb: str, unit: str, update: bool) -> None:
    """Perform one action on one unit; a reload that fails is an error with the unit's last lines."""
    if verb == "refresh":
        if systemctl("is-active", unit).stdout.strip() == "activating":
            systemctl("restart", "--no-block", unit)
        return
    if verb == "reload":
        done = systemctl("reload-or-restart", unit)
        if done.returncode != 0:
            raise ApplyError(f"{unit} could not be reloaded: {done.stderr.strip()}\n" + "\n".join(last_lines(unit)), unit)
        return
    blocking = [] if update else ["--no-block"]
    done = systemctl("restart", *blocking, unit, timeout=SETTLE_SECONDS)
    if done.returncode != 0:
        raise ApplyError(f"{unit} could not be restarted: {done.stderr.strip()}\n" + "\n".join(last_lines(unit)), unit)


def perform_command(action: str, tell: Tell) -> None:
    """Run a changed file's own command. One of ours that fails is an error and stays pending; a container refuses others."""
    ours = action.startswith(SETUP)
    if ours:
        tell("services", action.removeprefix(SETUP))
    done = run(["sh", "-c", action], 120)
    if ours and done.returncode != 0:
        raise ApplyError(f"{action} failed: {(done.stderr or done.stdout).strip()[-500:]}")


def settle(manifest: Manifest, touched: list[str], tell: Tell) -> None:
    """Wait until the services of the touched units work again."""
    concerned = {unit["service"] for unit in manifest["units"] if unit["name"] in touched}
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        report = status.ask(concerned, brief=True)
        sick = [service for service in report["services"] if not service["healthy"]]
        if not sick:
            return
        worst = sick[0]
        tell("services", f"waiting for {worst['name']}: {worst['why']}")
        if time.monotonic() > deadline:
            raise ApplyError(
                f"{worst['name']} does not work after the change: {worst['why']}\n" + "\n".join(worst["log"]),
                next(iter(worst["units"]), ""),
            )
        time.sleep(1)
