"""The network as the host sees it: its interface, what listens, the other hosts."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import pathlib
import select
import socket
import struct
import time

from cloud_init.host.facts import Listener, Network, Nic, Peer, Request
from cloud_init.host.neighbours import look_at_shared
from cloud_init.host.running import read, run, whole

TABLES = {"tcp": ("tcp", "0A"), "tcp6": ("tcp", "0A"), "udp": ("udp", "07"), "udp6": ("udp", "07")}
"""Of /proc/net: the protocol, and the state of a socket that waits for anybody."""
PINGS, PING_SECONDS, ANSWER_SECONDS = 25, 0.02, 0.5
ECHO, ECHO_REPLY = 8, 0
HEADERS_BYTES = 28
"""Of IPv4 and ICMP."""
IP_MTU_DISCOVER, NEVER_IN_PARTS = 10, 2
"""Linux' own numbers: with these a packet that does not fit is an error, not two packets."""


def look_at_network(request: Request) -> Network:
    """Look at the interface with the private address, at listeners, and at the other hosts."""
    address, peers = request.address, request.peers
    nic = look_at_nic(address)
    return Network(
        nic=nic,
        listeners=tuple(list_listeners()),
        connections=whole(text) if (text := read("/proc/sys/net/netfilter/nf_conntrack_max")) else None,
        peers=tuple(look_at_peer(peer, nic.mtu if nic else 1500) for peer in peers),
        shared=look_at_shared(nic.name, address, request.shared, request.turns) if nic and request.shared else None,
    )


def look_at_nic(address: str) -> Nic | None:
    """Return the interface that has an address, None where none has it."""
    shown = run("ip", "-json", "address", "show", "to", address).stdout
    found = next((one for one in json.loads(shown or "[]") if one), None)
    if not found:
        return None
    name = found["ifname"].partition("@")[0]
    folder = pathlib.Path("/sys/class/net", name)
    driver = folder / "device/driver"
    speed = whole(read(folder / "speed"), -1)
    return Nic(
        name=name,
        driver=driver.resolve().name if driver.exists() else found.get("link_type", ""),
        mtu=int(found["mtu"]),
        speed=speed if speed > 0 else None,
        duplex=read(folder / "duplex"),
        queues=len(list(folder.glob("queues/rx-*"))),
        received=whole(read(folder / "statistics/rx_packets")),
        dropped=sum(whole(read(folder / f"statistics/{name}")) for name in ("rx_missed_errors", "rx_fifo_errors", "rx_errors")),
        virtual=not (folder / "device").exists(),
    )


def list_listeners() -> list[Listener]:
    """List who listens, as the kernel's tables and every process' open files say."""
    owners = find_owners()
    found = []
    for table, (protocol, state) in TABLES.items():
        for line in read(f"/proc/net/{table}").splitlines()[1:]:
            fields = line.split()
            if fields[3] != state:
                continue
            address, _, port = fields[1].partition(":")
            number = bytes.fromhex(address)
            # In the kernel's byte order, four bytes at a time.
            ordered = b"".join(number[start : start + 4][::-1] for start in range(0, len(number), 4))
            found.append(Listener(protocol, str(ipaddress.ip_address(ordered)), int(port, 16), owners.get(fields[9], "")))
    return sorted(set(found), key=lambda one: (one.protocol, one.port, one.address))


def find_owners() -> dict[str, str]:
    """Return the program's name by the number of its socket."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            for entry in folder.iterdir():
                with contextlib.suppress(OSError):
                    target = str(entry.readlink())
                    if target.startswith("socket:["):
                        found[target[8:-1]] = read(folder.parent / "comm")
    return found


def look_at_peer(address: str, mtu: int) -> Peer:
    """Ask another host's kernel for answers: at the pace of audio, then in one packet as large as the interface takes."""
    number = os.getpid() & 0xFFFF
    took: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as line:
        for sequence in range(PINGS):
            begun = time.perf_counter()
            if ping(line, address, number, sequence, bytes(172)):
                took.append((time.perf_counter() - begun) * 1000)
            time.sleep(max(0.0, PING_SECONDS - (time.perf_counter() - begun)))
        line.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, NEVER_IN_PARTS)
        fits = any(ping(line, address, number, PINGS + turn, bytes(mtu - HEADERS_BYTES)) for turn in range(3))
    took.sort()
    return Peer(address, PINGS, len(took), took[len(took) // 2] if took else None, fits)


def ping(line: socket.socket, address: str, number: int, sequence: int, content: bytes) -> bool:
    """Send an echo request; return whether its answer came."""
    head = struct.pack("!BBHHH", ECHO, 0, 0, number, sequence)
    packet = struct.pack("!BBHHH", ECHO, 0, sum_up(head + content), number, sequence) + content
    try:
        line.sendto(packet, (address, 0))
    except OSError:
        return False  # too large for the way there, or no way
    end = time.monotonic() + ANSWER_SECONDS
    while (left := end - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
        answer, (sender, _) = line.recvfrom(65535)
        kind, _, _, theirs, turn = struct.unpack("!BBHHH", answer[20:28])
        if (kind, theirs, turn, sender) == (ECHO_REPLY, number, sequence, address):
            return True
    return False


def sum_up(data: bytes) -> int:
    """Return the internet's checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    words: tuple[int, ...] = struct.unpack(f"!{len(data) // 2}H", data)
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
