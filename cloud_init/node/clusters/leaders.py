"""Who leads what, as seen from this node: PostgreSQL, its synchronous standby, Consul, a quorum queue; who runs what moves."""

import http.client
import json

from ..ask import sip
from ..ask.consul import ConsulError, call, list_keys
from ..ask.view import View, broker
from ..manifest import load_manifest
from ..system import Unhealthy


def show(queue: str) -> int:
    """Print {"postgresql", "standby", "consul", "queue"}: keys of nodes, or addresses or names; "" = unknown. "moving":
    by service, the key of the node that holds its lock.
    """
    view = View(load_manifest())
    try:
        moving = view.lock_holders
    except Unhealthy:
        moving = {}
    print(
        json.dumps(
            {
                **ask_patroni(),
                "consul": ask_consul(),
                "queue": ask_broker(view, queue),
                "calls": count_calls(view),
                "moving": moving,
            }
        )
    )
    return 0


def ask_patroni() -> dict[str, str]:
    """Return the leader and the synchronous standbys, as Patroni keeps them in Consul."""
    try:
        keys = list_keys("service/webitel/")
        sync = json.loads(keys.get("sync", {}).get("Value") or "{}")
    except (ConsulError, ValueError):
        return {"postgresql": "", "standby": ""}
    return {"postgresql": keys.get("leader", {}).get("Value", ""), "standby": sync.get("sync_standby") or ""}


def ask_consul() -> str:
    """Return the address of Consul's leader."""
    try:
        return str(call("GET", "/v1/status/leader") or "").partition(":")[0]
    except ConsulError:
        return ""


def ask_broker(view: View, queue: str) -> str:
    """Return the name of the node that leads a queue."""
    try:
        return str(broker(view, f"/api/queues/%2f/{queue}").get("leader", "")).partition("@")[2]
    except Unhealthy:
        return ""


def count_calls(view: View) -> int:
    """Count the calls on this node's FreeSWITCH; -1 = there is none, or it does not answer."""
    for service in view.manifest["services"]:
        for probe in service["probes"]:
            if probe["kind"] == "freeswitch":
                try:
                    said = sip.ask_freeswitch(probe, view, "show calls count")
                except (OSError, ValueError, http.client.HTTPException):
                    return -1
                return next((int(word) for word in said.split() if word.isdigit()), -1)
    return -1
