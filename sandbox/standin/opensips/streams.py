"""TCP, TLS and WebSocket: workers that serve many connections each, as the real program's do."""

from __future__ import annotations

import secrets
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable

from .transport import Connection, Listener, Transport
from .wires import Plain, WebSocket


class StreamWorker(threading.Thread):
    """One of `tcp_workers`: while it waits for a database, its other connections wait too."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        take: Callable[[bytes, Connection], None],
        start: Callable[[], None],
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.transport, self.take, self.prepare = transport, take, start
        self.selector = selectors.DefaultSelector()
        self.fresh: list[Connection] = []
        self.waker, self.wakened = socket.socketpair()
        self.wakened.setblocking(False)
        self.selector.register(self.wakened, selectors.EVENT_READ, None)

    def give(self, connection: Connection) -> None:
        """Another connection to serve."""
        self.fresh.append(connection)
        self.waker.send(b"x")

    @property
    def load(self) -> int:
        """How many connections it has."""
        return len(self.selector.get_map()) + len(self.fresh)

    def run(self) -> None:
        """Serves until the process ends."""
        self.prepare()
        swept = time.monotonic()
        while True:
            for key, _ in self.selector.select(1.0):
                if key.data is None:
                    self.wakened.recv(4096)
                else:
                    self.read(key.data)
            while self.fresh:
                connection = self.fresh.pop()
                self.selector.register(connection.socket, selectors.EVENT_READ, connection)
                self.read(connection)
            now = time.monotonic()
            if now - swept >= 1:
                swept = now
                for key in list(self.selector.get_map().values()):
                    if key.data is not None and (key.data.closed or key.data.ends < now):
                        self.close(key.data)

    def close(self, connection: Connection) -> None:
        """Ends a connection."""
        try:
            self.selector.unregister(connection.socket)
        except (KeyError, ValueError):
            return
        finally:
            self.transport.drop(connection)

    def read(self, connection: Connection) -> None:
        """What has come."""
        while not connection.closed:
            try:
                with connection.lock:
                    if not connection.greeted:
                        assert isinstance(connection.socket, ssl.SSLSocket)
                        connection.socket.do_handshake()
                        connection.greeted = True
                        connection.ends = time.monotonic() + self.transport.lifetime
                    data = connection.socket.recv(16384)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                self.close(connection)
                return
            if not data:
                self.close(connection)
                return
            connection.ends = max(connection.ends, time.monotonic() + self.transport.lifetime)
            wire, messages, over = connection.wire, list[bytes](), False
            try:
                messages = wire.feed(data)
            except ValueError:
                over = True
            answers: list[bytes] = getattr(wire, "answers", [])
            while answers:
                connection.send(answers.pop(0), 1.0)
            for message in messages:
                self.take(message, connection)
            if over:
                self.close(connection)
                return


class Streams:
    """The workers, and the threads that accept connections for them."""

    def __init__(self, transport: Transport, take: Callable[[bytes, Connection], None], start: Callable[[str], None]) -> None:
        self.transport = transport
        config = transport.config
        self.workers = [
            StreamWorker(f"tcp-{number}", transport, take, lambda number=number: start(f"tcp-{number}"))  # type: ignore[misc]
            for number in range(int(config.setting("tcp_workers")))
        ]
        self.origin = bool(config.number("proto_ws", "require_origin"))
        self.contexts: Callable[[Listener, bool], ssl.SSLContext | None] = lambda listener, client: None
        transport.connect = self.connect

    def start(self) -> None:
        """Begins to serve."""
        for worker in self.workers:
            worker.start()
        for listener in self.transport.listeners:
            if listener.protocol != "udp":
                threading.Thread(target=self.accept, args=(listener,), daemon=True, name=f"accept-{listener}").start()

    def wire(self, listener: Listener) -> Plain | WebSocket:
        """What a socket's connections speak."""
        return WebSocket(self.origin) if listener.protocol in ("ws", "wss") else Plain()

    def accept(self, listener: Listener) -> None:
        """Takes connections as they come."""
        assert listener.socket
        while True:
            try:
                sock, peer = listener.socket.accept()
            except OSError:
                time.sleep(0.1)
                continue
            self.adopt(listener, sock, (peer[0], peer[1]), False)

    def adopt(self, listener: Listener, sock: socket.socket, peer: tuple[str, int], client: bool) -> Connection | None:
        """A connection to the worker with the fewest."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        greeted = True
        lifetime = self.transport.lifetime
        if listener.protocol in ("tls", "wss"):
            context = self.contexts(listener, client)
            if context is None:
                sock.close()
                return None
            sock = context.wrap_socket(sock, server_side=not client, do_handshake_on_connect=False)
            greeted = False
        sock.setblocking(False)
        connection = Connection(listener, sock, peer, self.wire(listener), time.monotonic() + lifetime, greeted=greeted)
        if not self.transport.add(connection):
            sock.close()
            return None
        min(self.workers, key=lambda worker: worker.load + secrets.randbelow(2)).give(connection)
        return connection

    def connect(self, listener: Listener, address: str, port: int) -> Connection | None:
        """A connection of our own. Also to where a browser was: the real one tries that, too, and its worker waits."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(float(self.transport.config.setting("tcp_connect_timeout")) / 1000)
        try:
            sock.bind((listener.address, 0))
            sock.connect((address, port))
        except OSError:
            sock.close()
            return None
        if listener.protocol in ("ws", "wss"):
            # Whoever listens there is no server of web sockets.
            sock.close()
            return None
        connection = self.adopt(listener, sock, (address, port), True)
        if connection and not connection.greeted:
            deadline = time.monotonic() + float(self.transport.config.setting("tcp_connect_timeout")) / 1000
            while not connection.greeted and not connection.closed and time.monotonic() < deadline:
                time.sleep(0.01)
        return connection
