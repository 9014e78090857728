"""Sockets: what comes in goes to a worker, what goes out finds its connection."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .reader import Config

STREAMS = ("tcp", "tls", "ws", "wss")
DATAGRAM_BUFFER = 1 << 20


class Wire(Protocol):
    """What a stream's protocol does with bytes."""

    def feed(self, data: bytes) -> list[bytes]:
        """Whole SIP messages out of what came; a ValueError ends the connection."""

    def pack(self, message: bytes) -> bytes:
        """A message as it goes onto the wire."""


@dataclass(eq=False)
class Listener:
    """One `socket =` line and the socket behind it."""

    protocol: str
    address: str
    port: int
    advertised: str = ""
    advertised_port: int = 0
    socket: socket.socket | None = None

    @property
    def host(self) -> str:
        """The address that others are told."""
        return self.advertised or self.address

    @property
    def shown_port(self) -> int:
        """The port that others are told."""
        return self.advertised_port or self.port

    @property
    def in_route(self) -> str:
        """In a Record-Route: the port is left out where it is the usual one and nothing is advertised."""
        port = f":{self.shown_port}" if self.advertised or self.port != 5060 else ""
        return f"{self.host}{port}" + ("" if self.protocol == "udp" else f";transport={self.protocol}")

    def is_at(self, host: str, port: int) -> bool:
        """Whether an address of a message means this socket."""
        return host in (self.address, self.advertised) and port in (0, self.port, self.advertised_port or self.port)

    def __str__(self) -> str:
        return f"{self.protocol}:{self.address}:{self.port}"


@dataclass(eq=False)
class Connection:
    """One TCP, TLS or WebSocket connection."""

    listener: Listener
    socket: socket.socket
    peer: tuple[str, int]
    wire: Wire
    ends: float
    """When it is closed for want of traffic, monotonic seconds."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    closed: bool = False
    greeted: bool = True
    """Whether a TLS handshake is over."""

    def send(self, data: bytes, timeout: float) -> bool:
        """Whether all of it went out."""
        with self.lock:
            rest = memoryview(data)
            deadline = time.monotonic() + timeout
            while rest and not self.closed:
                try:
                    rest = rest[self.socket.send(rest) :]
                except (BlockingIOError, InterruptedError) as error:
                    del error
                    if time.monotonic() > deadline:
                        self.closed = True
                    select.select([], [self.socket], [], 0.05)
                except OSError as error:
                    # An SSL socket that cannot write yet says so with an error of its own.
                    if type(error).__name__ not in ("SSLWantWriteError", "SSLWantReadError") or time.monotonic() > deadline:
                        self.closed = True
                    else:
                        select.select([], [self.socket], [], 0.05)
            return not self.closed


class Transport:
    """Every socket of the file; `connections` are by protocol and peer."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.listeners = [
            Listener(row.protocol, row.address.replace("*", "0.0.0.0"), row.port, row.advertised, row.advertised_port)
            for row in config.sockets
        ]
        self.connections: dict[tuple[str, str, int], Connection] = {}
        self.lock = threading.RLock()
        self.connect: Callable[[Listener, str, int], Connection | None] = lambda listener, address, port: None
        self.lifetime = float(config.setting("tcp_connection_lifetime"))

    def bind(self) -> None:
        """Opens everything; an OSError names the socket that cannot be had."""
        for listener in self.listeners:
            kind = socket.SOCK_DGRAM if listener.protocol == "udp" else socket.SOCK_STREAM
            listener.socket = socket.socket(socket.AF_INET, kind)
            try:
                if kind == socket.SOCK_STREAM:
                    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                else:
                    listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAM_BUFFER)
                listener.socket.bind((listener.address, listener.port))
                if kind == socket.SOCK_STREAM:
                    listener.socket.listen(int(self.config.setting("tcp_socket_backlog")))
            except OSError as error:
                raise OSError(f"bind({listener}): {error.strerror}") from error

    def find(self, protocol: str, host: str, port: int) -> Listener | None:
        """The socket of an address."""
        return next((row for row in self.listeners if row.protocol == (protocol or row.protocol) and row.is_at(host, port)), None)

    def is_own(self, host: str, port: int = 0) -> bool:
        """The core's check of itself, without what a module adds to it."""
        return any(row.is_at(host, port) for row in self.listeners)

    def choose(self, protocol: str, address: str, like: Listener | None) -> Listener | None:
        """The socket a message leaves by: that it came in by, if the protocol is the same, else the first of the protocol."""
        if like and like.protocol == protocol:
            return like
        del address
        return next((row for row in self.listeners if row.protocol == protocol), None)

    def may_connect(self, setting: str, flags: set[str]) -> bool:
        """Whether a connection may be opened for a request of a branch, or a reply to a request, with these flags."""
        return self.config.setting(setting) not in flags

    def send(
        self,
        data: bytes,
        listener: Listener,
        address: str,
        port: int,
        connection: Connection | None = None,
        may_connect: bool = True,
    ) -> bool:
        """Whether the message went out."""
        if listener.protocol == "udp":
            assert listener.socket
            try:
                listener.socket.sendto(data, (address, port))
            except OSError:
                return False
            return True
        with self.lock:
            known = self.connections.get((listener.protocol, address, port))
            found = connection if connection and not connection.closed else known
        if found is None or found.closed:
            found = self.connect(listener, address, port) if may_connect else None
        if found is None:
            return False
        found.ends = max(found.ends, time.monotonic() + self.lifetime)
        return found.send(found.wire.pack(data), float(self.config.setting("tcp_connect_timeout")) / 1000)

    def add(self, connection: Connection) -> bool:
        """A new connection; False when there are too many."""
        with self.lock:
            if len(self.connections) >= int(self.config.setting("tcp_max_connections")):
                return False
            self.connections[connection.listener.protocol, *connection.peer] = connection
        return True

    def drop(self, connection: Connection) -> None:
        """Closes a connection."""
        with self.lock:
            key = (connection.listener.protocol, *connection.peer)
            if self.connections.get(key) is connection:
                del self.connections[key]
        connection.closed = True
        try:
            connection.socket.close()
        except OSError:
            return
