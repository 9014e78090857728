"""The state of the node: every service is asked for what only a working one has, all at once, within 10 seconds."""

import pathlib
import re
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .. import quiet
from ..ask.view import View
from ..clusters import locks, newcomers
from ..manifest import DiskEntry, Manifest, ProbeEntry, ServiceEntry, load_manifest
from ..report import DiskRow, Report, ServiceRow
from ..state import STATE, load_state
from ..storage import disks, shares
from ..system import RUNNING, Unhealthy, last_lines, systemctl
from . import alerts, machine, probes
from .waiting import WAITING

JUST_NOW_SECONDS = 30.0
"""Longer than the pause between two starts of a unit."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a service: the unit at fault ("" where it has none), what a probe says ("" = it is not active), and
    which probe."""

    unit: str
    says: str
    probe: ProbeEntry | None = None


def ask(only: Collection[str] | None = None, *, brief: bool = False) -> Report:
    """Report the state of the node.

    `only` limits it to some services. `brief`, for callers that ask again and again: without the rows of the machine, and of the
    services at fault only the first one's journal is read. All of them, while a whole node starts, cost more than the start.
    """
    manifest = load_manifest()
    if manifest.get("leaving"):
        return report_leaving(manifest)
    states = unit_states([unit["name"] for unit in manifest["units"]])
    chosen = [service for service in manifest["services"] if only is None or service["name"] in only]
    view, off = View(manifest), frozenset(quiet.list_units(manifest))
    with ThreadPoolExecutor(24) as pool:
        shared = pool.submit(shares.report, manifest["share"]) if "share" in manifest else None
        faults = list(pool.map(lambda service: find_fault(service, states, view, off), chosen))
        guilty = list(dict.fromkeys(fault.unit for fault in faults if fault and fault.unit))[: 1 if brief else None]
        logs = dict(zip(guilty, pool.map(last_lines, guilty), strict=True))
    reports = [report_service(service, fault, states, logs, view, off) for service, fault in zip(chosen, faults, strict=True)]
    disk_reports = [*(report_disk(disk) for disk in manifest["disks"]), *([shared.result()] if shared else [])]
    machine_rows = machine.ask(manifest) if only is None and not brief and manifest["services"] else []
    firing = alerts.list_firing(manifest) if only is None and not brief else None
    configured = STATE.exists() and bool(manifest["services"])
    report: Report = {
        "node": manifest["node"],
        "key": manifest["key"],
        "services": reports,
        "disks": disk_reports,
        "machine": machine_rows,
        "healthy": configured and all(row["healthy"] for row in (*reports, *disk_reports, *machine_rows)),
        "uptime": read_uptime(),
    }
    if only is None and not report["healthy"] and newcomers.is_shut_out(manifest):
        report["shut_out"] = True
    return report if firing is None else {**report, "alerts": firing}


def report_leaving(manifest: Manifest) -> Report:
    """Report on a node that leaves: healthy once it has left."""
    left = bool(load_state().get("left"))
    return {
        "node": manifest["node"],
        "key": manifest["key"],
        "services": [],
        "disks": [],
        "machine": [],
        "healthy": left,
        "left": left,
        "uptime": read_uptime(),
    }


def read_uptime() -> float:
    """Read the seconds since boot."""
    return float(pathlib.Path("/proc/uptime").read_text().split()[0])


def unit_states(names: list[str]) -> dict[str, dict[str, str]]:
    """Read by unit ActiveState, SubState, Result, NRestarts, StatusText and a running control process (a wait)."""
    if not names:
        return {}
    wanted = "Id,ActiveState,SubState,Result,NRestarts,ExecMainStatus,ExecMainPID,UnitFileState,LoadState,"
    wanted += "ActiveEnterTimestampMonotonic"
    shown = systemctl("show", "-p", wanted, *(f"{name}.service" for name in names), timeout=10).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in shown.strip().split("\n\n")]
    return {block["Id"].removesuffix(".service"): block for block in blocks if "Id" in block}


def find_fault(service: ServiceEntry, states: dict[str, dict[str, str]], view: View, off: Collection[str] = ()) -> Fault | None:
    """Find what is wrong with its lock, else the first unit that is not active, else the first probe that fails. With units that
    are meant to be `off` only that they run counts."""
    if is_off(service, off):
        speaking = [unit for unit in service["units"] if states.get(unit, {}).get("ActiveState") in RUNNING]
        return Fault(speaking[0], "it runs, and the deployment is quiet") if speaking else None
    if service.get("candidates"):
        stopped = all(states.get(unit, {}).get("ActiveState") in ("inactive", "failed") for unit in service["units"])
        unit = "" if stopped else service["units"][0]
        try:
            holder = view.lock_holders.get(locks.find_lock(service), "")
        except Unhealthy as error:
            return Fault(unit, str(error))
        if said := locks.judge(not stopped, holder, view.manifest["key"]):
            return Fault(unit, said)
        if stopped and holder != view.manifest["key"]:
            return None
    for unit in service["units"]:
        if states.get(unit, {}).get("ActiveState") != "active":
            return Fault(unit, "")
    for probe in service["probes"]:
        try:
            probes.answer(probe, view)
        except Unhealthy as error:
            return Fault(next(iter(service["units"]), ""), f"{probe['says']} ({error})", probe)
    return None


def report_service(
    service: ServiceEntry,
    fault: Fault | None,
    states: dict[str, dict[str, str]],
    logs: Mapping[str, list[str]],
    view: View,
    off: Collection[str] = (),
) -> ServiceRow:
    """Make one service's row."""
    why, log = "", logs.get(fault.unit, []) if fault else []
    if fault:
        state = states.get(fault.unit, {})
        why = fault.says + describe_restarts(fault.unit, state, log) if fault.says else describe_state(fault.unit, state, log)
    units = {unit: states.get(unit, {}).get("ActiveState", "unknown") for unit in service["units"]}
    row: ServiceRow = {
        "name": service["name"],
        "title": service["title"],
        "units": units,
        "healthy": not why,
        "why": why,
        "log": log,
    }
    if fault and fault.probe:
        row["probe"] = fault.probe
    if is_off(service, off):
        row["quiet"] = True
    elif (holder := find_holder(service, view)) not in ("", view.manifest["key"]):
        row["standby"] = holder
    return row


def is_off(service: ServiceEntry, off: Collection[str]) -> bool:
    """Tell whether a service is meant to be off because the deployment is quiet."""
    return bool(service["units"]) and set(service["units"]) <= set(off)


def find_holder(service: ServiceEntry, view: View) -> str:
    """Return the key of the node that runs what moves; "" where none does, or it is unknown."""
    try:
        return view.lock_holders.get(locks.find_lock(service), "") if service.get("candidates") else ""
    except Unhealthy:
        return ""  # the service's fault reports that


def describe_state(unit: str, state: dict[str, str], log: list[str]) -> str:
    """Describe a unit that is not active."""
    if state.get("LoadState") == "not-found":
        return f"{unit} is not installed"
    active, sub, said = state.get("ActiveState", "unknown"), state.get("SubState", ""), last_words(log)
    # What else is done before a start is no wait: one that exits at its start is seen in it every time it is restarted.
    if sub == "start-pre" and said.startswith(WAITING):
        return f"{unit} waits: {said}"
    said = last_words(log, state.get("ExecMainPID", ""))
    text = f"{unit} is {active}" + (f" ({sub})" if sub and sub != active else "")
    if state.get("Result") not in ("", "success", None):
        text += f", {state['Result']}, exit {state.get('ExecMainStatus', '?')}"
    if state.get("NRestarts", "0") not in ("", "0"):
        text += f", restarted {state['NRestarts']} times"
    return text + (f"; it said: {said}" if said else "")


def describe_restarts(unit: str, state: dict[str, str], log: list[str]) -> str:
    """Describe a unit seen alive between two crashes: restarted just now, and what it said last; else ""."""
    age = time.clock_gettime(time.CLOCK_MONOTONIC) - int(state.get("ActiveEnterTimestampMonotonic") or 0) / 1e6
    if state.get("NRestarts", "0") in ("", "0") or age > JUST_NOW_SECONDS:
        return ""
    said = last_words(log)
    return f"; {unit} restarted {age:.0f} s ago, {state['NRestarts']} times in total" + (f"; it said: {said}" if said else "")


def last_words(log: list[str], pid: str = "") -> str:
    """Return what the program itself said last: closer to the cause than any state of systemd's, or what is run before its
    start and after its end said; with `pid` what that process said, where it said anything."""
    said = [line for line in log if " systemd[1]: " not in line]
    said = [line for line in said if f"[{pid}]: " in line] or said
    # `messages` prints the broker's whole address when it disconnects.
    return re.sub(r"://([^:/@\s]+):[^@\s]+@", r"://\1:***@", said[-1].split(": ", 1)[-1])[:300] if said else ""


def report_disk(disk: DiskEntry) -> DiskRow:
    """Make a data disk's row."""
    mount = disk["mount"]
    if not disks.is_mounted(mount):
        return {"purpose": disk["purpose"], "healthy": False, "why": f"disk {disk['purpose']} is not attached at {mount}"}
    if not disks.sentinel(mount).exists():
        return {"purpose": disk["purpose"], "healthy": False, "why": f"{mount} is not this node's disk: it has no sentinel file"}
    size, free = machine.measure_disk(disk)
    return {
        "purpose": disk["purpose"],
        "healthy": True,
        "why": "",
        "size": size,
        "free": free,
        "days_until_full": machine.days_until_full(mount, free),
    }


def describe(entry: ServiceRow) -> str:
    """Describe a service's row."""
    if entry.get("quiet") and not entry["why"]:
        return "off, the deployment is quiet"
    return entry["why"] or (f"standby, {entry['standby']} runs it" if "standby" in entry else "ok")


def as_text(report: Report) -> str:
    """Format the report for a person on the node."""
    rows = [f"{report['node']}  {'healthy' if report['healthy'] else 'not healthy'}  {time.strftime('%F %T %Z')}"]
    for entry in report["services"]:
        rows.append(f"  {entry['name']:<14} {describe(entry)}")
    rows += [f"  disk {disk['purpose']:<9} {'ok' if disk['healthy'] else disk['why']}" for disk in report["disks"]]
    return "\n".join(rows)
