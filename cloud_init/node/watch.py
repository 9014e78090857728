"""The careful watcher: starts what is dead, restarts what went deaf although all it calls has been healthy for a minute, and
has a member of a cluster given what it lacks.

Each service at most once in five minutes; what carries calls is never touched (`restarts_when_deaf` of the catalogue).
"""

import http.client
import time
from typing import Any

from . import broker_cluster, database_cluster, disks, machine, probes, shares, status
from .manifest import load_manifest, systemctl
from .view import View

ROUND = 15.0
DEAF_FOR = 60.0
APART = 300.0


def run() -> int:
    """Until the end of the node."""
    deaf_since: dict[str, float] = {}
    restarted: dict[str, float] = {}
    base_since = 0.0
    follower = database_cluster.Follower()
    while True:
        time.sleep(ROUND)
        manifest = load_manifest()
        start_dead(manifest)
        shares.keep(manifest)
        machine.sample_disks([disk for disk in manifest["disks"] if disks.is_mounted(disk["mount"])])
        report = status.ask(brief=True)
        wake_rtpengine(manifest, report)
        for done in (broker_cluster.grow(View(manifest)), follower.recopy(View(manifest))):
            if done:
                print(done, flush=True)
        now = time.monotonic()
        healthy = {entry["name"] for entry in report["services"] if entry["healthy"]}
        base_ok = all(name in healthy for name in ("consul", "haproxy") if any(s["name"] == name for s in manifest["services"]))
        base_since = (base_since or now) if base_ok else 0.0
        if not base_ok:
            deaf_since.clear()
            continue
        for service in candidates(manifest, report):
            since = deaf_since.setdefault(service["name"], now)
            long_enough = now - since >= DEAF_FOR and now - base_since >= DEAF_FOR
            if long_enough and now - restarted.get(service["name"], -APART) >= APART:
                entry = next(row for row in report["services"] if row["name"] == service["name"])
                print(f"restarting {service['name']}: deaf for {now - since:.0f} s: {entry['why']}", flush=True)
                systemctl("restart", "--no-block", *service["units"])
                restarted[service["name"]] = now
        for name in list(deaf_since):
            if name in healthy:
                del deaf_since[name]


def candidates(manifest: dict[str, Any], report: dict[str, Any]) -> list[dict[str, Any]]:
    """Services that run, are not healthy, and that may be restarted for it."""
    rows = {entry["name"]: entry for entry in report["services"]}
    return [
        service for service in manifest["services"]
        if service["restarts_when_deaf"] and not rows[service["name"]]["healthy"]
        and all(state == "active" for state in rows[service["name"]]["units"].values())
    ]


def start_dead(manifest: dict[str, Any]) -> None:
    """Start enabled units that nothing starts any more: a failed dependency is not retried by systemd."""
    states = status.unit_states([unit["name"] for unit in manifest["units"]])
    for name, state in states.items():
        if state.get("ActiveState") in ("inactive", "failed") and state.get("UnitFileState") == "enabled":
            print(f"starting {name}: it is {state.get('ActiveState')} ({state.get('Result')})", flush=True)
            systemctl("reset-failed", name)
            systemctl("start", "--no-block", name)


def wake_rtpengine(manifest: dict[str, Any], report: dict[str, Any]) -> None:
    """Have OpenSIPS look at rtpengine again: by itself it does so only when a call needs it, and loses that call's time."""
    healthy = {entry["name"]: entry["healthy"] for entry in report["services"]}
    if healthy.get("opensips", True) or not healthy.get("rtpengine"):
        return
    wanted = [probe for service in manifest["services"] for probe in service["probes"] if probe["kind"] == "opensips_rtpengine"]
    for probe in wanted:
        try:
            for url in probes.enable_rtpengines(probe):
                print(f"OpenSIPS held {url} for disabled although it works: it looks again", flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(f"OpenSIPS' management interface: {error}", flush=True)
