"""The careful watcher: starts what is dead, puts back what the broker lost, restarts what went deaf although all it calls has
been healthy for a minute, and has a member of a cluster given what it lacks.

What serves is restarted never, what carries calls neither (`restarts_when_deaf` of the catalogue), and the rest for one and the
same reason at most once in five minutes: a restart that did not help is not repeated at once, and holds up no other one.
"""

import http.client
import time
from collections.abc import Mapping
from typing import Any

from ..ask import sip
from ..ask.view import View, fetch_json
from ..clusters import broker_cluster, database_cluster
from ..manifest import load_manifest, systemctl
from ..storage import disks, shares
from . import machine, probes, status, topology

ROUND = 15.0
DEAF_FOR = 60.0
APART = 300.0
SETUP_APART = 60.0
SETUP_UNIT = "webitel-setup-rabbitmq"

Row = Mapping[str, Any]


def run() -> int:
    """Until the end of the node."""
    watcher = Watcher()
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
        watcher.look(manifest, report, time.monotonic())


class Watcher:
    """What the watcher remembers between two looks: how long each has been deaf, and what was restarted for which reason."""

    def __init__(self) -> None:
        self.deaf_since: dict[str, float] = {}
        self.restarted: dict[tuple[str, str], float] = {}
        self.spared: dict[str, str] = {}
        self.base_since = 0.0
        self.set_up = -SETUP_APART

    def look(self, manifest: dict[str, Any], report: dict[str, Any], now: float) -> None:
        """Do what a report asks for."""
        rows: dict[str, Row] = {row["name"]: row for row in report["services"]}
        self.set_up_broker(rows, now)
        view = View(manifest)
        mended = mend_bindings(manifest, rows, view)
        if not all(rows[name]["healthy"] for name in ("consul", "haproxy") if name in rows):
            self.base_since = 0.0
            self.deaf_since.clear()
            return
        self.base_since = self.base_since or now
        deaf = {service["name"]: service for service in candidates(manifest, rows) if service["name"] not in mended}
        for name in [name for name in self.deaf_since if name not in deaf]:
            del self.deaf_since[name]
        for name, service in deaf.items():
            since = self.deaf_since.setdefault(name, now)
            if now - max(since, self.base_since) < DEAF_FOR:
                continue
            reason = name, identify(rows[name]["probe"])
            if now - self.restarted.get(reason, -APART) < APART:
                continue
            if service.get("calls_freeswitch") and (hung := find_hung_freeswitch()):
                if self.spared.get(name) != hung:
                    print(f"{name} is left alone: {hung}", flush=True)
                self.spared[name] = hung
                continue
            print(f"restarting {name}: deaf for {now - since:.0f} s: {rows[name]['why']}", flush=True)
            systemctl("restart", "--no-block", *service["units"])
            self.restarted[reason] = now

    def set_up_broker(self, rows: Mapping[str, Row], now: float) -> None:
        """Have the broker's setup declare an exchange that is missing."""
        failed = rows.get("rabbitmq", {}).get("probe") or {}
        if failed.get("kind") == "exchanges" and now - self.set_up >= SETUP_APART:
            print(f"running {SETUP_UNIT}: {rows['rabbitmq']['why']}", flush=True)
            systemctl("restart", "--no-block", SETUP_UNIT)
            self.set_up = now


def candidates(manifest: dict[str, Any], rows: Mapping[str, Row]) -> list[dict[str, Any]]:
    """Services that run, fail a question that a restart may cure, and that may be restarted for it."""
    return [
        service for service in manifest["services"]
        if service["restarts_when_deaf"] and "probe" in (row := rows.get(service["name"], {}))
        and row["probe"].get("restart_cures", True) and all(state == "active" for state in row["units"].values())
    ]


def identify(probe: Row) -> str:
    """A probe's name among those of its service."""
    return " ".join(str(value) for name, value in sorted(probe.items()) if name != "says")


def mend_bindings(manifest: dict[str, Any], rows: Mapping[str, Row], view: View) -> set[str]:
    """Put back the bindings that services lost with an exchange, and made at their start only; returns the services' names.

    What the broker refuses to be done for another one's queue is left to that service's restart. Every running service is looked
    at: a row names one fault only, and that may be another one.
    """
    mended: set[str] = set()
    for service in manifest["services"]:
        name, row = service["name"], rows.get(service["name"], {})
        wanted = [probe for probe in service["probes"] if probe["kind"] == "binding"]
        if not wanted or set(row.get("units", {}).values()) != {"active"} or isinstance(view.bindings, str):
            continue
        lost = [probe for probe in wanted if topology.binding(probe, view)]
        for probe in lost:
            what = f"a binding of {name}: {probe['source']} to {probe['destination']} by {probe['key']}"
            said = topology.bind(probe, view)
            print(f"cannot put back {what}: {said}" if said else f"put back {what}", flush=True)
            if not said:
                mended.add(name)
    return mended


def find_hung_freeswitch() -> str:
    """A FreeSWITCH in Consul that takes connections and answers no call: who calls it waits for it for ever, and a restart of
    the caller only begins that anew. "" = none."""
    try:
        entries = fetch_json("127.0.0.1", 8500, "/v1/health/service/freeswitch?passing=1")
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    for entry in entries:
        place = {"address": entry["Service"]["Address"], "port": entry["Service"]["Port"]}
        try:
            sip.freeswitch_calls(place)
        except TimeoutError as error:
            return f"FreeSWITCH {entry['Service']['ID']}: {error}"
        except (OSError, ValueError):
            continue
    return ""


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
