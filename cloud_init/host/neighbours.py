"""Who on the host's own network has an address: asked by ARP, as whoever wants to take one asks before (RFC 5227)."""

from __future__ import annotations

import ipaddress
import json
import select
import socket
import struct
import time

from cloud_init.host.facts import SharedAddress
from cloud_init.host.running import run

ETHERNET_ARP, REQUEST, REPLY = 0x0806, 1, 2
BROADCAST, NOBODY = b"\xff" * 6, b"\0" * 6
PROBES, ANSWER_SECONDS = 3, 0.4
HEAD = struct.Struct("!HHBBH6s4s6s4s")
ETHERNET_BYTES = 14


def look_at_shared(link: str, own: str, address: str, others: tuple[str, ...]) -> SharedAddress:
    """Look at an address that nodes have in turn, on the interface with a host's own; `others` are those of the other nodes."""
    shown = json.loads(run("ip", "-json", "-4", "address", "show").stdout or "[]")
    here = [one for link_shown in shown for one in link_shown.get("addr_info", ()) if "local" in one]
    network = next(f"{one['local']}/{one['prefixlen']}" for one in here if one["local"] == own)
    owner = ask_owner(link, address)
    known = {other: ask_owner(link, other) for other in others} if owner else {}
    return SharedAddress(
        address=address,
        network=str(ipaddress.ip_interface(network).network),
        is_here=any(one["local"] == address for one in here),
        owner=owner,
        node=next((other for other, found in known.items() if found == owner), ""),
    )


def ask_owner(link: str, address: str) -> str:
    """Return the hardware address of who else has an address on that network, "" where nobody answers."""
    wanted = socket.inet_aton(address)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERNET_ARP)) as line:
        line.bind((link, ETHERNET_ARP))
        own: bytes = line.getsockname()[4]
        # Of no address of its own, so that no neighbour learns anything.
        question = HEAD.pack(1, 0x0800, 6, 4, REQUEST, own, bytes(4), NOBODY, wanted)
        for _ in range(PROBES):
            line.send(BROADCAST + own + struct.pack("!H", ETHERNET_ARP) + question)
            end = time.monotonic() + ANSWER_SECONDS
            while (left := end - time.monotonic()) > 0 and select.select([line], [], [], left)[0]:
                if found := read_owner(line.recv(65535), wanted, own):
                    return found
    return ""


def read_owner(frame: bytes, wanted: bytes, own: bytes) -> str:
    """Return who says in a frame to have an address, "" where it says nothing of that, or is our own."""
    if len(frame) < ETHERNET_BYTES + HEAD.size:
        return ""
    _, _, _, _, kind, sender, address, _, _ = HEAD.unpack_from(frame, ETHERNET_BYTES)
    return sender.hex(":") if kind in (REQUEST, REPLY) and address == wanted and sender != own else ""
