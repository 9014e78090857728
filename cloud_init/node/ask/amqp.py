"""Just enough AMQP 0-9-1: log in at a broker, publish with confirms to a quorum queue, and read what is in it."""

import socket
import struct
from types import TracebackType

from ..system import Unhealthy

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, CONTENT, BODY, END = 1, 2, 3, b"\xce"
CONNECTION, CHANNEL, QUEUE, BASIC, CONFIRM = 10, 20, 50, 60, 85
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK = (CONNECTION, 10), (10, 11), (10, 30), (10, 31), (10, 40), (10, 41)
CLOSE, CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE = (CONNECTION, 50), (CHANNEL, 10), (CHANNEL, 11), (CHANNEL, 40)
DECLARE, DECLARE_OK, DELETE, DELETE_OK = (QUEUE, 10), (QUEUE, 11), (QUEUE, 40), (QUEUE, 41)
PUBLISH, RETURN, GET, GET_OK, GET_EMPTY = (BASIC, 40), (BASIC, 50), (BASIC, 70), (BASIC, 71), (BASIC, 72)
ACK, SELECT, SELECT_OK = (BASIC, 80), (CONFIRM, 10), (CONFIRM, 11)
BLOCKED, UNBLOCKED = (CONNECTION, 60), (CONNECTION, 61)
DURABLE, MANDATORY = 2, 1

Method = tuple[int, int]


def log_in(address: str, port: int, user: str, password: str, timeout: float) -> None:
    """Log in to `/` completely. Raises Unhealthy with what the broker said or how the connection ended."""
    try:
        Connection(address, port, user, password, timeout).socket.close()
    except (OSError, ValueError) as error:
        raise Unhealthy(str(error) or type(error).__name__) from error


class Connection:
    """A connection to `/` with one channel. Errors are OSError, or ValueError with what the broker said."""

    def __init__(self, address: str, port: int, user: str, password: str, timeout: float) -> None:
        self.socket = socket.create_connection((address, port), timeout)
        try:
            self.socket.settimeout(timeout)
            self.socket.sendall(HEADER)
            self.expect(START)
            response = f"\0{user}\0{password}".encode()
            self.send(START_OK, struct.pack(">I", 0) + short("PLAIN") + long(response) + short("en_US"), channel=0)
            limits = self.expect(TUNE)
            # No heartbeats: callers talk all the time, or are soon gone.
            self.send(TUNE_OK, limits[:6] + b"\0\0", channel=0)
            self.send(OPEN, short("/") + short("") + b"\0", channel=0)
            self.expect(OPEN_OK)
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def ask(self, method: Method, arguments: bytes, answer: Method) -> bytes:
        """Call one method of the channel and return the arguments of its answer."""
        self.send(method, arguments)
        return self.expect(answer)

    def open_queue(self, name: str) -> None:
        """Open the channel and declare a durable quorum queue."""
        self.ask(CHANNEL_OPEN, short(""), CHANNEL_OPEN_OK)
        kind = short("x-queue-type") + b"S" + long(b"quorum")
        self.ask(DECLARE, b"\0\0" + short(name) + bytes([DURABLE]) + long(kind), DECLARE_OK)

    def confirm(self) -> None:
        """Have the broker confirm what is published from now on."""
        self.ask(SELECT, b"\0", SELECT_OK)

    def publish(self, queue: str, body: bytes) -> None:
        """Publish one persistent message and return when the broker has confirmed it."""
        self.send(PUBLISH, b"\0\0" + short("") + short(queue) + bytes([MANDATORY]))
        self.frame(CONTENT, struct.pack(">HHQHB", BASIC, 0, len(body), 0x1000, 2))
        self.frame(BODY, body)
        self.expect(ACK)

    def take(self, queue: str) -> bytes | None:
        """Take the next message, None when there is none. It returns to the queue when the connection ends."""
        self.send(GET, b"\0\0" + short(queue) + b"\0")
        method, _ = self.receive_method()
        if method == GET_EMPTY:
            return None
        if method != GET_OK:
            raise ValueError(f"the broker answered method {method} to get")
        size = int(struct.unpack(">Q", self.receive_frame()[1][4:12])[0])
        body = b""
        while len(body) < size:
            body += self.receive_frame()[1]
        return body

    def delete_queue(self, name: str) -> None:
        """Delete a queue with all that is in it."""
        self.ask(DELETE, b"\0\0" + short(name) + b"\0", DELETE_OK)

    def send(self, method: Method, arguments: bytes, channel: int = 1) -> None:
        """Send one method frame."""
        self.frame(METHOD, struct.pack(">HH", *method) + arguments, channel)

    def frame(self, kind: int, payload: bytes, channel: int = 1) -> None:
        """Send one frame."""
        self.socket.sendall(struct.pack(">BHI", kind, channel, len(payload)) + payload + END)

    def expect(self, method: Method) -> bytes:
        """Receive the arguments of the expected method."""
        found, arguments = self.receive_method()
        if found != method:
            raise ValueError(f"the broker answered method {found}, expected {method}")
        return arguments

    def receive_method(self) -> tuple[Method, bytes]:
        """Receive the next method with its arguments; a close by the broker raises its text."""
        while True:
            kind, payload = self.receive_frame()
            found = struct.unpack(">HH", payload[:4]) if kind == METHOD else (0, 0)
            if found in (BLOCKED, UNBLOCKED):
                continue
            if found in (CLOSE, CHANNEL_CLOSE, RETURN):
                length = payload[6]
                raise ValueError(f"the broker closed: {payload[7 : 7 + length].decode(errors='replace')}")
            return (found[0], found[1]), payload[4:]

    def receive_frame(self) -> tuple[int, bytes]:
        """Receive the next frame: its kind and payload."""
        kind, _, size = struct.unpack(">BHI", receive(self.socket, 7))
        return kind, receive(self.socket, size + 1)[:-1]


def short(text: str) -> bytes:
    """Encode a short string."""
    return bytes([len(text)]) + text.encode()


def long(data: bytes) -> bytes:
    """Encode a long string, or a table's content."""
    return struct.pack(">I", len(data)) + data


def receive(connection: socket.socket, size: int) -> bytes:
    """Receive exactly so many bytes."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            # A rejected log-in may show as a silent close.
            raise ValueError("the broker closed the connection" + (" (wrong password?)" if not data else ""))
        data += part
    return data
