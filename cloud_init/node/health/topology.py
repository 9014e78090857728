"""What services need in the broker: exchanges, consumers and bindings. And what is put back there without a restart."""

from typing import Any
from urllib.parse import quote

from ..ask.view import View, broker, tell_broker

Arguments = dict[str, Any]

EXPECTED = ("call", "chat", "webitel", "opensips")
"""The exchanges that services expect and nobody declares; `webitel-setup-rabbitmq` does."""


def exchanges(_: Arguments, view: View) -> str:
    """The exchanges that nobody declares."""
    rows = broker(view, "/api/exchanges/%2f")
    if isinstance(rows, str):
        return rows
    there = {row["name"] for row in rows if row["type"] == "topic" and row["durable"]}
    missing = [name for name in EXPECTED if name not in there]
    return f"missing: {', '.join(missing)}" if missing else ""


def queue(arguments: Arguments, view: View) -> str:
    """A consumer of this node on the queue."""
    with view.locks["broker"]:
        consumers = view.consumers
    if isinstance(consumers, str):
        return consumers
    peers = {peer for name, peer, _ in consumers if name == arguments["queue"]}
    if view.address in peers:
        return ""
    return f"no consumer of this node on {arguments['queue']}" + (f" (others: {', '.join(sorted(peers))})" if peers else "")


def binding(arguments: Arguments, view: View) -> str:
    """A binding from an exchange to the service's queue or exchange, with its key."""
    with view.locks["broker"]:
        found = view.bindings
    if isinstance(found, str):
        return found
    wanted = arguments["source"], arguments["to"], arguments["destination"], arguments["key"]
    return "" if wanted in found else f"{wanted[0]} does not lead to the {wanted[1]} {wanted[2]} by {wanted[3]}"


def own_queues(arguments: Arguments, view: View) -> str:
    """Queues with names of the broker's own, consumed from this node over one connection and bound to the exchange: between
    `least` and `most`, by which programs of the same kind are told apart."""
    with view.locks["broker"]:
        consumers, found = view.consumers, view.bindings
    if isinstance(consumers, str) or isinstance(found, str):
        return str(consumers if isinstance(consumers, str) else found)
    bound = {name for source, kind, name, _ in found if source == arguments["exchange"] and kind == "queue"}
    by_connection: dict[str, set[str]] = {}
    for name, peer, connection in consumers:
        if name in bound and name.startswith("amq.gen-") and peer == view.address:
            by_connection.setdefault(connection, set()).add(name)
    counts = sorted(len(names) for names in by_connection.values())
    least, most = int(arguments["least"]), int(arguments["most"])
    if any(least <= count <= most for count in counts):
        return ""
    return f"of this node's connections none has {least} queues bound to {arguments['exchange']}" + (
        f" (but {', '.join(map(str, counts))})" if counts else "")


def bind(arguments: Arguments, view: View) -> str:
    """Put a missing binding back as its service would; "" when the broker did so, else what it said.

    It refuses where only the service itself can: a queue that is gone, or that belongs to one connection.
    """
    source, kind = quote(arguments["source"]), arguments["type"]
    rows = broker(view, "/api/exchanges/%2f")
    if isinstance(rows, str):
        return rows
    if arguments["source"] not in {row["name"] for row in rows}:
        if arguments["source"] in EXPECTED:
            return f"the exchange {arguments['source']} is missing"
        if said := tell_broker(view, "PUT", f"/api/exchanges/%2f/{source}", {"type": kind, "durable": True}):
            return said
    letter = "q" if arguments["to"] == "queue" else "e"
    path = f"/api/bindings/%2f/e/{source}/{letter}/{quote(arguments['destination'])}"
    return tell_broker(view, "POST", path, {"routing_key": arguments["key"]})
