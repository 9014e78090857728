"""The sockets of a stand-in, all served by one thread: HTTP, gRPC's first frame, pprof, FreeSWITCH's outbound socket."""

import base64
import hashlib
import selectors
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from .words import Answer, Listener

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HTTP2_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
LIMIT = 1 << 20
OPEN = "open"
"""The kind of a connection that has become a web socket."""
SOCKET_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455 1.3 appends to a client's key."""

Dynamic = Callable[[str, str, dict[str, str], bytes], "tuple[int, str, str]"]
"""(method, path, headers, body) -> status, kind, text."""


class ListenError(Exception):
    """The address cannot be bound."""


def split_address(address: str) -> tuple[str, int]:
    """Host (empty = every address) and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]").replace("localhost", "127.0.0.1"), int(port or 0)


def first_private_address() -> str:
    """The address this machine would use towards a private network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


class Server:
    """Listeners of one process. `dynamic` answers what no table can."""

    def __init__(self, binary: str, lacks: Callable[[str], bool], dynamic: dict[str, Dynamic]) -> None:
        self.binary, self.lacks, self.dynamic = binary, lacks, dynamic
        self.selector = selectors.DefaultSelector()
        self.ports: dict[str, tuple[str, int]] = {}
        self.started = False

    def listen(self, listener: Listener, address: str) -> None:
        """Binds and serves a listener; raises ListenError."""
        host, port = split_address(address)
        try:
            server = socket.create_server((host, port), backlog=64)
        except OSError as error:
            raise ListenError(f"listen tcp {address}: {error.strerror or error}") from error
        server.setblocking(False)
        self.ports[listener.name] = host, server.getsockname()[1]
        self.selector.register(server, selectors.EVENT_READ, (listener, None))
        if not self.started:
            self.started = True
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            for key, _ in self.selector.select(timeout=1.0):
                listener, buffer = key.data
                connection = cast(socket.socket, key.fileobj)
                try:
                    if buffer is None:
                        self._accept(connection, listener)
                    else:
                        self._read(connection, listener, buffer)
                except OSError:
                    self._close(connection)

    def _accept(self, server: socket.socket, listener: Listener) -> None:
        connection, _ = server.accept()
        connection.settimeout(5)
        self.selector.register(connection, selectors.EVENT_READ, (listener, bytearray()))
        if listener.kind == "esl":
            connection.sendall(b"connect\n\n")

    def _close(self, connection: socket.socket) -> None:
        with suppress(KeyError, ValueError):
            self.selector.unregister(connection)
        connection.close()

    def _read(self, connection: socket.socket, listener: Listener, buffer: bytearray) -> None:
        chunk = connection.recv(65536)
        if not chunk:
            self._close(connection)
            return
        if listener.kind in ("esl", OPEN):
            return
        buffer += chunk
        if listener.kind == "grpc":
            if buffer == HTTP2_PREFACE[: len(buffer)] or buffer.startswith(HTTP2_PREFACE):
                if len(buffer) - len(chunk) < len(HTTP2_PREFACE) <= len(buffer):
                    connection.sendall(HTTP2_SETTINGS)
                if len(buffer) > LIMIT:
                    del buffer[len(HTTP2_PREFACE) :]
                return
            self._close(connection)
            return
        top, found, body = bytes(buffer).partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length = headers.get("content-length", "0")
        if len(buffer) > LIMIT or (found and not length.isdigit()):
            self._close(connection)
        elif found and len(body) >= int(length):
            words = lines[0].split(" ")
            if upgrade := self.upgrade(listener, words, headers):
                connection.sendall(upgrade)
                # What is said by it from now on is nobody's: it stays open until the other side closes it.
                self.selector.modify(connection, selectors.EVENT_READ, (listener._replace(kind=OPEN), bytearray()))
                return
            status, kind, text = self.answer(listener, words[0], words[1] if len(words) > 1 else "/", headers, body)
            content = text.encode()
            connection.sendall(
                f"HTTP/1.1 {status} {REASONS.get(status, '-')}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
                f"Connection: close\r\n\r\n".encode()
                + (b"" if words[0] == "HEAD" else content)
            )
            self._close(connection)

    def upgrade(self, listener: Listener, words: list[str], headers: dict[str, str]) -> bytes:
        """The answer that opens a web socket (RFC 6455 4.2.2), empty where none is asked for or there is none."""
        key = headers.get("sec-websocket-key", "")
        path = words[1].partition("?")[0] if len(words) > 1 else ""
        takes = [answer for answer in listener.answers if answer.upgrades and fits(path, answer.path)]
        if not takes or words[0] != "GET" or headers.get("upgrade", "").lower() != "websocket" or not key:
            return b""
        accept = base64.b64encode(hashlib.sha1((key + SOCKET_KEY).encode(), usedforsecurity=False).digest()).decode()
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ).encode()

    def answer(self, listener: Listener, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[int, str, str]:
        """Status, content type and text for a request."""
        path = target.partition("?")[0]
        if listener.kind == "pprof":
            if path == "/debug/pprof/cmdline":
                return 200, "text/plain", "\0".join([self.binary, *sys.argv[1:]])
            if path == "/debug/pprof/":
                return 200, "text/html", "<html>profiles</html>"
            return 404, "text/plain", "404 page not found\n"
        if listener.needs and self.lacks(listener.needs):
            return 502, "text/plain", "Bad Gateway\n"
        fitting = [answer for answer in listener.answers if fits(path, answer.path)]
        if not fitting:
            return 404, "text/plain", "404 page not found\n"
        best: Answer = max(fitting, key=lambda answer: ("*" in answer.path, len(answer.path)))
        if best.methods and method.replace("HEAD", "GET") not in best.methods:
            return 405, "text/plain", ""
        if best.body in self.dynamic:
            return self.dynamic[best.body](method, path, headers, body)
        return best.status, best.kind, best.body


def fits(path: str, pattern: str) -> bool:
    """Whether a path is the pattern or below it; with `*`, for one segment each, it must be the pattern as a whole."""
    if "*" not in pattern:
        return path == pattern or path.startswith(pattern.rstrip("/") + "/")
    words, wanted = path.split("/"), pattern.split("/")
    return len(words) == len(wanted) and all(
        word == want or (want == "*" and word) for word, want in zip(words, wanted, strict=True)
    )
