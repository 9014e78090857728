"""RabbitMQ as a cluster: who forms it, who joins, who holds a copy of every quorum queue."""

import pathlib
import socket
from typing import Any

from .consul import ConsulError, Session, list_keys
from .manifest import run
from .view import TIMEOUT, View, broker

DATA = pathlib.Path("/var/lib/rabbitmq/mnesia")
BLANK = "webitel/rabbitmq/blank/"
_blank = Session("webitel: a broker without data")


def list_members(manifest: dict[str, Any]) -> list[dict[str, str]]:
    """The nodes that are to form the broker, {"key", "name", "address"}, the one that may begin first."""
    members: list[dict[str, str]] = manifest.get("clusters", {}).get("rabbitmq", [])
    return members


def broker_name(node: str) -> str:
    """The Erlang node of a node's broker."""
    return f"rabbit@{node}"


def may_start(_: dict[str, Any], view: View) -> str:
    """A broker without data starts only where it finds its cluster: alone it would make one of its own and never join.

    The first member may begin the cluster when all the others are known to be without data too.
    """
    members = list_members(view.manifest)
    others = [member for member in members if member["key"] != view.manifest["key"]]
    if not others or (DATA / broker_name(view.manifest["node"])).exists():
        return ""
    answering = [member for member in others if is_open(member["address"], 5672)]
    if answering:
        return forget(answering[0]["name"], view.manifest["node"])
    try:
        _blank.hold(BLANK + view.manifest["key"], view.manifest["node"])
        blank = list_keys(BLANK)
    except ConsulError as error:
        return str(error)
    if view.manifest["key"] != members[0]["key"]:
        return f"this broker has no data yet and joins {' or '.join(member['key'] for member in others)}, none of which answers"
    missing = [member["key"] for member in others if member["key"] not in blank]
    return f"this broker has no data, and whether {' and '.join(missing)} have some is not known" if missing else ""


def forget(member: str, node: str) -> str:
    """Has a running member forget the broker that this node's name once stood for; a machine was replaced."""
    done = run(["rabbitmqctl", "-q", "-n", broker_name(member), "forget_cluster_node", broker_name(node)], 60)
    said = (done.stdout + done.stderr).strip()
    return "" if done.returncode == 0 or "not_a_cluster_node" in said or "not in the cluster" in said else said[-300:]


def is_open(address: str, port: int) -> bool:
    """Whether something accepts connections."""
    try:
        with socket.create_connection((address, port), TIMEOUT):
            return True
    except OSError:
        return False


def count_missing_replicas(view: View) -> int | str:
    """Quorum queues without a copy on this node, or what went wrong."""
    name = broker_name(view.manifest["node"])
    rows = broker(view, "/api/queues/%2f?columns=name,type,members")
    if isinstance(rows, str):
        return rows
    return sum(row.get("type") == "quorum" and name not in row.get("members", [name]) for row in rows)


def grow(view: View) -> str:
    """Gives this node a copy of every quorum queue; returns what was done, "" where nothing was missing."""
    if len(list_members(view.manifest)) < 2:
        return ""
    missing = count_missing_replicas(view)
    if isinstance(missing, str) or not missing:
        return ""
    done = run(["rabbitmq-queues", "-q", "grow", broker_name(view.manifest["node"]), "all"], 300)
    said = (done.stdout + done.stderr).strip()
    return f"{missing} quorum queues get a copy on this node" + (f": {said[-300:]}" if done.returncode else "")
