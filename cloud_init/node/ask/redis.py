"""Redis, asked in its own protocol (RESP 2)."""

import socket
from typing import BinaryIO

CALLS = 1
"""The database that rtpengine keeps its calls in."""
TIMEOUT_SECONDS = 1.0

Answer = str | int | list["Answer"] | None


class RedisError(OSError):
    """Redis refused a command, or did not speak its protocol."""


def ask(address: str, port: int, *command: str) -> Answer:
    """Send one command about the calls and return its answer."""
    with socket.create_connection((address, port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        stream = connection.makefile("rb")
        connection.sendall(encode("SELECT", str(CALLS)) + encode(*command))
        read(stream)
        return read(stream)


def encode(*words: str) -> bytes:
    """Write a command."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        text = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(text), text))
    return b"".join(parts)


def read(stream: BinaryIO) -> Answer:
    """Read one answer; a RedisError where that is an error, or none comes."""
    line = stream.readline().decode(errors="replace").rstrip("\r\n")
    kind, rest = line[:1], line[1:]
    if kind == "+":
        return rest
    if kind == ":":
        return int(rest)
    if kind == "$":
        return stream.read(int(rest) + 2)[:-2].decode(errors="replace") if int(rest) >= 0 else None
    if kind == "*":
        return [read(stream) for _ in range(int(rest))]
    raise RedisError(rest or "the connection was closed")
