"""TCP, TLS and WebSocket: workers that serve many connections each, as the real program's do."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import selectors
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable

from .transport import Connection, Listener, Transport

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LONGEST = 65535
"""Bytes of one message, `tcp_max_msg_size`'s default."""


class Plain:
    """SIP over TCP and TLS: Content-Length says where a message ends."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answers: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages; a double line end alone is a ping, answered with one."""
        self.buffer += data
        found = []
        while True:
            if self.buffer.startswith(b"\r\n\r\n"):
                self.answers.append(b"\r\n")
            self.buffer = self.buffer.lstrip(b"\r\n")
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", self.buffer[:end])
            if length is None:
                raise ValueError("no Content-Length")
            size = end + 4 + int(length[1])
            if size > LONGEST:
                raise ValueError("too long")
            if len(self.buffer) < size:
                break
            found.append(self.buffer[:size])
            self.buffer = self.buffer[size:]
        if len(self.buffer) > LONGEST:
            raise ValueError("too long")
        return found

    def pack(self, message: bytes) -> bytes:
        """As it is."""
        return message


class WebSocket:
    """SIP over WebSocket: the handshake, then a message in each frame."""

    def __init__(self, wants_origin: bool) -> None:
        self.buffer = b""
        self.open = False
        self.wants_origin = wants_origin
        self.answers: list[bytes] = []
        self.parts = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Messages out of text and binary frames."""
        self.buffer += data
        if len(self.buffer) > 2 * LONGEST:
            raise ValueError("too long")
        if not self.open and not self.shake_hands():
            return []
        found = []
        while frame := self.take_frame():
            code, last, payload = frame
            if code == 8:
                self.answers.append(self.frame(8, payload[:2]))
                raise ValueError("closed by the peer")
            if code == 9:
                self.answers.append(self.frame(10, payload))
            elif code in (0, 1, 2):
                self.parts += payload
                if last:
                    if self.parts.strip():
                        found.append(self.parts)
                    self.parts = b""
        return found

    def shake_hands(self) -> bool:
        """Whether the connection is open now."""
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        key = fields.get("sec-websocket-key", "")
        good = (
            lines[0].startswith("GET ") and "websocket" in fields.get("upgrade", "").lower()
            and "upgrade" in fields.get("connection", "").lower() and fields.get("sec-websocket-version") == "13" and key
            and "sip" in fields.get("sec-websocket-protocol", "").lower().replace(" ", "").split(",")
            and ("origin" in fields or not self.wants_origin))
        if not good:
            self.answers.append(b"HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n")
            raise ValueError("no handshake")
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
        self.answers.append((
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        self.buffer, self.open = rest, True
        return True

    def take_frame(self) -> tuple[int, bool, bytes] | None:
        """The next whole frame: its code, whether it is the last of its message, and what is in it."""
        data = self.buffer
        if len(data) < 2:
            return None
        size, place = data[1] & 0x7F, 2
        if size > 125:
            width = 2 if size == 126 else 8
            if len(data) < 2 + width:
                return None
            size, place = int.from_bytes(data[2:2 + width], "big"), 2 + width
        if size > LONGEST:
            raise ValueError("too long")
        masked = bool(data[1] & 0x80)
        if not masked:
            raise ValueError("a frame without mask")
        if len(data) < place + 4 + size:
            return None
        mask = data[place:place + 4]
        body = data[place + 4:place + 4 + size]
        self.buffer = data[place + 4 + size:]
        repeated = (mask * (size // 4 + 1))[:size]
        plain = (int.from_bytes(body, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big") if size else b""
        return data[0] & 0x0F, bool(data[0] & 0x80), plain

    @staticmethod
    def frame(code: int, payload: bytes) -> bytes:
        """A frame of the server: no mask."""
        size = len(payload)
        head = struct.pack("!BB", 0x80 | code, size) if size < 126 else struct.pack("!BBH", 0x80 | code, 126, size)
        return head + payload

    def pack(self, message: bytes) -> bytes:
        """In a text frame."""
        return self.frame(1, message)


class StreamWorker(threading.Thread):
    """One of `tcp_workers`: while it waits for a database, its other connections wait too."""

    def __init__(
        self, name: str, transport: Transport, take: Callable[[bytes, Connection], None], start: Callable[[], None],
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
            for number in range(int(config.setting("tcp_workers")))]
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
        """A connection of our own to a TCP or TLS peer."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(float(self.transport.config.setting("tcp_connect_timeout")) / 1000)
        try:
            sock.bind((listener.address, 0))
            sock.connect((address, port))
        except OSError:
            sock.close()
            return None
        connection = self.adopt(listener, sock, (address, port), True)
        if connection and not connection.greeted:
            deadline = time.monotonic() + float(self.transport.config.setting("tcp_connect_timeout")) / 1000
            while not connection.greeted and not connection.closed and time.monotonic() < deadline:
                time.sleep(0.01)
        return connection
