"""What a unit waits for before it starts (`ExecStartPre`): Consul's leader, a writable database, the broker, a disk."""

import time
from collections.abc import Callable

from ..ask.view import View
from ..clusters import broker_cluster, database_data
from ..manifest import load_manifest
from ..storage import disks
from . import probes

PAUSE = 1.0
LOUD = 10.0
"""Seconds between two lines of a wait that goes on: enough for a person, little for the journal."""


def wait_for(names: list[str]) -> int:
    """Return 0 when everything named is there; says what it waits for, when that changes and every 10 s."""
    missing, told, last = list(names), "", 0.0
    while True:
        view = View(load_manifest())
        for name in list(missing):
            said = question(name)(view)
            if not said:
                missing.remove(name)
                continue
            text = f"waiting for {name}: {said}"
            if text != told or time.monotonic() - last > LOUD:
                print(text, flush=True)
                told, last = text, time.monotonic()
            break
        if not missing:
            return 0
        time.sleep(PAUSE)


def question(name: str) -> Callable[[View], str]:
    """The probe behind a name."""
    kind, _, argument = name.partition(":")
    if kind == "disk":
        return lambda view: "" if disks.is_mounted(argument) and disks.sentinel(argument).exists() else f"no disk at {argument}"
    known = {"consul": probes.consul, "postgresql": probes.postgresql, "rabbitmq": probes.broker_ready,
             "broker-cluster": broker_cluster.may_start, "database-cluster": database_data.may_start}
    if kind not in known:
        raise SystemExit(f"cannot wait for {name}: {', '.join(known)} or disk:PATH")
    return lambda view: probes.ask(known[kind], {}, view)
