"""mod_grpc's server: unary calls of `fs.Api` over HTTP/2 without TLS.

`Execute` runs a command as the event socket does. Every other call is answered UNIMPLEMENTED, and says in the log that it came.
Where the file `hang` lies in the run directory, calls are accepted and never answered: what a hung FreeSWITCH looks like.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from .hpack import Decoder, encode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
OK, UNIMPLEMENTED, INVALID_ARGUMENT = 0, 12, 3

EXECUTE = "/fs.Api/Execute"
SHORTEST = 4
"""Characters: mod_grpc refuses shorter commands."""

Run = Callable[[str], Awaitable[str]]


class Connection:
    """One client. Streams are short: a request's headers and its data are kept until it ends."""

    def __init__(self, run: Run, hangs: Path, say: Callable[[str], None], writer: asyncio.StreamWriter) -> None:
        self.run, self.hangs, self.say, self.writer = run, hangs, say, writer
        self.decoder = Decoder()
        self.paths: dict[int, str] = {}
        self.bodies: dict[int, bytearray] = {}
        self.blocks: dict[int, bytearray] = {}

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        """One frame."""
        self.writer.write(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    async def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        """A frame of the client."""
        if kind == SETTINGS and not flags & ACK:
            self.send(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.send(PING, ACK, 0, payload)
        elif kind in (HEADERS, CONTINUATION):
            self.blocks.setdefault(stream, bytearray()).extend(strip(kind, flags, payload))
            if flags & END_HEADERS:
                fields = dict(self.decoder.decode(bytes(self.blocks.pop(stream))))
                self.paths.setdefault(stream, fields.get(":path", ""))
                self.bodies.setdefault(stream, bytearray())
        elif kind == DATA and stream in self.bodies:
            self.bodies[stream] += strip(kind, flags, payload)
            # The window is given back at once: a stand-in is never in the way.
            for number in (0, stream):
                self.send(WINDOW, 0, number, struct.pack("!I", max(1, len(payload))))
        elif kind == RESET:
            self.paths.pop(stream, None)
            self.bodies.pop(stream, None)
        if kind in (HEADERS, DATA) and flags & END_STREAM and stream in self.paths:
            await self.answer(stream, self.paths.pop(stream), bytes(self.bodies.pop(stream)))
        await self.writer.drain()

    async def answer(self, stream: int, path: str, body: bytes) -> None:
        """The whole answer to a call."""
        if self.hangs.exists():
            self.say(f"[INFO] the stand-in hangs at {path}")
            return
        if path != EXECUTE:
            self.say(f"[WARNING] the stand-in does not do {path}")
            self.finish(stream, None, UNIMPLEMENTED, "the stand-in of the sandbox does only Execute")
            return
        fields = read_strings(body[5:])
        command, arguments = fields.get(1, ""), fields.get(2, "")
        if len(command) < SHORTEST:
            self.finish(stream, None, INVALID_ARGUMENT, "Length of `Command` cannot be less than 3 characters")
            return
        self.finish(stream, write_reply(await self.run(f"{command} {arguments}".strip())), OK, "")

    def finish(self, stream: int, reply: bytes | None, status: int, message: str) -> None:
        """Headers, the message, and the status in trailers."""
        self.send(HEADERS, END_HEADERS, stream, encode([(":status", "200"), ("content-type", "application/grpc")]))
        if reply is not None:
            self.send(DATA, 0, stream, b"\0" + struct.pack("!I", len(reply)) + reply)
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, encode([("grpc-status", str(status)), ("grpc-message", message)]))


def strip(kind: int, flags: int, payload: bytes) -> bytes:
    """A frame's content without padding and priority."""
    if kind == CONTINUATION:
        return payload
    end = len(payload)
    if flags & PADDED:
        end -= payload[0]
        payload = payload[1:end]
    return payload[5:] if kind == HEADERS and flags & PRIORITY else payload


def read_strings(data: bytes) -> dict[int, str]:
    """The string fields of a protobuf message by number (`ExecuteRequest`: 1 command, 2 args)."""
    found: dict[int, str] = {}
    place = 0
    while place < len(data):
        key, place = read_number(data, place)
        size, place = read_number(data, place)
        if key & 7 != 2:
            break
        found[key >> 3] = data[place : place + size].decode("utf-8", "replace")
        place += size
    return found


def read_number(data: bytes, place: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


def write_number(value: int) -> bytes:
    """A varint."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def write_string(number: int, value: bytes) -> bytes:
    """A string or message field."""
    return bytes([number << 3 | 2]) + write_number(len(value)) + value


def write_reply(said: str) -> bytes:
    """`ExecuteResponse`: 1 data, or 2 error (1 message, 2 type: 0 ERROR, 1 USAGE), by the first word as mod_grpc does it."""
    if said.startswith("-ERR"):
        return write_string(2, write_string(1, said[4:].encode()))
    if said.startswith("-USAGE"):
        return write_string(2, write_string(1, said[6:].encode()) + b"\x10\x01")
    return write_string(1, said.encode())


async def serve(
    run: Run,
    hangs: Path,
    say: Callable[[str], None],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """One connection until its end."""
    connection = Connection(run, hangs, say, writer)
    connection.send(SETTINGS, 0, 0)
    try:
        if await reader.readexactly(len(PREFACE)) == PREFACE:
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                await connection.take(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF, payload)
    except (asyncio.IncompleteReadError, ConnectionError, IndexError) as error:
        if isinstance(error, IndexError):
            say(f"[ERR] a gRPC client speaks what is not understood: {error}")
    finally:
        writer.close()
