"""One SIP call with media: what it says, sends, hears and counts.

Standard library only: it runs inside a network namespace on this machine's own Python.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import select
import socket
import struct
import time
from dataclasses import dataclass, field

from sandbox.standin.freeswitch import sip

FRAME = 160
T1 = 0.5
ANSWER_LIMIT = 10.0
CONNECTION = re.compile(r"^c=IN IP4 (\S+?)\r?$", re.MULTILINE)


class CallError(Exception):
    """The call did not go as it should; the text says at which step."""


@dataclass
class Result:
    """What happened. `lost` counts packets of the caller that did not come back, without those that `echo` swallows at its
    begin (`swallowed`); `hung_up` is `caller` or `freeswitch`.

    `addresses` are all that the caller has to reach by what it was sent (`needed_addresses`); `asked` counts the
    re-INVITEs that the other side sent.
    """

    status: int = 0
    setup_ms: int = 0
    media: str = ""
    sent: int = 0
    received: int = 0
    lost: int = 0
    swallowed: int = 0
    changed: int = 0
    asked: int = 0
    addresses: list[str] = field(default_factory=list)
    hung_up: str = ""
    problem: str = ""


def needed_addresses(message: sip.Message) -> set[str]:
    """The addresses in a message that its reader has to reach.

    The first Via of a request takes the answer. Requests inside the call go to the nearest recorded proxy, or to the
    contact of a first INVITE without one (what stands behind that proxy is for the proxy to reach, and later messages
    record nothing). Media goes where the SDP says.
    """
    found = set(CONNECTION.findall(message.body))
    if message.method:
        found.add(sip.host_port(f"sip:{message.one('via').split(' ')[1].partition(';')[0]}")[0])
    routes = [part for value in message.all("record-route") for part in value.split(",")]
    is_first = message.method == "INVITE" and not sip.parameter(message.one("to"), "tag")
    nearest = (routes[-1] if message.status else routes[0]) if routes else message.one("contact") if is_first else ""
    if nearest:
        found.add(sip.host_port(sip.uri(nearest))[0])
    return found


class Dialog:
    """One call from `local` (an address of this machine) to a SIP server."""

    def __init__(
        self,
        server: tuple[str, int],
        local: str,
        number: str,
        caller: str,
        domain: str,
        password: str,
        port: int = 0,
    ) -> None:
        self.server, self.local, self.number, self.domain, self.password = server, local, number, domain, password
        self.signals = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.signals.bind((local, port))
        self.audio = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.audio.bind((local, 0))
        self.me, self.tag = f"sip:{caller}@{domain}", secrets.token_hex(4)
        self.call_id = f"{secrets.token_hex(8)}@{local}"
        self.target = f"sip:{number}@{server[0]}:{server[1]}"
        self.contact = f"sip:{caller}@{local}:{self.signals.getsockname()[1]}"
        self.remote, self.to, self.routes = self.target, f"<{self.target}>", list[str]()
        self.sequence = 0
        self.media: tuple[str, int] | None = None
        self.numbers: set[int] = set()
        self.next_packet = 0.0
        self.result = Result()
        self.ended = self.acknowledged = self.late = False
        self.offered: sip.Message | None = None
        self.answered: tuple[str, bytes] = ("", b"")

    def close(self) -> None:
        """Frees the sockets."""
        self.signals.close()
        self.audio.close()

    def request(self, method: str, sequence: int, body: str = "", more: tuple[str, ...] = ()) -> bytes:
        """A request inside or at the start of the call."""
        here = f"{self.local}:{self.signals.getsockname()[1]}"
        lines = [
            f"{method} {self.remote} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};rport;branch={sip.branch()}",
            "Max-Forwards: 70",
            *(f"Route: {route}" for route in self.routes),
            f"From: <{self.me}>;tag={self.tag}",
            f"To: {self.to}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <{self.contact}>",
            "User-Agent: webitel-call",
            *more,
        ]
        return sip.finish(lines, body)

    def sdp(self) -> str:
        """PCMA at our audio socket."""
        return sip.write_sdp(self.local, self.audio.getsockname()[1], 1 + self.sequence, True)

    def transact(self, method: str, body: str = "", more: tuple[str, ...] = ()) -> sip.Message:
        """Sends a request, repeated until something is said, and returns the final answer; audio goes on meanwhile."""
        self.sequence += 1
        data = self.request(method, self.sequence, body, more)
        start = time.monotonic()
        again, pause, heard = start, T1, False
        while time.monotonic() < start + ANSWER_LIMIT:
            if not heard and time.monotonic() >= again:
                self.signals.sendto(data, self.server)
                again, pause = time.monotonic() + pause, min(2 * pause, 4.0)
            message = self.step()
            if message and message.status and message.one("cseq") == f"{self.sequence} {method}":
                heard = True
                if message.status >= 200:
                    if method == "INVITE":
                        self.acknowledge(message)
                    return message
        raise CallError(f"no answer to {method} within {ANSWER_LIMIT:.0f} s")

    def transact_late(self) -> sip.Message:
        """An INVITE without SDP: the other side offers, and our ACK answers."""
        self.late = True
        try:
            answer = self.transact("INVITE")
        finally:
            self.late = False
        if answer.status == 200:
            self.follow(answer)
            self.next_packet = self.next_packet or time.monotonic()
        return answer

    def acknowledge(self, message: sip.Message) -> None:
        """ACK; the first good answer also says where the call goes from now on."""
        if message.status < 300:
            if not self.media:
                routes = [part.strip() for value in message.all("record-route") for part in value.split(",")]
                self.routes = routes[::-1]
            self.remote, self.to = sip.uri(message.one("contact")), message.one("to")
            self.signals.sendto(self.request("ACK", self.sequence, self.sdp() if self.late else ""), self.server)
        else:
            to, self.to = self.to, message.one("to")
            self.signals.sendto(self.request("ACK", self.sequence), self.server)
            self.to = to

    def step(self) -> sip.Message | None:
        """At most 20 ms: one packet of audio if it is time, what came in, a BYE answered."""
        now = time.monotonic()
        if self.media and self.next_packet and now >= self.next_packet:
            number = self.result.sent
            header = struct.pack("!BBHII", 0x80, 8, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 0xCA11)
            self.audio.sendto(header + number.to_bytes(4, "big") * (FRAME // 4), self.media)
            self.result.sent += 1
            self.next_packet += 0.02
        wait = min(0.02, max(0.0, self.next_packet - time.monotonic())) if self.next_packet else 0.02
        ready, _, _ = select.select([self.signals, self.audio], [], [], wait)
        if self.audio in ready:
            packet = self.audio.recv(2048)
            if len(packet) == 12 + FRAME:
                self.result.received += 1
                self.numbers.add(int.from_bytes(packet[12:16], "big"))
        if self.signals not in ready:
            return None
        data, source = self.signals.recvfrom(65535)
        message = sip.parse(data)
        if message:
            self.result.addresses = sorted({*self.result.addresses, *needed_addresses(message)})
            if message.method:
                self.take(message, source)
        return message

    def take(self, message: sip.Message, source: tuple[str, int]) -> None:
        """A request of the other side."""
        if message.method == "INVITE" and self.offered is None and not self.media:
            self.offered = message
        elif message.one("call-id") != self.call_id:
            return
        elif message.method == "ACK":
            self.acknowledged = True
        elif source != self.server:
            raise CallError(f"the {message.method} came from {source[0]}:{source[1]}, not through OpenSIPS")
        elif message.method == "INVITE":
            self.accept(message)
        else:
            self.signals.sendto(sip.answer(message, 200, "OK"), self.server)
            self.ended = self.ended or message.method == "BYE"

    def accept(self, message: sip.Message) -> None:
        """200 to an INVITE, the first one or a change, and again where it is repeated."""
        if self.answered[0] != message.one("cseq"):
            self.result.asked += 1
            contact = (f"Contact: <{self.contact}>",)
            self.answered = message.one("cseq"), sip.answer(message, 200, "OK", self.tag, contact, self.sdp())
            self.follow(message)
            self.remote = sip.uri(message.one("contact"))
        self.signals.sendto(self.answered[1], self.server)

    def talk(self, seconds: float) -> None:
        """Audio for a while, or until the other side hangs up."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.ended:
            self.step()

    def listen(self, seconds: float) -> None:
        """Silence for a while: the last packets come back."""
        self.next_packet = 0.0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()

    def invite(self) -> sip.Message:
        """INVITE, once more with the password where one is asked for."""
        answer = self.transact("INVITE", self.sdp())
        challenge = answer.one("proxy-authenticate") or answer.one("www-authenticate")
        if answer.status in (401, 407) and self.password:
            name = "Proxy-Authorization" if answer.status == 407 else "Authorization"
            answer = self.transact("INVITE", self.sdp(), (f"{name}: {self.digest(challenge, 'INVITE', self.target)}",))
        return answer

    def digest(self, challenge: str, method: str, uri: str) -> str:
        """The answer to a challenge (MD5, with or without `qop`)."""
        words = dict(re.findall(r'(\w+)="?([^",]*)"?', challenge))
        user, cnonce, realm, nonce = sip.user_of(self.me), secrets.token_hex(4), words["realm"], words["nonce"]

        def md5(*parts: str) -> str:
            return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()

        one, two = md5(user, realm, self.password), md5(method, uri)
        head = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}"'
        if "opaque" in words:
            head += f', opaque="{words["opaque"]}"'
        if "qop" not in words:
            return f'{head}, response="{md5(one, nonce, two)}"'
        return f'{head}, qop=auth, nc=00000001, cnonce="{cnonce}", response="{md5(one, nonce, "00000001", cnonce, "auth", two)}"'

    def register(self) -> int:
        """REGISTER with the password; the status of the last answer."""
        target = f"sip:{self.domain}"
        self.remote, self.to = target, f"<{self.me}>"
        answer = self.transact("REGISTER")
        if answer.status == 401 and self.password:
            words = f"Authorization: {self.digest(answer.one('www-authenticate'), 'REGISTER', target)}"
            answer = self.transact("REGISTER", more=(words, "Expires: 60"))
        return answer.status

    def follow(self, answer: sip.Message) -> None:
        """Media goes where the answer says."""
        offer = sip.parse_sdp(answer.body)
        if offer is None:
            raise CallError("an answer without audio")
        self.media = offer.address, offer.port
        self.result.media = f"{offer.address}:{offer.port}"
