"""Events: raised by modules or the script, run by event routes, published to a broker."""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pika  # type: ignore[import-not-found]
import pika.exceptions  # type: ignore[import-not-found]

from .context import Context, function
from .evaluate import run_route
from .message import Message
from .tree import Value, Variable

if TYPE_CHECKING:
    from .core import Core

MISSED = 2
"""Heartbeats after whose miss a broker closes a connection that serves none."""


@dataclass(frozen=True)
class Target:
    """`rabbitmq:user:password@host:port/exchange=name?key`."""

    user: str
    password: str
    host: str
    port: int
    exchange: str
    key: str

    @property
    def shown(self) -> str:
        """Without the password."""
        return f"rabbitmq:{self.host}:{self.port}/{self.exchange}?{self.key}"


def read_target(text: str) -> Target | None:
    """None for what is no such address."""
    match = re.fullmatch(r"rabbitmq:(?:([^:@]+):([^@]*)@)?([^:/?]+)(?::(\d+))?/(?:([^?]*)\?)?(.+)", text)
    if match is None:
        return None
    said = match[5] or ""
    exchange = next((part.partition("=")[2] for part in said.split(";") if part.startswith("exchange=")), said)
    return Target(match[1] or "guest", match[2] or "guest", match[3], int(match[4] or 5672), exchange, match[6])


class Publisher(threading.Thread):
    """The module's own process: one connection to each broker, opened at the first event.

    While nothing is sent it serves no heartbeat. A broker that was asked for one closes the connection, and the next event is
    written into it and lost; the one after it goes out by a new connection.
    """

    def __init__(self, core: Core) -> None:
        super().__init__(daemon=True, name="event_rabbitmq")
        self.core = core
        self.waiting: queue.SimpleQueue[tuple[Target, str]] = queue.SimpleQueue()
        self.links: dict[Target, tuple[Any, Any, float]] = {}

    def run(self) -> None:
        """Sends what waits."""
        while True:
            target, body = self.waiting.get()
            try:
                self.send(target, body)
            except (pika.exceptions.AMQPError, OSError) as error:
                self.links.pop(target, None)
                self.core.say(f"ERROR:event_rabbitmq:rmq_process: an event for {target.shown} is lost: {error!r}")

    def send(self, target: Target, body: str) -> None:
        """One event."""
        heartbeat = self.core.config.number("event_rabbitmq", "heartbeat")
        link = self.links.get(target)
        if link and heartbeat and time.monotonic() - link[2] > MISSED * heartbeat:
            # The broker has hung up meanwhile.
            self.links.pop(target)
            link[0].close()
            raise pika.exceptions.ConnectionClosedByBroker(320, "missed heartbeats from client")
        if link is None:
            seconds = self.core.config.number("event_rabbitmq", "connect_timeout") / 1000
            connection = pika.BlockingConnection(
                pika.ConnectionParameters(
                    target.host,
                    target.port,
                    "/",
                    pika.PlainCredentials(target.user, target.password),
                    heartbeat=0,
                    socket_timeout=seconds,
                    blocked_connection_timeout=5,
                    client_properties={"connection_name": "opensips"},
                )
            )
            link = connection, connection.channel(), 0.0
        link[1].basic_publish(
            target.exchange, target.key, body.encode("latin-1", "replace"), pika.BasicProperties(content_type="application/json")
        )
        if link[0].is_open and link[1].is_open:
            link[0].process_data_events(0)
        self.links[target] = link[0], link[1], time.monotonic()


class Events:
    """Who is told of what."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.subscriptions: dict[str, list[Target]] = {}
        self.publisher = Publisher(core)

    def publish(self, name: str, values: list[tuple[str, Value]]) -> None:
        """To every subscriber, as a notification of JSON-RPC."""
        body = json.dumps({"jsonrpc": "2.0", "method": name, "params": dict(values)}, separators=(",", ":"))
        for target in self.subscriptions.get(name, []):
            self.publisher.waiting.put((target, body))


def start(core: Core) -> None:
    """The process that speaks with the broker."""
    if core.has("event_rabbitmq"):
        core.events.publisher.start()
    core.commands["subscribers_list"] = lambda: {
        "Events": [
            {"name": name, "subscribers": [{"socket": target.shown} for target in targets]}
            for name, targets in core.events.subscriptions.items()
        ]
    }


def raise_local(core: Core, name: str, values: dict[str, Value]) -> None:
    """An event of a module: to its route and its subscribers."""
    if ("event_route", name) in core.config.routes.blocks and core.has("event_route"):
        context = Context(core, Message(), "event", parameters=[values])
        run_route(context, "event_route", name)
    core.events.publish(name, list(values.items()))


@function("subscribe_event")
def subscribe_event(context: Context, name: str, where: str, seconds: int | None) -> int:
    """Somebody wants to be told."""
    del seconds
    target = read_target(where)
    if target is None or not context.core.has("event_rabbitmq"):
        context.say(f"ERROR:core:evi_event_subscribe: cannot parse socket {where.partition('@')[2] or where}")
        return -1
    context.core.events.subscriptions.setdefault(name, []).append(target)
    return 1


@function("raise_event")
def raise_event(context: Context, name: str, names: Variable | None, values: Variable | None) -> int:
    """An event of the script, with the avps' names and values from the latest to the first."""

    def listed(variable: Variable | None) -> list[Value]:
        if variable is None or variable.argument is None:
            return []
        return list(context.avps.get(variable.argument.text, []))

    keys, said = listed(names), listed(values)
    if names is not None and values is None:
        keys, said = [], keys
    pairs = (
        [(str(key), value) for key, value in zip(keys, said, strict=False)]
        if keys
        else [(str(place), value) for place, value in enumerate(said)]
    )
    for variable in (names, values):
        if variable is not None and variable.argument is not None:
            context.avps.pop(variable.argument.text, None)
    if (("event_route", name)) in context.core.config.routes.blocks:
        run_route(Context(context.core, Message(), "event", parameters=[dict(pairs)]), "event_route", name)
    context.core.events.publish(name, pairs)
    return 1
