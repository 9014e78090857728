"""What services need in the broker: exchanges, consumers and bindings; and how bindings are restored without a restart."""

from urllib.parse import quote

from ..ask.view import View, broker, tell_broker
from ..manifest import ProbeEntry
from ..system import Unhealthy

EXPECTED = ("call", "chat", "webitel", "opensips")
"""The exchanges that services expect but do not declare; `rabbitmq/definitions.json` does."""


def exchanges(_: ProbeEntry, view: View) -> None:
    """Look for the exchanges that no service declares."""
    there = {row["name"] for row in broker(view, "/api/exchanges/%2f") if row["type"] == "topic" and row["durable"]}
    if missing := [name for name in EXPECTED if name not in there]:
        raise Unhealthy(f"missing: {', '.join(missing)}")


def queue(probe: ProbeEntry, view: View) -> None:
    """Look for a consumer of this node on the queue."""
    peers = {peer for name, peer, _ in view.consumers if name == probe["queue"]}
    if view.address not in peers:
        others = f" (others: {', '.join(sorted(peers))})" if peers else ""
        raise Unhealthy(f"no consumer from this node on {probe['queue']}{others}")


def binding(probe: ProbeEntry, view: View) -> None:
    """Look for a binding from an exchange to the service's queue or exchange, with its key."""
    wanted = binding_of(probe)
    if wanted not in view.bindings:
        raise Unhealthy(f"exchange {wanted[0]} is not bound to the {wanted[1]} {wanted[2]} with the key {wanted[3]}")


def binding_of(probe: ProbeEntry) -> tuple[str, str, str, str]:
    """Return the binding that a probe looks for, as `View.bindings` has it."""
    return probe["source"], probe["to"], probe["destination"], probe["key"]


def own_queues(probe: ProbeEntry, view: View) -> None:
    """Look for queues named by the broker, consumed from this node over one connection and bound to the exchange:
    between `least` and `most`, by which programs of the same kind are told apart."""
    bound = {name for source, kind, name, _ in view.bindings if source == probe["exchange"] and kind == "queue"}
    by_connection: dict[str, set[str]] = {}
    for name, peer, connection in view.consumers:
        if name in bound and name.startswith("amq.gen-") and peer == view.address:
            by_connection.setdefault(connection, set()).add(name)
    counts = sorted(len(names) for names in by_connection.values())
    least, most = probe["least"], probe["most"]
    if not any(least <= count <= most for count in counts):
        found = f" (but {', '.join(map(str, counts))})" if counts else ""
        raise Unhealthy(f"no connection of this node has {least} queues bound to {probe['exchange']}{found}")


def bind(probe: ProbeEntry, view: View) -> None:
    """Restore a missing binding as its service would. Raises Unhealthy with what the broker said.

    It refuses where only the service itself can: a queue that is gone, or that belongs to one connection.
    """
    source = quote(probe["source"])
    if probe["source"] not in {row["name"] for row in broker(view, "/api/exchanges/%2f")}:
        if probe["source"] in EXPECTED:
            raise Unhealthy(f"the exchange {probe['source']} is missing")
        tell_broker(view, "PUT", f"/api/exchanges/%2f/{source}", {"type": probe["type"], "durable": True})
    letter = "q" if probe["to"] == "queue" else "e"
    path = f"/api/bindings/%2f/e/{source}/{letter}/{quote(probe['destination'])}"
    tell_broker(view, "POST", path, {"routing_key": probe["key"]})
