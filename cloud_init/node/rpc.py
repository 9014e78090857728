"""One unary gRPC call without TLS: what an open port does not prove, and who waits for an answer would wait for ever."""

import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .view import View

TIMEOUT = 2.5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
STREAM = 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: str, value: str) -> bytes:
    """A header field that no table remembers, shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def call(address: str, port: int, method: str, message: bytes) -> bytes:
    """The messages that answer a call; OSError where none comes in time, or the server breaks off."""
    fields = {":method": "POST", ":scheme": "http", ":path": method, ":authority": f"{address}:{port}",
              "content-type": "application/grpc", "te": "trailers"}
    block = b"".join(literal(name, value) for name, value in fields.items())
    body = b""
    with socket.create_connection((address, port), TIMEOUT) as connection:
        connection.settimeout(TIMEOUT)
        stream = connection.makefile("rb")
        connection.sendall(
            PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, STREAM, block)
            + frame(DATA, END_STREAM, STREAM, b"\0" + struct.pack("!I", len(message)) + message))
        while True:
            head = stream.read(9)
            if len(head) < 9:
                raise ConnectionResetError("the connection was closed without an answer")
            payload = stream.read(int.from_bytes(head[:3], "big"))
            kind, flags, number = head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF
            if kind in (SETTINGS, PING) and not flags & ACK:
                connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            elif kind == GOAWAY or (kind == RESET and number == STREAM):
                raise ConnectionResetError("the call was refused")
            elif number == STREAM:
                body += payload if kind == DATA else b""
                if flags & END_STREAM and kind in (DATA, HEADERS):
                    return body


def freeswitch_rpc(arguments: dict[str, Any], view: "View") -> str:
    """mod_grpc answers `fs.Api/Execute` of `version`, as Engine and CallCenter ask it before anything else."""
    command = b"version"
    try:
        said = call(arguments["address"], int(arguments["port"]), "/fs.Api/Execute", b"\x0a" + bytes([len(command)]) + command)
    except TimeoutError:
        return f"it accepts calls and answers none within {TIMEOUT} s"
    if b"FreeSWITCH" in said:
        return ""
    return f"it answers {said[5:80].decode(errors='replace')!r}" if said else "it refuses the call"
