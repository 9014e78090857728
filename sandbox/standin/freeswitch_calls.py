"""What the engine asks of every FreeSWITCH that Consul names, before it opens its WebSocket: one call without a deadline."""

import json
import socket
import struct

from .consul import ConsulError, call_http

CONNECT = 2.0
"""Seconds to connect and be greeted (FS_CONNECTION_TIMEOUT of the engine's call_manager, which waits for the connection); the
call itself has none."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, ACK, END_HEADERS = 1, 1, 4
EXECUTE_VERSION = b"\x0a\x07version"
"""fs.ExecuteRequest with `version` as its first field."""


def wait_for_calls(agent: str) -> None:
    """Return when each has answered; one that refuses the connection, or takes it and does not greet, is passed over."""
    status, text = call_http(agent, "GET", "/v1/health/service/freeswitch?passing=1")
    if status != 200:
        raise ConsulError(f"freeswitch: {status} {text.strip()}")
    for row in json.loads(unchunk(text)):
        try:
            call(row["Service"]["Address"], int(row["Service"]["Port"]))
        except OSError:
            continue


def unchunk(text: str) -> str:
    """The body of an answer, which Consul may send in chunks."""
    if text.lstrip().startswith("["):
        return text
    found, rest = "", text
    while rest:
        size, _, rest = rest.partition("\r\n")
        length = int(size or "0", 16)
        found, rest = found + rest[:length], rest[length + 2 :]
        if not length:
            break
    return found


def call(address: str, port: int) -> None:
    """fs.Api/Execute; returns with the first frame of its answer, or when the connection ends."""
    with socket.create_connection((address, port), CONNECT) as connection:
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
        stream = connection.makefile("rb")
        if len(top := stream.read(9)) < 9:
            return
        stream.read(int.from_bytes(top[:3], "big"))
        connection.settimeout(None)
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/fs.Api/Execute",
            ":authority": f"{address}:{port}",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        head = b"".join(literal(name) + string(value) for name, value in fields.items())
        message = struct.pack(">BI", 0, len(EXECUTE_VERSION)) + EXECUTE_VERSION
        connection.sendall(
            frame(SETTINGS, ACK, 0, b"") + frame(HEADERS, END_HEADERS, 1, head) + frame(DATA, END_STREAM, 1, message)
        )
        while len(top := stream.read(9)) == 9:
            stream.read(int.from_bytes(top[:3], "big"))
            if top[3] == SETTINGS and not top[4]:
                connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif int.from_bytes(top[5:9], "big") == 1 and top[3] in (DATA, HEADERS):
                return


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def string(value: str) -> bytes:
    """A string of HPACK, not Huffman's."""
    return bytes([len(value)]) + value.encode()


def literal(name: str) -> bytes:
    """The name of a field that nobody shall index."""
    return b"\0" + string(name)
