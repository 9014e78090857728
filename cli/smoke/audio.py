"""A stream of audio: sent, received, and judged by loss, jitter and MOS (`facts/telephony.md`, rtpengine)."""

from __future__ import annotations

import secrets
import select
import socket
import struct
import time
from dataclasses import dataclass, field

FRAME_BYTES = 160
"""20 ms of G.711."""
PACKET_SECONDS = 0.02
CLOCK_HERTZ = 8000
TAIL_SECONDS = 0.5
"""For the last packets to arrive."""
HEADER_BYTES = 12
PCMA = 8
SILENCE = bytes([0xD5]) * FRAME_BYTES
LOSS_ROBUSTNESS = 25.1
"""Bpl of G.711 with concealment, and Ie of it is 0 (ITU-T G.113, table I.4)."""
BEST_R = 93.2
LATE_MS = 177.3
"""One-way delay from which a conversation suffers."""


@dataclass
class Stream:
    """What arrived of one direction. `sent` counts what the other end sent since `first`; delays are those of single packets."""

    sent: int = 0
    first: int = 0
    numbers: set[int] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)
    jitter: float = 0.0
    last: float = 0.0
    """When the last packet came."""
    _transit: float | None = None

    def take(self, number: int, sent_at: float, now: float) -> None:
        """Count a packet; jitter as RFC 3550 6.4.1 has it, in seconds."""
        if number in self.numbers or number < self.first:
            return
        self.numbers.add(number)
        self.last = now
        transit = now - sent_at
        self.delays.append(transit)
        if self._transit is not None:
            self.jitter += (abs(transit - self._transit) - self.jitter) / 16
        self._transit = transit

    @property
    def lost(self) -> int:
        """Return how many packets never came."""
        return self.sent - self.first - len(self.numbers)

    @property
    def loss(self) -> float:
        """Return the share that is lost, 1 where nothing was sent."""
        whole = self.sent - self.first
        return self.lost / whole if whole > 0 else 1.0

    @property
    def delay(self) -> float:
        """Return the usual delay in seconds."""
        return sorted(self.delays)[len(self.delays) // 2] if self.delays else 0.0

    @property
    def mos(self) -> float:
        """Return the mean opinion score that these figures let expect."""
        return estimate_mos(self.loss, self.delay + 2 * self.jitter + PACKET_SECONDS)


def estimate_mos(loss: float, seconds: float) -> float:
    """Return the score of G.711 with that share of loss, and that delay from mouth to ear (`facts/telephony.md`, rtpengine)."""
    late = 1000 * seconds
    delay_loss = 0.024 * late + 0.11 * max(0.0, late - LATE_MS)
    percent = 100 * loss
    r = BEST_R - delay_loss - 95 * percent / (percent + LOSS_ROBUSTNESS)
    if r <= 0:
        return 1.0
    return round(min(4.5, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6), 2)


class End:
    """One end: a socket, where it sends, and what it hears of the other one."""

    def __init__(self, local: str = "") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((local, 0))
        self.source = int.from_bytes(secrets.token_bytes(4), "big")
        self.target: tuple[str, int] | None = None
        self.heard = Stream()
        self.number = 0
        self.begun: dict[int, float] = {}

    @property
    def port(self) -> int:
        """Return the port that it sends from and listens on."""
        return int(self.sock.getsockname()[1])

    def send(self, now: float) -> None:
        """Send the next packet."""
        if self.target is None:
            return
        stamp = self.number * FRAME_BYTES & 0xFFFFFFFF
        header = struct.pack("!BBHII", 0x80, PCMA, self.number & 0xFFFF, stamp, self.source)
        # The number once more in the audio: what is in between may write another header.
        body = self.number.to_bytes(4, "big") + SILENCE[4:]
        self.begun[self.number] = now
        self.sock.sendto(header + body, self.target)
        self.number += 1

    def receive(self) -> int:
        """Read one packet; its number, -1 where it is none of ours."""
        data = self.sock.recv(2048)
        return int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big") if len(data) == HEADER_BYTES + FRAME_BYTES else -1

    def take(self) -> bytes | None:
        """Return a packet that is there already, None without one; the socket does not block."""
        try:
            return self.sock.recv(2048)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close it."""
        self.sock.close()


def run_ends(ends: tuple[End, ...], peers: tuple[End, ...], seconds: float) -> None:
    """Have all ends send for a while; what `ends[n]` hears was sent by `peers[n]`."""
    begun = time.monotonic()
    next_packet, until = begun, begun + seconds
    while (now := time.monotonic()) < until + TAIL_SECONDS:
        if now >= next_packet and now < until:
            for end in ends:
                end.send(now)
            next_packet += PACKET_SECONDS
        wait = max(0.0, min(next_packet - time.monotonic(), PACKET_SECONDS)) if now < until else PACKET_SECONDS
        ready, _, _ = select.select([end.sock for end in ends], [], [], wait)
        for end, peer in zip(ends, peers, strict=True):
            if end.sock in ready:
                number, now = end.receive(), time.monotonic()
                if number in peer.begun:
                    end.heard.take(number, peer.begun[number], now)
    for end, peer in zip(ends, peers, strict=True):
        end.heard.sent = peer.number


def begin_measuring(ends: tuple[End, ...], peers: tuple[End, ...]) -> None:
    """Forget what was heard until now: until both ends were heard, what is in between does not know yet where they are."""
    for end, peer in zip(ends, peers, strict=True):
        end.heard = Stream(first=peer.number)
