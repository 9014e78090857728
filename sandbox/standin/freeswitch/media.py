"""RTP of one call: every packet goes back where it came from; a tone speaks first."""

import asyncio
import itertools
import socket
import struct
import time
from functools import partial
from typing import cast

FRAME = 160
"""Bytes of 20 ms PCMA."""

SILENCE = b"\xd5" * FRAME

SWALLOWED = (2, 3, 4)
"""How many packets the real `echo` does not send back at its begin (`facts/telephony-real.md` 21)."""


class Media(asyncio.DatagramProtocol):
    """One socket. `received` and `sent` count packets; `heard` is the moment of the last one."""

    def __init__(self, target: tuple[str, int], swallows: int) -> None:
        self.target, self.swallows = target, swallows
        self.received = self.sent = 0
        self.heard = time.monotonic()
        self.transport: asyncio.DatagramTransport | None = None
        self.speaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Echo; the source of the last packet is believed more than the SDP, as FreeSWITCH does."""
        self.received += 1
        self.heard = time.monotonic()
        self.target = address
        if self.transport and self.speaking is None and self.received > self.swallows:
            self.transport.sendto(data, address)
            self.sent += 1

    def error_received(self, error: Exception) -> None:
        """An ICMP error means nothing here."""

    def speak(self) -> None:
        """Packets of our own from now on, instead of the echo."""
        self.speaking = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        start, number = loop.time(), 0
        while self.transport and not self.transport.is_closing():
            first = 0x80 if number == 0 else 0
            header = struct.pack("!BBHII", 0x80, 8 | first, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 0x5EED)
            self.transport.sendto(header + SILENCE, self.target)
            self.sent += 1
            number += 1
            await asyncio.sleep(max(0.0, start + number * 0.02 - loop.time()))

    def close(self) -> None:
        """Ends the socket."""
        if self.speaking:
            self.speaking.cancel()
        if self.transport:
            self.transport.close()


def returned(media: Media) -> Media:
    """The protocol that a socket gets."""
    return media


class Ports:
    """Even ports of the configured range, in turn; an odd end is rounded inwards."""

    def __init__(self, address: str, first: int, last: int) -> None:
        self.address, self.first, self.last = address, first + first % 2, last - last % 2
        self.next = self.first
        self.swallows = itertools.cycle(SWALLOWED)

    async def open(self, target: tuple[str, int]) -> tuple[Media, int]:
        """A socket for a call; OSError when the range is used up."""
        loop = asyncio.get_running_loop()
        for _ in range((self.last - self.first) // 2 + 1):
            port = self.next
            self.next = port + 2 if port < self.last else self.first
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind((self.address, port))
            except OSError:
                sock.close()
                continue
            media = Media(target, next(self.swallows))
            await loop.create_datagram_endpoint(partial(returned, media), sock=sock)
            return media, port
        raise OSError(f"no free port in {self.first}-{self.last}")
