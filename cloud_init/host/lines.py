"""The way between two hosts under load: packets of audio's size at an even rate, counted and timed where they arrive."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time

from cloud_init.host.facts import Line

PACKET_BYTES = 172
"""20 ms of G.711 with RTP's header."""
STAMP = struct.Struct("!Qd")
TICK_SECONDS = 0.001
SMOOTHING = 16
"""RFC 3550's: each packet moves the jitter by a sixteenth."""
BUFFER_BYTES = 4 << 20
LINGER_SECONDS = 1.0


def send(address: str, port: int, rate: int, seconds: float) -> int:
    """Send so many packets a second, in portions of a millisecond; return how many were sent."""
    sent, begun = 0, time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        line.connect((address, port))
        tail = bytes(PACKET_BYTES - STAMP.size)
        while (now := time.perf_counter() - begun) < seconds:
            for _ in range(max(0, int(now * rate) - sent)):
                # An answer to an earlier one: nobody was there yet, so it counts as lost.
                with contextlib.suppress(ConnectionRefusedError):
                    line.send(STAMP.pack(sent, time.perf_counter()) + tail)
                sent += 1
            time.sleep(TICK_SECONDS)
    return sent


def receive(address: str, port: int, sender: str, seconds: float) -> Line:
    """Take what one host sends; how many it sent is not known here, so the highest number stands for it."""
    count = highest = 0
    jitter = late = 0.0
    way: float | None = None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        line.bind((address, port))
        end = time.monotonic() + seconds + LINGER_SECONDS
        while (left := end - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
            packet, (host, _) = line.recvfrom(PACKET_BYTES)
            if host != sender:
                continue
            number, stamp = STAMP.unpack_from(packet)
            # Two clocks that run alike: what they differ by falls out of the difference.
            now = time.perf_counter() - stamp
            if way is not None:
                jitter += (abs(now - way) - jitter) / SMOOTHING
                late = max(late, now - way)
            way, count, highest = now, count + 1, max(highest, number + 1)
    return Line(highest, count, jitter * 1000, late * 1000)
