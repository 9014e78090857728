"""Redis, asked in its own protocol (RESP 2)."""

import socket
from collections.abc import Sequence
from typing import BinaryIO

CALLS = 1
"""The database that rtpengine keeps its calls in."""
TIMEOUT_SECONDS = 1.0

Answer = str | int | list["Answer"] | None


class RedisError(OSError):
    """Redis refused a command, or did not speak its protocol."""


def ask(address: str, port: int, *command: str) -> Answer:
    """Send one command about the calls and return its answer."""
    return ask_all(address, port, [command])[0]


def ask_all(address: str, port: int, commands: Sequence[Sequence[str]]) -> list[Answer]:
    """Send several, one after the other, and return their answers."""
    with socket.create_connection((address, port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        stream = connection.makefile("rb")
        answers = []
        for command in (("SELECT", str(CALLS)), *commands):
            connection.sendall(encode(*command))
            answers.append(read(stream))
        return answers[1:]


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
