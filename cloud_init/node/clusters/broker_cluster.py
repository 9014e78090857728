"""RabbitMQ as a cluster: who forms it, who joins, who holds a copy of every quorum queue."""

import shutil
import socket
import time
from typing import Any

from ..ask.consul import Session, list_keys
from ..ask.view import TIMEOUT_SECONDS, View, broker
from ..manifest import Manifest, ProbeEntry
from ..system import ApplyError, Tell, Unhealthy, run, systemctl
from .brokers import DATA, broker_name, list_members

BLANK = "webitel/rabbitmq/blank/"
SPARED_SECONDS = 120.0
"""How long the others may take until they can do without a node."""
_blank = Session("webitel: a broker without data")


def may_start(_: ProbeEntry, view: View) -> None:
    """Check whether this broker may start: without data only where it finds its cluster, since alone it would make one of its
    own and never join.

    The first member may begin the cluster when all the others are known to be without data too.
    """
    members = list_members(view.manifest)
    others = [member for member in members if member["key"] != view.manifest["key"]]
    if not others or (DATA / broker_name(view.manifest["node"])).exists():
        return
    if answering := [member for member in others if is_open(member["address"], view.ports["rabbitmq_amqp"])]:
        forget(answering[0]["name"], view.manifest["node"])
        return
    _blank.hold(BLANK + view.manifest["key"], view.manifest["node"])
    blank = list_keys(BLANK)
    if view.manifest["key"] != members[0]["key"]:
        names = " or ".join(member["key"] for member in others)
        raise Unhealthy(f"this broker has no data yet and must join {names}, but none answers")
    if missing := [member["key"] for member in others if member["key"] not in blank]:
        raise Unhealthy(f"this broker has no data, and it is unknown whether {' and '.join(missing)} have some")


def forget(member: str, node: str) -> None:
    """Have a running member forget the broker that once had this node's name; a machine was replaced."""
    done = run(["rabbitmqctl", "-q", "-n", broker_name(member), "forget_cluster_node", broker_name(node)], 60)
    said = (done.stdout + done.stderr).strip()
    if done.returncode != 0 and "not_a_cluster_node" not in said and "not in the cluster" not in said:
        raise Unhealthy(said[-300:])


def is_open(address: str, port: int) -> bool:
    """Tell whether something accepts connections."""
    try:
        with socket.create_connection((address, port), TIMEOUT_SECONDS):
            return True
    except OSError:
        return False


def count_missing_replicas(view: View) -> int:
    """Count the quorum queues without a copy on this node."""
    name = broker_name(view.manifest["node"])
    rows = broker(view, "/api/queues/%2f?columns=name,type,members")
    return len([row for row in rows if row.get("type") == "quorum" and name not in row.get("members", [name])])


def grow(view: View) -> str:
    """Give this node a copy of every quorum queue; return what was done, "" where nothing was missing."""
    if len(list_members(view.manifest)) < 2:
        return ""
    try:
        missing = count_missing_replicas(view)
    except Unhealthy:
        return ""  # `status` says so
    if not missing:
        return ""
    done = run(["rabbitmq-queues", "-q", "grow", broker_name(view.manifest["node"]), "all"], 300)
    said = (done.stdout + done.stderr).strip()
    return f"adding copies of {missing} quorum queues to this node" + (f": {said[-300:]}" if done.returncode else "")


def list_away(rows: list[dict[str, Any]]) -> list[str]:
    """List the members that are not running, from RabbitMQ's view of its nodes."""
    return [row["name"].partition("@")[2] for row in rows if not row.get("running")]


def check_spared(view: View) -> None:
    """Check that every quorum queue keeps its majority without this node."""
    me = broker_name(view.manifest["node"])
    try:
        rows = broker(view, "/api/queues/%2f?columns=name,type,members,online")
    except Unhealthy:
        # Without a member the list of queues comes too late, and most of them could not spare a second one.
        if away := list_away(broker(view, "/api/nodes")):
            raise Unhealthy(f"broker {' and '.join(away)} is down, so the queues need this one") from None
        raise
    for row in rows:
        others = [member for member in row.get("members", []) if member != me]
        online = [member for member in row.get("online", []) if member != me]
        if row.get("type") == "quorum" and me in row.get("members", []) and (not others or 2 * len(online) <= len(others)):
            raise Unhealthy(f"queue {row['name']} would have no majority without this node")


def wait_until_spared(manifest: Manifest, tell: Tell) -> None:
    """Wait until the others can do without this node; raise an ApplyError where they cannot."""
    deadline = time.monotonic() + SPARED_SECONDS
    while True:
        try:
            return check_spared(View(manifest))
        except Unhealthy as error:
            if time.monotonic() > deadline:
                raise ApplyError(f"{error}; nothing was changed on it", "rabbitmq-server") from error
            tell("services", f"waiting for the other brokers: {error}")
        time.sleep(2)


def drain(manifest: Manifest, tell: Tell) -> None:
    """Prepare a restart: move leadership of this node's queues, and its clients, to the others."""
    if len(list_members(manifest)) < 2:
        return
    wait_until_spared(manifest, tell)
    tell("services", "handing over to the other brokers")
    run(["rabbitmq-upgrade", "-q", "drain"], 60)


def leave(manifest: Manifest, tell: Tell) -> None:
    """Take this broker out of its cluster for good: its copies of queues, its membership, its data. Safe to run again."""
    others = [member for member in list_members(manifest) if member["key"] != manifest["key"]]
    if not others:
        raise ApplyError("no other node has the broker", "rabbitmq-server")
    port = manifest["ports"]["rabbitmq_amqp"]
    running = next((member["name"] for member in others if is_open(member["address"], port)), "")
    if not running:
        raise ApplyError("no other broker answers", "rabbitmq-server")
    me = broker_name(manifest["node"])
    if run(["rabbitmqctl", "-q", "await_startup", "--timeout", "5"], 30).returncode == 0:
        drain(manifest, tell)
        shrunk = run(["rabbitmq-queues", "-q", "-n", broker_name(running), "shrink", me], 120)
        if shrunk.returncode:
            run(["rabbitmq-upgrade", "-q", "revive"], 60)
            said = (shrunk.stdout + shrunk.stderr)[-500:]
            raise ApplyError(f"its copies of queues could not be removed: {said}", "rabbitmq-server")
        run(["rabbitmqctl", "-q", "stop_app"], 120)
    try:
        forget(running, manifest["node"])
    except Unhealthy as error:
        raise ApplyError(f"{me} could not be removed from the cluster: {error}", "rabbitmq-server") from error
    systemctl("stop", "rabbitmq-server", timeout=120)
    shutil.rmtree(DATA, ignore_errors=True)
