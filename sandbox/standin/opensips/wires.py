"""What TCP, TLS and WebSocket connections carry: bytes to messages and back."""

from __future__ import annotations

import base64
import hashlib
import re
import struct

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
LONGEST = 65535
"""Bytes of one message, `tcp_max_msg_size`'s default."""


class Plain:
    """SIP over TCP and TLS: Content-Length says where a message ends."""

    def __init__(self) -> None:
        self.buffer = b""
        self.answers: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Whole messages; a double line end alone is a ping, answered with one."""
        self.buffer += data
        found = []
        while True:
            if self.buffer.startswith(b"\r\n\r\n"):
                self.answers.append(b"\r\n")
            self.buffer = self.buffer.lstrip(b"\r\n")
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                break
            length = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", self.buffer[:end])
            if length is None:
                raise ValueError("no Content-Length")
            size = end + 4 + int(length[1])
            if size > LONGEST:
                raise ValueError("too long")
            if len(self.buffer) < size:
                break
            found.append(self.buffer[:size])
            self.buffer = self.buffer[size:]
        if len(self.buffer) > LONGEST:
            raise ValueError("too long")
        return found

    def pack(self, message: bytes) -> bytes:
        """As it is."""
        return message


class WebSocket:
    """SIP over WebSocket: the handshake, then a message in each frame."""

    def __init__(self, wants_origin: bool) -> None:
        self.buffer = b""
        self.open = False
        self.wants_origin = wants_origin
        self.answers: list[bytes] = []
        self.parts = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Messages out of text and binary frames."""
        self.buffer += data
        if len(self.buffer) > 2 * LONGEST:
            raise ValueError("too long")
        if not self.open and not self.shake_hands():
            return []
        found = []
        while frame := self.take_frame():
            code, last, payload = frame
            if code == 8:
                self.answers.append(self.frame(8, payload[:2]))
                raise ValueError("closed by the peer")
            if code == 9:
                self.answers.append(self.frame(10, payload))
            elif code in (0, 1, 2):
                self.parts += payload
                if last:
                    if self.parts.strip():
                        found.append(self.parts)
                    self.parts = b""
        return found

    def shake_hands(self) -> bool:
        """Whether the connection is open now."""
        head, end, rest = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        key = fields.get("sec-websocket-key", "")
        good = (
            lines[0].startswith("GET ")
            and "websocket" in fields.get("upgrade", "").lower()
            and "upgrade" in fields.get("connection", "").lower()
            and fields.get("sec-websocket-version") == "13"
            and key
            and "sip" in fields.get("sec-websocket-protocol", "").lower().replace(" ", "").split(",")
            and ("origin" in fields or not self.wants_origin)
        )
        if not good:
            self.answers.append(b"HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n")
            raise ValueError("no handshake")
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode(), usedforsecurity=False).digest()).decode()
        self.answers.append(
            (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: sip\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n"
            ).encode()
        )
        self.buffer, self.open = rest, True
        return True

    def take_frame(self) -> tuple[int, bool, bytes] | None:
        """The next whole frame: its code, whether it is the last of its message, and what is in it."""
        data = self.buffer
        if len(data) < 2:
            return None
        size, place = data[1] & 0x7F, 2
        if size > 125:
            width = 2 if size == 126 else 8
            if len(data) < 2 + width:
                return None
            size, place = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        if size > LONGEST:
            raise ValueError("too long")
        masked = bool(data[1] & 0x80)
        if not masked:
            raise ValueError("a frame without mask")
        if len(data) < place + 4 + size:
            return None
        mask = data[place : place + 4]
        body = data[place + 4 : place + 4 + size]
        self.buffer = data[place + 4 + size :]
        repeated = (mask * (size // 4 + 1))[:size]
        plain = (int.from_bytes(body, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big") if size else b""
        return data[0] & 0x0F, bool(data[0] & 0x80), plain

    @staticmethod
    def frame(code: int, payload: bytes) -> bytes:
        """A frame of the server: no mask."""
        size = len(payload)
        head = struct.pack("!BB", 0x80 | code, size) if size < 126 else struct.pack("!BBH", 0x80 | code, 126, size)
        return head + payload

    def pack(self, message: bytes) -> bytes:
        """In a text frame."""
        return self.frame(1, message)
