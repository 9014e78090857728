"""Who attacks OpenSIPS: requests by any of its doors, with whatever bytes, and a host inside that none of them may reach."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator

from sandbox.standin.freeswitch import sip
from tests.sandbox.telephony import NODE

DOORS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 5070}
"""Ways in, with their ports; `ws` is where nginx connects from a browser's own address."""

OURS = {
    "udp": f"<sip:{NODE};lr;r2=on>",
    "tcp": f"<sip:{NODE};transport=tcp;r2=on;lr>",
    "tls": f"<sip:{NODE}:5061;transport=tls;r2=on;lr>",
    "ws": f"<sip:{NODE}:5070;transport=ws;r2=on;lr>",
}
"""The Route by which a call of each door comes back to us."""

INNER = f"<sip:{NODE}:5062;r2=on;lr>"
"""The Route of our inner socket."""

VICTIM = ("127.0.79.13", 5080)
"""Somebody whom only we can reach, by the port of FreeSWITCH: `maddr` names no port of its own."""

MEDIA = (NODE, 5080)
"""FreeSWITCH."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HELLO = (
    f"GET /sip HTTP/1.1\r\nHost: {NODE}:5070\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: {KEY}\r\nOrigin: https://example.com\r\n\r\n"
)


def md5(text: str) -> str:
    """The digest of a text."""
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Line:
    """One connection to a door of OpenSIPS from an address of ours."""

    def __init__(self, door: str, local: str, port: int = 0) -> None:
        self.door, self.local, self.buffer = door, local, b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if door == "udp" else socket.SOCK_STREAM)
        self.socket.bind((local, port))
        self.socket.settimeout(5)
        self.socket.connect((NODE, DOORS[door]))
        if door == "tls":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        if door == "ws":
            self.socket.sendall(HELLO.encode())
            while b"\r\n\r\n" not in self.buffer:
                self.buffer += self.socket.recv(4096)
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
        self.port = self.socket.getsockname()[1]

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def request(
        self,
        method: str,
        target: str,
        *,
        sender: str = "sip:a@b.example",
        to: str = "",
        tag: str = "",
        routes: tuple[str, ...] = (),
        more: tuple[str, ...] = (),
        body: str = "",
        call: str = "",
        sequence: int = 1,
    ) -> bytes:
        """A request; `tag` is that of To, so that it claims to belong to a call."""
        here = f"{self.local}:{self.port}"
        transport = "" if self.door == "udp" else f";transport={self.door}"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/{self.door.upper()} {here};rport;branch={sip.branch()}",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in routes),
            f"From: <{sender}>;tag={secrets.token_hex(4)}",
            f"To: <{to or target}>" + (f";tag={tag}" if tag else ""),
            f"Call-ID: {call or secrets.token_hex(8)}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:{sip.user_of(sender)}@{here}{transport}>",
            *more,
        ]
        return sip.finish(lines, body)

    def send(self, data: bytes) -> None:
        """Whole, in a frame where the door wants one."""
        if self.door == "udp":
            self.socket.send(data)
            return
        if self.door == "ws":
            mask, size = os.urandom(4), len(data)
            head = struct.pack("!BBH", 0x81, 0xFE, size) if size < 1 << 16 else struct.pack("!BBQ", 0x81, 0xFF, size)
            data = head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(data))
        self.socket.sendall(data)

    def whole(self) -> bytes | None:
        """The next message of a stream that has come as a whole."""
        if self.door == "ws":
            if len(self.buffer) < 4:
                return None
            size, start = self.buffer[1] & 0x7F, 2
            if size == 126:
                size, start = int.from_bytes(self.buffer[2:4], "big"), 4
        else:
            start = 0
            end = self.buffer.find(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", self.buffer[: max(end, 0)])
            if length is None:
                return None
            size = end + 4 + int(length[1])
        if len(self.buffer) < start + size:
            return None
        data, self.buffer = self.buffer[start : start + size], self.buffer[start + size :]
        return data

    def receive(self, seconds: float) -> sip.Message | None:
        """The next message; a ConnectionError where the other side hung up."""
        deadline = time.monotonic() + seconds
        while True:
            if self.door != "udp" and (data := self.whole()) is not None:
                if message := sip.parse(data):
                    return message
                continue
            pending = self.socket.pending() if isinstance(self.socket, ssl.SSLSocket) else 0
            left = deadline - time.monotonic()
            if not pending and (left <= 0 or not select.select([self.socket], [], [], left)[0]):
                return None
            data = self.socket.recv(65535)
            if self.door == "udp":
                if message := sip.parse(data):
                    return message
            elif not data:
                raise ConnectionError("the other side hung up")
            else:
                self.buffer += data

    def ask(self, data: bytes, seconds: float = 4.0) -> sip.Message | None:
        """The final answer to a request, acknowledged where it refuses an INVITE."""
        sequence = re.search(rb"(?m)^CSeq: (.*)\r$", data)
        self.send(data)
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            answer = self.receive(left)
            if answer is None:
                return None
            if answer.status >= 200 and sequence and answer.one("cseq") == sequence[1].decode():
                if answer.one("cseq").endswith("INVITE") and answer.status >= 300:
                    self.acknowledge(data, answer)
                return answer
        return None

    def acknowledge(self, data: bytes, answer: sip.Message) -> None:
        """ACK of a refusal, so that it is not repeated."""
        lines = data.decode("latin-1").partition("\r\n\r\n")[0].split("\r\n")
        kept = [line for line in lines[1:] if line.startswith(("Via:", "From:", "Call-ID:", "Max-Forwards:"))]
        number = answer.one("cseq").partition(" ")[0]
        self.send(sip.finish([lines[0].replace("INVITE", "ACK", 1), *kept, f"To: {answer.one('to')}", f"CSeq: {number} ACK"], ""))


def status(answer: sip.Message | None) -> int:
    """The status of an answer, 0 for none."""
    return answer.status if answer else 0


def credentials(answer: sip.Message, method: str, target: str, user: str, password: str) -> str:
    """The header that answers a challenge."""
    proxy = answer.one("proxy-authenticate")
    words = dict(re.findall(r'(\w+)="?([^",]*)"?', proxy or answer.one("www-authenticate")))
    one, two = md5(f"{user}:{words['realm']}:{password}"), md5(f"{method}:{target}")
    proof = md5(f"{one}:{words['nonce']}:00000001:abcd:auth:{two}")
    opaque = f'opaque="{words["opaque"]}", ' if "opaque" in words else ""
    return (
        f'{"Proxy-" if proxy else ""}Authorization: Digest username="{user}", realm="{words["realm"]}", {opaque}'
        f'nonce="{words["nonce"]}", uri="{target}", qop=auth, nc=00000001, cnonce="abcd", response="{proof}"'
    )


def register(line: Line, user: str, password: str, seconds: float = 4.0) -> int:
    """The status of a registration with a password; 0 where nothing was said."""
    target, me = "sip:webitel", f"sip:{user}@webitel"
    answer = line.ask(line.request("REGISTER", target, sender=me, to=me), seconds)
    if answer is None or answer.status != 401:
        return status(answer)
    proof = credentials(answer, "REGISTER", target, user, password)
    return status(line.ask(line.request("REGISTER", target, sender=me, to=me, more=(proof, "Expires: 60"), sequence=2), seconds))


class Victim:
    """A host inside: what reaches it, by UDP or TCP, it keeps."""

    def __init__(self) -> None:
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(VICTIM)
        self.listener = socket.create_server(VICTIM)
        self.streams: list[socket.socket] = []

    def close(self) -> None:
        """Frees the sockets."""
        for one in (self.datagrams, self.listener, *self.streams):
            one.close()

    def heard(self, seconds: float) -> list[str]:
        """The Call-ID of every request that reached it; a connection without one counts too."""
        found = []
        deadline = time.monotonic() + seconds
        while ready := select.select(
            [self.datagrams, self.listener, *self.streams], [], [], max(0.0, deadline - time.monotonic())
        )[0]:
            for one in ready:
                if one is self.listener:
                    self.streams.append(self.listener.accept()[0])
                    found.append("connection")
                    continue
                data = one.recv(65535)
                found += re.findall(r"(?m)^Call-ID: (.*)\r$", data.decode("utf-8", "replace"))
                if not data and one in self.streams:
                    self.streams.remove(one)
                    one.close()
        return found


@contextlib.contextmanager
def listener(address: tuple[str, int] = MEDIA) -> Iterator[list[sip.Message]]:
    """Somebody at an address, FreeSWITCH's or another: every request that reaches it, refused where it is no ping."""
    heard: list[sip.Message] = []
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.bind(address)
        mine.settimeout(0.1)

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    data, source = mine.recvfrom(65535)
                    message = sip.parse(data)
                    if message is None or not message.method:
                        continue
                    if message.method == "OPTIONS":
                        mine.sendto(sip.answer(message, 200, "OK", "media"), source)
                        continue
                    heard.append(message)
                    if message.method != "ACK":
                        mine.sendto(sip.answer(message, 486, "Busy Here", "media"), source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join()
