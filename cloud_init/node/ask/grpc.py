"""Just enough HTTP/2 for one gRPC call: whether a server answers calls, not only connections."""

import socket
import struct
import time
from typing import BinaryIO

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_TABLE = struct.pack(">HI", 1, 0)
"""SETTINGS_HEADER_TABLE_SIZE 0: the server repeats no field by a number that only a table would explain."""


def call(address: str, port: int, method: str, message: bytes, timeout: float) -> bytes:
    """Return the message that `/package.Service/Method` answers; OSError when nothing does, ValueError when it is refused.

    An answer is shorter than 64 KiB: no larger window is announced.
    """
    deadline, silent = time.monotonic() + timeout, f"it accepts connections but answered no call within {timeout:g} s"
    with socket.create_connection((address, port), timeout) as connection:
        head = b"".join(
            field(name, value)
            for name, value in (
                (":method", "POST"),
                (":scheme", "http"),
                (":path", method),
                (":authority", f"{address}:{port}"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            )
        )
        body = struct.pack(">BI", 0, len(message)) + message
        connection.sendall(
            PREFACE + frame(SETTINGS, 0, 0, NO_TABLE) + frame(HEADERS, END_HEADERS, 1, head) + frame(DATA, END_STREAM, 1, body)
        )
        stream = connection.makefile("rb")
        found = b""
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(silent)
            connection.settimeout(left)
            try:
                kind, flags, number, payload = read_frame(stream)
            except TimeoutError:
                raise TimeoutError(silent) from None
            if kind == SETTINGS and not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                connection.sendall(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY or (kind == RESET and number == 1):
                raise ValueError(f"it refused the call: HTTP/2 error {int.from_bytes(payload[-8:][:4], 'big')}")
            elif kind == DATA and number == 1:
                found += payload
                size = int.from_bytes(found[1:5], "big") if len(found) >= 5 else len(found)
                if len(found) >= 5 + size:
                    return found[5 : 5 + size]
            elif kind == HEADERS and number == 1 and flags & END_STREAM:
                raise ValueError(f"it refused the call: {describe_status(payload)}")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def field(name: str, value: str) -> bytes:
    """Encode a header field, never indexed, without Huffman coding; name and value are shorter than 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def read_frame(stream: BinaryIO) -> tuple[int, int, int, bytes]:
    """Read kind, flags, stream and payload of the next frame."""
    head = stream.read(9)
    size = int.from_bytes(head[:3], "big")
    payload = stream.read(size) if size else b""
    if len(head) < 9 or len(payload) < size:
        raise ConnectionError("it closed the connection instead of answering a call")
    return head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7FFFFFFF, payload


def describe_status(payload: bytes) -> str:
    """Find `grpc-status` in a block of header fields, where grpc's C++ library writes it in plain letters."""
    _, found, rest = payload.partition(b"grpc-status")
    size = rest[0] if found and rest else 0
    return f"gRPC status {rest[1 : 1 + size].decode(errors='replace')}" if 0 < size < 4 else "no reason that is readable here"


def text_field(number: int, value: str) -> bytes:
    """Encode a string of a protobuf message; shorter than 128 bytes."""
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def read_text(message: bytes, number: int) -> str:
    """Read a string of a protobuf message if it is the first field, else an empty one."""
    if not message or message[0] != number << 3 | 2:
        return ""
    size = shift = 0
    for index, byte in enumerate(message[1:], 2):
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return message[index : index + size].decode(errors="replace")
    return ""
