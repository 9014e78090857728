"""A phone of the smoke test: it registers, places one call with audio, and leaves nothing behind. SIP by UDP (RFC 3261)."""

from __future__ import annotations

import hashlib
import re
import secrets
import select
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from cli.smoke.audio import End
from cli.smoke.check import AGENT

T1_SECONDS, T2_SECONDS = 0.5, 4.0
"""Between repetitions of a request at first, and at most (RFC 3261 17.1)."""
ANSWER_SECONDS = 8.0
RING_SECONDS = 15.0
"""For somebody, or a flow, to answer."""
REGISTERED_SECONDS = 60
UNAUTHORIZED = {401: ("www-authenticate", "Authorization"), 407: ("proxy-authenticate", "Proxy-Authorization")}
COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length"}


class CallProblem(Exception):
    """The call did not go as it should; the message says at which step."""


class Message(NamedTuple):
    """A message: its first line, headers by lower-case name, and body."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def status(self) -> int:
        """Return the status of an answer, 0 for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else 0

    def all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        """Return the first value of a header, "" without one."""
        return next(iter(self.all(name)), "")


def read_message(data: bytes) -> Message | None:
    """Read a datagram; None for keep-alives and anything else."""
    head, _, body = data.decode(errors="replace").partition("\r\n\r\n")
    first, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
    if not re.fullmatch(r"SIP/2\.0 \d{3} .*|[A-Z]+ \S+ SIP/2\.0", first):
        return None
    pairs = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    return Message(first, tuple((COMPACT.get(name, name), value) for name, value in pairs), body)


def answer_challenge(challenge: str, method: str, uri: str, user: str, password: str) -> str:
    """Return the value of the header that answers a challenge (RFC 2617: MD5, with or without `qop`)."""
    words = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
    realm, nonce, count, mine = words.get("realm", ""), words.get("nonce", ""), "00000001", secrets.token_hex(8)

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

    one, two = md5(user, realm, password), md5(method, uri)
    head = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
    if "opaque" in words:
        head += f', opaque="{words["opaque"]}"'
    if "qop" not in words:
        return f'{head}, response="{md5(one, nonce, two)}"'
    return f'{head}, qop=auth, nc={count}, cnonce="{mine}", response="{md5(one, nonce, count, mine, "auth", two)}"'


class Phone:
    """A phone at `seen_as`, the address by which the server sees this machine."""

    def __init__(self, server: tuple[str, int], seen_as: str, user: str, domain: str, password: str) -> None:
        self.server, self.host, self.user, self.domain, self.password = server, seen_as, user, domain, password
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(server)
        self.audio = End()
        self.here = f"{seen_as}:{self.sock.getsockname()[1]}"
        self.me, self.contact = f"sip:{user}@{domain}", f"sip:{user}@{self.here}"
        self.ended = False
        self.begin(f"sip:{domain}", self.me)

    def begin(self, target: str, to: str) -> None:
        """Begin another dialog."""
        self.target, self.remote, self.to = target, target, f"<{to}>"
        self.call_id, self.tag, self.sequence = f"{secrets.token_hex(8)}@{self.host}", secrets.token_hex(4), 0
        self.routes: Sequence[str] = ()
        self.branch = ""

    def close(self) -> None:
        """Free the sockets."""
        self.sock.close()
        self.audio.close()

    def compose(self, method: str, body: str = "", more: Sequence[str] = ()) -> bytes:
        """Compose a request of this dialog."""
        lines = [
            f"{method} {self.remote} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.here};rport;branch={self.branch}",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in self.routes),
            f"From: <{self.me}>;tag={self.tag}",
            f"To: {self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.sequence} {method}",
            f"Contact: <{self.contact}>",
            f"User-Agent: {AGENT}",
            *more,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()

    def describe(self) -> str:
        """Describe where audio is expected."""
        return (
            f"v=0\r\no=- 1 {1 + self.sequence} IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {self.audio.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"
        )

    def transact(self, method: str, body: str = "", more: Sequence[str] = ()) -> Message:
        """Send a request, answer one challenge, and return the final answer."""
        answer = self._send(method, body, more)
        if answer.status in UNAUTHORIZED:
            asked, header = UNAUTHORIZED[answer.status]
            proof = answer_challenge(answer.one(asked), method, self.remote, self.user, self.password)
            answer = self._send(method, body, [*more, f"{header}: {proof}"])
        return answer

    def _send(self, method: str, body: str, more: Sequence[str]) -> Message:
        self.sequence += 1
        self.branch = "z9hG4bK" + secrets.token_hex(8)
        data, begun, pause, heard = self.compose(method, body, more), time.monotonic(), T1_SECONDS, False
        again, limit, final = begun, RING_SECONDS if method == "INVITE" else ANSWER_SECONDS, False
        try:
            while (now := time.monotonic()) < begun + limit:
                if not heard and now >= again:
                    self.sock.send(data)
                    again, pause = now + pause, min(2 * pause, T2_SECONDS)
                message = self.hear(0.05)
                if message and message.status and message.one("cseq") == f"{self.sequence} {method}":
                    heard, final = True, message.status >= 200
                    if final:
                        if method == "INVITE":
                            self._acknowledge(message)
                        return message
        finally:
            # Interrupted or not: nobody's phone rings on for a caller who is gone.
            if method == "INVITE" and not final:
                self.sock.send(self.compose("CANCEL"))
        raise CallProblem(f"no {'final answer' if heard else 'answer'} to {method} within {limit:.0f} s")

    def _acknowledge(self, message: Message) -> None:
        if message.status < 300:
            routes = [part.strip() for value in message.all("record-route") for part in value.split(",")]
            contact = re.search(r"<([^>]*)>", message.one("contact"))
            self.routes, self.to = routes[::-1], message.one("to")
            self.remote = contact[1] if contact else self.target
            self.branch = "z9hG4bK" + secrets.token_hex(8)
            self.sock.send(self.compose("ACK"))
        else:
            to, self.to = self.to, message.one("to")
            self.sock.send(self.compose("ACK"))
            self.to = to

    def hear(self, seconds: float) -> Message | None:
        """Wait for a message that long; a request of the other side is answered."""
        if not select.select([self.sock], [], [], seconds)[0]:
            return None
        message = read_message(self.sock.recv(65535))
        if message and not message.status and not message.start.startswith("ACK "):
            self._answer(message)
        return message

    def _answer(self, message: Message) -> None:
        """Answer what the other side asks within the call: it may end it, change it, or ask whether it is there."""
        self.ended = self.ended or message.start.startswith("BYE ")
        body = self.describe() if message.start.startswith("INVITE ") else ""
        lines = ["SIP/2.0 200 OK"]
        for name in ("Via", "Record-Route", "From", "To", "Call-ID", "CSeq"):
            lines += [f"{name}: {value}" for value in message.all(name.lower())]
        lines += [f"Contact: <{self.contact}>", *(["Content-Type: application/sdp"] if body else [])]
        self.sock.send(("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode())

    def register(self, seconds: int = REGISTERED_SECONDS) -> Message:
        """Register for that long; 0 ends it."""
        self.begin(f"sip:{self.domain}", self.me)
        return self.transact("REGISTER", more=[f"Expires: {seconds}"])

    def invite(self, number: str) -> float:
        """Call a number; the seconds until it was answered. Audio goes where the answer says from now on."""
        # A trunk, which has no password, calls the server itself: its own domain is nobody's here.
        host = self.domain if self.password else "{}:{}".format(*self.server)
        uri = f"sip:{number}@{host}"
        self.begin(uri, uri)
        begun = time.monotonic()
        answer = self.transact("INVITE", self.describe())
        if answer.status != 200:
            raise CallProblem(f"INVITE: {answer.start.removeprefix('SIP/2.0 ')}")
        where = re.search(r"c=IN IP4 (\S+)", answer.body), re.search(r"m=audio (\d+)", answer.body)
        if not where[0] or not where[1]:
            raise CallProblem("the answer to INVITE has no audio")
        self.audio.target = where[0][1], int(where[1][1])
        return time.monotonic() - begun

    def hang_up(self) -> None:
        """End the call, unless the other side did."""
        if not self.ended:
            answer = self.transact("BYE")
            if answer.status != 200:
                raise CallProblem(f"BYE: {answer.start.removeprefix('SIP/2.0 ')}")
