"""A real AMQP connection with the exchanges, queues, bindings and consumers of the service, and what its loss does."""

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pika  # type: ignore[import-not-found]
import pika.exceptions  # type: ignore[import-not-found]

from .words import Topology

BrokerFailures = (pika.exceptions.AMQPError, OSError)


class BrokerError(Exception):
    """No connection: nobody listens, or the password is wrong."""


class ExchangeError(Exception):
    """An exchange that the service expects is not there."""


class Broker:
    """The connection of one service. `after`: `reconnect`, `deaf` or `exit STATUS SECONDS` (`words.Behaviour.after_broker`)."""

    def __init__(
        self, url: str, topology: Topology, settings: dict[str, str], after: str, speed: float, say: Callable[[str], None]
    ) -> None:
        self.url = url
        self.parameters = pika.URLParameters(url)
        self.parameters.heartbeat = 10
        self.parameters.blocked_connection_timeout = None
        self.topology, self.settings, self.after, self.speed, self.say = topology, settings, after, speed, say
        self.connection: Any = None
        self.declares = True

    def open(self) -> None:
        """Connects and declares; raises BrokerError or ExchangeError."""
        if not self.url:
            raise BrokerError("no address of the broker is set")
        try:
            self.connection = pika.BlockingConnection(self.parameters)
        except BrokerFailures as error:
            raise BrokerError(self._words(error)) from error
        if not self.declares:
            return
        try:
            self._declare()
        except pika.exceptions.ChannelClosedByBroker as error:
            self.connection.close()
            raise ExchangeError(f"Exception ({error.reply_code}) {error.reply_text}") from error
        except BrokerFailures as error:
            raise BrokerError(self._words(error)) from error

    def _words(self, error: Exception) -> str:
        return f"amqp {self.parameters.host}:{self.parameters.port}: {type(error).__name__} {error}".strip()

    def _declare(self) -> None:
        channel = self.connection.channel()
        for exchange, kind in self.topology.declares:
            channel.exchange_declare(exchange, kind, durable=True)
        for exchange in self.topology.needs:
            channel.exchange_declare(exchange, passive=True)
        for queue in self.topology.queues:
            arguments: dict[str, object] = {"x-queue-type": queue.kind} if queue.kind else {}
            if queue.expires:
                arguments["x-expires"] = queue.expires
            declared = channel.queue_declare(
                queue.name.format(**self.settings),
                durable=queue.durable,
                exclusive=queue.exclusive,
                auto_delete=queue.auto_delete,
                arguments=arguments,
            ).method.queue
            for binding in self.topology.bindings:
                if binding.queue == queue.name and not binding.to_exchange:
                    channel.queue_bind(declared, binding.exchange, binding.key.format(**self.settings))
            channel.basic_consume(declared, lambda *message: None, auto_ack=True, exclusive=queue.exclusive_consumer)
        for binding in self.topology.bindings:
            if binding.to_exchange:
                channel.exchange_bind(binding.queue, binding.exchange, binding.key)

    def start(self) -> None:
        """Serves the connection in a thread of its own from now on."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                self.connection.process_data_events(time_limit=30)
            except (*BrokerFailures, AttributeError, ValueError):
                self.say("the connection to the broker is lost")
                self._recover()

    def _recover(self) -> None:
        self.declares = self.after == "reconnect"
        pause = 3.0 / self.speed
        while True:
            try:
                self.open()
                break
            except BrokerError:
                time.sleep(pause)
            except ExchangeError as error:
                self.say(str(error))
                time.sleep(self.topology.missing_after)
        if self.after.startswith("exit"):
            _, status, seconds = self.after.split()
            time.sleep(float(seconds) / self.speed)
            self.say("panic: attempt to reuse consumer tag")
            os._exit(int(status))
