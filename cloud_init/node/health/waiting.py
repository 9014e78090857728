"""What a unit waits for before it starts (`ExecStartPre`): Consul's leader, a writable database, the broker, a disk."""

import pathlib
import time

from ..ask.view import View
from ..clusters import access, broker_cluster, database_data
from ..manifest import ProbeEntry, load_manifest
from ..storage import disks, owners
from ..system import Unhealthy
from . import probes

PAUSE_SECONDS = 1.0
WAITING = "waiting for "
"""What its words begin with: by them `status` knows a wait."""
SAY_AGAIN_SECONDS = 10.0
"""Between two lines of a continuing wait: enough for a person, little for the journal."""
ALONE: ProbeEntry = {"kind": "wait", "says": ""}
"""A question that needs nothing but its name."""


def ask_consul(probe: ProbeEntry, view: View) -> None:
    """Ask as the health check does; what the access lists lack is seen to here: at boot the watcher starts after who waits."""
    try:
        probes.consul(probe, view)
    except Unhealthy:
        access.look(view.manifest)
        raise


QUESTIONS: dict[str, probes.Question] = {
    "consul": ask_consul,
    "postgresql": probes.postgresql,
    "rabbitmq": probes.broker_ready,
    "broker-cluster": broker_cluster.may_start,
    "database-cluster": database_data.may_start,
}
"""What a unit can wait for: an `awaited` service of the catalogue, or what a service's fragment names."""


def wait_for(names: list[str]) -> int:
    """Return 0 when everything named is available; print what it waits for when that changes, and every 10 s."""
    missing, told, last = list(names), "", 0.0
    while True:
        view = View(load_manifest())
        for name in list(missing):
            try:
                ask(name, view)
            except Unhealthy as error:
                text = f"{WAITING}{name}: {error}"
                if text != told or time.monotonic() - last > SAY_AGAIN_SECONDS:
                    print(text, flush=True)
                    told, last = text, time.monotonic()
                break
            missing.remove(name)
        if not missing:
            return 0
        time.sleep(PAUSE_SECONDS)


def ask(name: str, view: View) -> None:
    """Check once for what a name stands for."""
    kind, _, argument = name.partition(":")
    if kind == "disk":
        if not (disks.is_mounted(argument) and disks.sentinel(argument).exists()):
            raise Unhealthy(f"no disk at {argument}")
        return
    if kind == "owner":
        owners.finish(pathlib.Path(argument), view.manifest)
        return
    if kind not in QUESTIONS:
        raise SystemExit(f"cannot wait for {name}, only for {', '.join(QUESTIONS)}, disk:PATH or owner:PATH")
    probes.ask(QUESTIONS[kind], ALONE, view)
