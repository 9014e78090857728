"""A node on its way out: calls end, clusters are left, services stop and are forgotten by Consul. Safe to run again."""

import http.client
from collections.abc import Callable

from ..ask import tokens
from ..ask.view import fetch_json, request
from ..clusters import broker_cluster, consul_servers, database_cluster, database_data, locks
from ..manifest import BASE, Manifest
from ..system import ApplyError, Tell, run, systemctl
from .drain import drain
from .units import WATCH, is_running

STOP_SECONDS = 120
"""How long a unit may take to stop."""

STEPS: dict[str, Callable[[Manifest, Tell], None]] = {
    "freeswitch": drain,
    "postgresql": database_cluster.leave,
    "rabbitmq": broker_cluster.leave,
    "consul-server": consul_servers.leave,
    "locks": locks.hand_over,
}
"""What a service does before anything stops, while the whole node still works; an ApplyError leaves the node as it is."""

STOPPED: dict[str, Callable[[Manifest], None]] = {"postgresql": database_data.mark_left}
"""What a service does once all its units have stopped."""


def leave(manifest: Manifest, tell: Tell) -> None:
    """Take the node out of everything; it keeps its machine, its disks and its base services.

    Raises ApplyError when a step cannot be done; then nothing has been stopped.
    """
    units = [unit for unit in reversed(manifest["units"]) if unit["service"] not in BASE]
    # It would restart what is stopped here.
    systemctl("disable", "--now", WATCH)
    try:
        for unit in units:
            step = STEPS.get(unit["service"])
            if step and is_running(unit["name"]):
                tell("services", f"leaving: {unit['service']}")
                step(manifest, tell)
    except ApplyError:
        systemctl("enable", "--now", WATCH)
        raise
    for unit in units:
        tell("services", f"stop {unit['name']}")
        if unit["name"] == "consul" and is_running(unit["name"]):
            forget_services(manifest)
            run(["consul", "leave"], STOP_SECONDS, more={"CONSUL_HTTP_TOKEN": tokens.list_in_use().get(tokens.PROGRAM, "")})
        done = systemctl("disable", "--now", unit["name"], timeout=STOP_SECONDS)
        if is_running(unit["name"]):
            raise ApplyError(f"{unit['name']} did not stop: {done.stderr.strip()}", unit["name"])
    for service in sorted({unit["service"] for unit in units} & STOPPED.keys()):
        STOPPED[service](manifest)


def forget_services(manifest: Manifest) -> None:
    """Deregister from Consul what did not do so when it stopped (`facts/observed.md` 0.6)."""
    agent = "127.0.0.1", manifest["ports"]["consul_http"]
    try:
        for identifier in fetch_json(*agent, "/v1/agent/services"):
            request(*agent, f"/v1/agent/service/deregister/{identifier}", method="PUT")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ApplyError(f"this node's services could not be deregistered from Consul: {error}", "consul") from error
