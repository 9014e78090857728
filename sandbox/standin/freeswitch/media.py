"""RTP of one call: every packet goes back where it came from; a tone speaks first."""

import asyncio
import socket
import struct
from typing import cast

FRAME = 160
"""Bytes of 20 ms PCMA."""

SILENCE = b"\xd5" * FRAME


class Media(asyncio.DatagramProtocol):
    """One socket. `received` and `sent` count packets."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.received = self.sent = 0
        self.transport: asyncio.DatagramTransport | None = None
        self.speaking: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        """Echo; the source of the last packet is believed more than the SDP, as FreeSWITCH does."""
        self.received += 1
        self.target = address
        if self.transport and self.speaking is None:
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


class Ports:
    """Even ports of the configured range, in turn."""

    def __init__(self, address: str, first: int, last: int) -> None:
        self.address, self.first, self.last = address, first + first % 2, last
        self.next = self.first

    async def open(self, target: tuple[str, int]) -> tuple[Media, int]:
        """A socket for a call; OSError when the range is used up."""
        loop = asyncio.get_running_loop()
        for _ in range((self.last - self.first) // 2 + 1):
            port = self.next
            self.next = port + 2 if port + 3 <= self.last else self.first
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.bind((self.address, port))
            except OSError:
                sock.close()
                continue
            _, media = await loop.create_datagram_endpoint(lambda: Media(target), sock=sock)
            return media, port
        raise OSError(f"no free port in {self.first}-{self.last}")
