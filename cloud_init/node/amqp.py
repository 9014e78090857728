"""Just enough AMQP 0-9-1 to log in at a broker and open its virtual host."""

import socket
import struct

HEADER = b"AMQP\x00\x00\x09\x01"
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE = 10, 11, 30, 31, 40, 41, 50


def log_in(address: str, port: int, user: str, password: str, timeout: float) -> str:
    """"" after a full log-in to `/`; else what the broker said or how the connection ended."""
    try:
        with socket.create_connection((address, port), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(HEADER)
            expect(connection, START)
            response = f"\0{user}\0{password}".encode()
            send(connection, START_OK, struct.pack(">I", 0) + short("PLAIN") + long(response) + short("en_US"))
            limits = expect(connection, TUNE)
            send(connection, TUNE_OK, limits[:8])
            send(connection, OPEN, short("/") + short("") + b"\0")
            expect(connection, OPEN_OK)
            return ""
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__


def short(text: str) -> bytes:
    """A short string."""
    return bytes([len(text)]) + text.encode()


def long(data: bytes) -> bytes:
    """A long string."""
    return struct.pack(">I", len(data)) + data


def send(connection: socket.socket, method: int, arguments: bytes) -> None:
    """One method frame of class connection on channel 0."""
    payload = struct.pack(">HH", 10, method) + arguments
    connection.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")


def expect(connection: socket.socket, method: int) -> bytes:
    """The arguments of the expected method; a close from the broker becomes its text."""
    kind, _, size = struct.unpack(">BHI", receive(connection, 7))
    payload = receive(connection, size + 1)[:-1]
    found = struct.unpack(">HH", payload[:4])
    if kind != 1 or found != (10, method):
        if found == (10, CLOSE):
            length = payload[6]
            raise ValueError(f"the broker closed: {payload[7:7 + length].decode(errors='replace')}")
        raise ValueError(f"the broker answered method {found}, expected {method}")
    return payload[4:]


def receive(connection: socket.socket, size: int) -> bytes:
    """Exactly so many bytes."""
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            # A refused log-in may come as a silent close.
            raise ValueError("the broker closed the connection" + (" (wrong password?)" if not data else ""))
        data += part
    return data
