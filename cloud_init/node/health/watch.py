"""The careful watcher: starts what is dead, puts back what the broker or Consul lost, restarts what went deaf although all it
calls has been healthy for a minute, and has a member of a cluster given what it lacks.

What serves is restarted never, what carries calls neither (`restarts_when_deaf` of the catalogue), and the rest for one and the
same reason at most once in five minutes: a restart that did not help is not repeated at once, and holds up no other one.
"""

import http.client
import threading
import time
from collections.abc import Callable, Mapping

from .. import quiet
from ..ask import sip
from ..ask.view import View, fetch_json
from ..clusters import access, broker_cluster, database_cluster, encryption
from ..manifest import Manifest, ProbeEntry, ServiceEntry, load_manifest
from ..report import Report, ServiceRow
from ..storage import disks, shares
from ..system import Unhealthy, systemctl
from . import entries, figures, kept_calls, machine, opensips, status, topology

ROUND_SECONDS = 15.0
DEAF_SECONDS = 60.0
MIN_RESTART_INTERVAL_SECONDS = 300.0
MIN_SETUP_INTERVAL_SECONDS = 60.0
SETUP_UNIT = "webitel-setup-rabbitmq"

Rows = Mapping[str, ServiceRow]


def run() -> int:
    """Watch for as long as the node runs; return 1 where a part of it has ended."""
    rounds = Rounds()
    keeper = threading.Thread(target=access.follow, daemon=True)
    keeper.start()
    while keeper.is_alive():
        time.sleep(ROUND_SECONDS)
        rounds.look(load_manifest())
    return 1


class Rounds:
    """All that is looked after in one round, and what each part remembers until the next."""

    def __init__(self) -> None:
        self.watcher, self.kept = Watcher(), kept_calls.Keeper()
        self.follower, self.exporter = database_cluster.Follower(), figures.Exporter()

    def look(self, manifest: Manifest) -> None:
        """Do a round. What cannot be written on a full disk keeps nothing else from being done."""
        mounted = [disk for disk in manifest["disks"] if disks.is_mounted(disk["mount"])]
        attempt("units", lambda: start_dead(manifest))
        attempt("the share", lambda: shares.keep(manifest))
        attempt("disks", lambda: machine.sample_disks(mounted))
        attempt("encryption", lambda: encryption.look(manifest))
        report = status.ask(brief=True)
        attempt("figures", lambda: self.exporter.write(manifest, report))
        attempt("rtpengine", lambda: wake_rtpengine(manifest, report))
        attempt("calls", lambda: self.kept.look(manifest, time.monotonic()))
        attempt("the broker's cluster", lambda: tell(broker_cluster.grow(View(manifest))))
        attempt("the database's cluster", lambda: tell(self.follower.recopy(View(manifest))))
        attempt("services", lambda: self.watcher.look(manifest, report, time.monotonic()))


def attempt(what: str, step: Callable[[], None]) -> None:
    """Do one thing of a round, and say why it could not be done. Nonsense that a program says is an answer too."""
    try:
        step()
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        print(f"{what}: {type(error).__name__}: {error}", flush=True)


def tell(done: str) -> None:
    """Say what was done, if anything was."""
    if done:
        print(done, flush=True)


class Watcher:
    """What the watcher remembers between two rounds: how long each service has been deaf, and what was restarted and why."""

    def __init__(self) -> None:
        self.deaf_since: dict[str, float] = {}
        self.restarted: dict[tuple[str, str], float] = {}
        self.spared: dict[str, str] = {}
        self.base_since = 0.0
        self.set_up = -MIN_SETUP_INTERVAL_SECONDS

    def look(self, manifest: Manifest, report: Report, now: float) -> None:
        """Do what a report calls for."""
        rows = {row["name"]: row for row in report["services"]}
        self.set_up_broker(rows, now)
        view = View(manifest)
        entries.put_back(manifest, rows, view)
        mended = mend_bindings(manifest, rows, view)
        if not all(rows[name]["healthy"] for name in ("consul", "haproxy") if name in rows):
            self.base_since = 0.0
            self.deaf_since.clear()
            return
        self.base_since = self.base_since or now
        deaf = {service["name"]: service for service in list_deaf(manifest, rows) if service["name"] not in mended}
        for name in [name for name in self.deaf_since if name not in deaf]:
            del self.deaf_since[name]
        for name, service in deaf.items():
            since = self.deaf_since.setdefault(name, now)
            if now - max(since, self.base_since) < DEAF_SECONDS:
                continue
            reason = name, identify(rows[name]["probe"])
            if now - self.restarted.get(reason, -MIN_RESTART_INTERVAL_SECONDS) < MIN_RESTART_INTERVAL_SECONDS:
                continue
            if service.get("calls_freeswitch") and (hung := find_hung_freeswitch(manifest)):
                if self.spared.get(name) != hung:
                    print(f"{name} is left alone: {hung}", flush=True)
                self.spared[name] = hung
                continue
            print(f"restarting {name}: deaf for {now - since:.0f} s: {rows[name]['why']}", flush=True)
            systemctl("restart", "--no-block", *service["units"])
            self.restarted[reason] = now

    def set_up_broker(self, rows: Rows, now: float) -> None:
        """Have the broker's setup declare a missing exchange."""
        row = rows.get("rabbitmq")
        failed = row["probe"]["kind"] if row and "probe" in row else ""
        if row and failed == "exchanges" and now - self.set_up >= MIN_SETUP_INTERVAL_SECONDS:
            print(f"running {SETUP_UNIT}: {row['why']}", flush=True)
            systemctl("restart", "--no-block", SETUP_UNIT)
            self.set_up = now


def list_deaf(manifest: Manifest, rows: Rows) -> list[ServiceEntry]:
    """List running services that fail a question that a restart may cure, and that may be restarted for it."""
    return [
        service
        for service in manifest["services"]
        if service["restarts_when_deaf"]
        and (row := rows.get(service["name"]))
        and "probe" in row
        and row["probe"].get("restart_cures", True)
        and all(state == "active" for state in row["units"].values())
    ]


def identify(probe: ProbeEntry) -> str:
    """Name a probe among those of its service."""
    return " ".join(str(value) for name, value in sorted(probe.items()) if name != "says")


def mend_bindings(manifest: Manifest, rows: Rows, view: View) -> set[str]:
    """Restore bindings that services lost with an exchange and create at their start only; return the services' names.

    What the broker refuses to do for another one's queue is left to that service's restart. Every running service is
    checked: a row names one fault only, and that may be a different one.
    """
    mended: set[str] = set()
    for service in manifest["services"]:
        name, row = service["name"], rows.get(service["name"])
        if row is None or set(row["units"].values()) != {"active"}:
            continue
        for probe in list_lost(service, view):
            what = f"a binding of {name}: {probe['source']} to {probe['destination']} with the key {probe['key']}"
            try:
                topology.bind(probe, view)
            except Unhealthy as error:
                print(f"cannot restore {what}: {error}", flush=True)
            else:
                print(f"restored {what}", flush=True)
                mended.add(name)
    return mended


def list_lost(service: ServiceEntry, view: View) -> list[ProbeEntry]:
    """List the bindings of a service that are gone; none where the broker does not list them."""
    wanted = [probe for probe in service["probes"] if probe["kind"] == "binding"]
    try:
        found = view.bindings if wanted else set()
    except Unhealthy:
        return []
    return [probe for probe in wanted if topology.binding_of(probe) not in found]


def find_hung_freeswitch(manifest: Manifest) -> str:
    """Find a FreeSWITCH in Consul that accepts connections but answers no call: callers wait for it for ever, and
    restarting a caller only starts that again. "" = none."""
    try:
        entries = fetch_json("127.0.0.1", manifest["ports"]["consul_http"], "/v1/health/service/freeswitch?passing=1")
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    for entry in entries:
        try:
            sip.call_freeswitch(entry["Service"]["Address"], entry["Service"]["Port"])
        except TimeoutError as error:
            return f"FreeSWITCH {entry['Service']['ID']}: {error}"
        except (OSError, ValueError, Unhealthy):
            continue
    return ""


def start_dead(manifest: Manifest) -> None:
    """Start enabled units that nothing else will start: systemd does not retry after a failed dependency."""
    states = status.unit_states([unit["name"] for unit in manifest["units"]])
    off = quiet.list_units(manifest)
    for name, state in states.items():
        if name not in off and state.get("ActiveState") in ("inactive", "failed") and state.get("UnitFileState") == "enabled":
            print(f"starting {name}: it is {state.get('ActiveState')} ({state.get('Result')})", flush=True)
            systemctl("reset-failed", name)
            systemctl("start", "--no-block", name)


def wake_rtpengine(manifest: Manifest, report: Report) -> None:
    """Have OpenSIPS test rtpengine again: by itself it does so only when a call needs it, and makes that call wait."""
    healthy = {entry["name"]: entry["healthy"] for entry in report["services"]}
    if healthy.get("opensips", True) or not healthy.get("rtpengine"):
        return
    wanted = [probe for service in manifest["services"] for probe in service["probes"] if probe["kind"] == "opensips_rtpengine"]
    for probe in wanted:
        try:
            for url in opensips.enable_rtpengines(probe):
                print(f"OpenSIPS considered {url} disabled although it works: testing it again", flush=True)
        except (OSError, http.client.HTTPException) as error:
            print(f"OpenSIPS' management interface: {error}", flush=True)
