"""Web sockets from outside: the doors of the site that take nothing else (RFC 6455)."""

from __future__ import annotations

import base64
import hashlib
import http
import secrets
import socket
import ssl
from collections.abc import Iterable

from cli.smoke.check import AGENT, Finding, World, ask_many, explain
from cli.smoke.paths import Location
from cli.smoke.web import TIMEOUT_SECONDS, WEB, list_places
from components.model.catalogue.service import Front, Service
from components.model.catalogue.services import CATALOGUE, find_front

SOCKET_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455 1.3 appends to a client's key."""
SIP = find_front(Front.SIP).name


def check_sockets(world: World) -> Iterable[Finding]:
    """Open a web socket at each door for them."""
    doors = [(address, place) for _, address, place in list_places(world) if place.socket]
    return ask_many(lambda one: ask_socket(world, *one), doors)


def ask_socket(world: World, address: str, place: Location) -> Finding:
    """Open one web socket, and close it."""
    target = f"wss://{world.name or address}{place.socket}"
    try:
        connection, said = open_socket(world, address, place.socket, speaks_sip(CATALOGUE[place.service]))
    except OSError as error:
        return Finding(target, False, explain(error))
    connection.close()
    return Finding(target, not said, said or "opened")


def speaks_sip(service: Service) -> bool:
    """Tell whether it passes a web socket on to what speaks SIP."""
    return any(call.partition(".")[0] == SIP for call in service.calls)


def open_socket(world: World, address: str, path: str, is_sip: bool) -> tuple[ssl.SSLSocket, str]:
    """Make the handshake of a web socket (RFC 6455 4.1); the connection, and what is wrong with the answer."""
    connection = ssl._create_unverified_context().wrap_socket(
        socket.create_connection((address, world.port(WEB, "https")), TIMEOUT_SECONDS), server_hostname=world.name or address
    )
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {world.name or address}", "Upgrade: websocket", "Connection: Upgrade"]
    # A browser always says whose page it shows, and OpenSIPS refuses a handshake without it.
    lines.append(f"Origin: https://{world.name or address}")
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"User-Agent: {AGENT}"]
    lines += ["Sec-WebSocket-Protocol: sip"] * is_sip
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(1)):
        head += more
    first, *headers = head.decode("latin-1").split("\r\n")
    status = first.split(" ")[1] if " " in first else ""
    if status != str(http.HTTPStatus.SWITCHING_PROTOCOLS.value):
        return connection, f"HTTP {status or 'nothing'} to a handshake, expected 101"
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
    accept = base64.b64encode(hashlib.sha1((key + SOCKET_KEY).encode(), usedforsecurity=False).digest()).decode()
    return connection, "" if named.get("sec-websocket-accept") == accept else "the answer is to another handshake than ours"


def say(connection: socket.socket, data: bytes) -> None:
    """Send one message of a web socket, masked as a client's are (RFC 6455 5.2, 5.3)."""
    size, mask = len(data), secrets.token_bytes(4)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
    connection.sendall(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)))


def hear(connection: socket.socket) -> bytes:
    """Read one message of a web socket; pings and the like are left out."""
    while True:
        first, size = _read(connection, 2)
        size &= 0x7F
        if size > 125:
            size = int.from_bytes(_read(connection, 2 if size == 126 else 8), "big")
        data = _read(connection, size)
        if first & 0x0F in (1, 2):
            return data
        if first & 0x0F == 8:
            raise ConnectionResetError("the web socket was closed")


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the connection was closed")
        data += more
    return data
