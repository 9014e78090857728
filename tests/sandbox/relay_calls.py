"""Calls through rtpengine whose two ends send audio all the time, in clear and as SRTP."""

import base64
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable

from tests.sandbox import srtp
from tests.sandbox.telephony import NODE

CALLER, MEDIA = "127.0.79.21", "127.0.79.22"
"""Where the two ends of a call's audio are."""
PACKET = bytes([0x80, 8]) + bytes(10) + bytes(160)
PACE_SECONDS = 0.02
LEAP = 20_000
"""Between the numbers of two packets of a call that is to be older than it is; half a round of them would be too far."""
ROUND = 1 << 16
"""How many numbers packets have, before they begin anew."""

Ask = Callable[[dict[str, object]], str]
"""One command to rtpengine."""


class Call:
    """A call whose two ends send audio all the time; `last` and `gaps` say, by end, when it last heard the other, and its
    longest silences."""

    leaps_to = 0
    caller, media, node = CALLER, MEDIA, NODE

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.id = f"call-{secrets.token_hex(6)}"
        self.sockets = {name: self.bind(name) for name in (self.caller, self.media)}
        self.last = dict.fromkeys(self.sockets, 0.0)
        self.gaps = dict.fromkeys(self.sockets, 0.0)
        self.ending = threading.Event()
        start = time.monotonic()
        offered = self.say("offer", self.caller, **{"direction": ["ext", "int"], "transport-protocol": "RTP/AVP"})
        answered = self.say("answer", self.media)
        self.seconds = time.monotonic() - start
        self.agree(answered)
        self.targets = {self.media: (self.node, read_port(offered)), self.caller: (self.node, read_port(answered))}
        self.threads = [threading.Thread(target=self.talk, args=(name,), daemon=True) for name in self.sockets]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def bind(address: str) -> socket.socket:
        """An end's socket."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        made.settimeout(PACE_SECONDS)
        return made

    def say(self, command: str, end: str, **more: object) -> str:
        """An offer or an answer of one end."""
        tags = {"from-tag": "a"} | ({"to-tag": "b"} if command == "answer" else {})
        said = self.ask({"command": command, "call-id": self.id, "sdp": self.describe(end), **tags, **more})
        assert "6:result2:ok" in said, said
        return said

    def describe(self, end: str) -> str:
        """An end's session description."""
        port = self.sockets[end].getsockname()[1]
        return f"v=0\r\no=- 1 1 IN IP4 {end}\r\ns=-\r\nc=IN IP4 {end}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"

    def agree(self, answered: str) -> None:
        """Take from the answer what the caller needs besides its target."""

    def make_packet(self, end: str, number: int) -> bytes:
        """An end's packet of that number."""
        return PACKET[:2] + (number % ROUND).to_bytes(2, "big") + (160 * number).to_bytes(4, "big") + PACKET[8:]

    def believes(self, end: str, packet: bytes) -> bool:
        """Whether an end takes a packet for the other's."""
        return True

    def talk(self, end: str) -> None:
        """Send and hear."""
        own, number, due = self.sockets[end], 0, time.monotonic()
        while not self.ending.is_set():
            number += LEAP if number < self.leaps_to else 1
            own.sendto(self.make_packet(end, number), self.targets[end])
            due += PACE_SECONDS
            while (left := due - time.monotonic()) > 0:
                own.settimeout(left)
                try:
                    packet = own.recv(2000)
                except TimeoutError:
                    break
                if not self.believes(end, packet):
                    continue
                now = time.monotonic()
                if self.last[end]:
                    self.gaps[end] = max(self.gaps[end], now - self.last[end])
                self.last[end] = now

    def hears(self) -> bool:
        """Whether both ends hear each other right now."""
        return all(time.monotonic() - heard < 10 * PACE_SECONDS for heard in self.last.values())

    def forget_gaps(self) -> None:
        """Measure silences from here on."""
        self.gaps = dict.fromkeys(self.sockets, 0.0)

    def is_known(self) -> bool:
        """Whether rtpengine knows it."""
        return "6:result2:ok" in self.ask({"command": "query", "call-id": self.id})

    def hang_up(self) -> str:
        """End it; what rtpengine says."""
        self.silence()
        return self.ask({"command": "delete", "call-id": self.id, "from-tag": "a"})

    def silence(self) -> None:
        """Send no more."""
        self.ending.set()
        for thread in self.threads:
            thread.join()


class SecretCall(Call):
    """A call whose caller speaks SRTP, and whose packets have been numbered from 0 three times already."""

    leaps_to = 12 * LEAP

    def __init__(self, ask: Ask) -> None:
        self.master = secrets.token_bytes(30)
        self.own, self.other, self.heard = srtp.Keys(self.master), srtp.Keys(bytes(30)), 0
        super().__init__(ask)

    def describe(self, end: str) -> str:
        text = super().describe(end)
        if end == MEDIA:
            return text
        key = base64.b64encode(self.master).decode()
        return text.replace("RTP/AVP", "RTP/SAVP") + f"a=crypto:1 {srtp.SUITE} inline:{key}\r\n"

    def agree(self, answered: str) -> None:
        found = re.search(rf"a=crypto:\d+ {srtp.SUITE} inline:([A-Za-z0-9+/=]+)", answered)
        assert found, answered
        self.other = srtp.Keys(base64.b64decode(found[1] + "=="))

    def make_packet(self, end: str, number: int) -> bytes:
        plain = super().make_packet(end, number)
        plain = plain[:8] + end.encode()[-4:] + plain[12:]
        return self.own.protect(plain, number) if end == CALLER else plain

    def believes(self, end: str, packet: bytes) -> bool:
        if end == MEDIA:
            return True
        # RFC 3711, 3.3.1: the index next to the last one.
        number = int.from_bytes(packet[2:4], "big")
        index = min(
            (self.heard - self.heard % ROUND + turn + number for turn in (-ROUND, 0, ROUND)),
            key=lambda one: abs(one - self.heard),
        )
        if index < 0 or not self.other.proves(packet, index):
            return False
        self.heard = max(self.heard, index)
        return True


def read_port(said: str) -> int:
    """Where rtpengine wants an end's audio."""
    found = re.search(r"m=audio (\d+)", said)
    assert found, said
    return int(found[1])
