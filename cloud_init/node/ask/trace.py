"""SIP as it passes this node, for `trace`: packets go to standard output and nowhere else, and audio is never read.

The kernel hands over packets of the ports of SIP only (classic BPF), so that the audio of a thousand calls costs nothing here.
What would open something stays on the node: keys of SRTP, and proofs of passwords, from which a short one can be guessed.
"""

import ctypes
import ipaddress
import re
import select
import socket
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

ALL_PROTOCOLS = 0x0003
SO_ATTACH_FILTER = 26
OUTGOING = 4
"""A packet that leaves (`linux/if_packet.h`): on the loopback it is seen once more as one that comes."""
UDP, TCP = 17, 6
FRAGMENT = 0x1FFF
LOOK_SECONDS = 0.5
MOST_CALLS = 4096
"""Call-IDs and connections that are remembered: the oldest is forgotten first."""
FULL = "the size that was given is reached"
START = re.compile(rb"(?:[A-Z]+ sips?:\S+ SIP/2\.0|SIP/2\.0 \d{3} )")
CALL_ID = re.compile(rb"^(?:Call-ID|i)\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
NUMBER = re.compile(
    rb"(?:^[A-Z]+ |^(?:From|f|To|t|P-Asserted-Identity|Contact|m)\s*:.*?)sips?:([^@;>\s]+)@", re.IGNORECASE | re.MULTILINE
)
SECRETS = re.compile(rb'(inline:)([A-Za-z0-9+/=]+)|(\bresponse\s*=\s*"?)([0-9a-f]+)|(\ba=ice-pwd:)(\S+)', re.IGNORECASE)

# struct pcap_pkthdr, and the header that `tcpdump -i any` writes (LINKTYPE_LINUX_SLL)
RECORD = struct.Struct("<IIII")
COOKED = struct.Struct("!HHH8sH")
IPV4 = 0x0800


class Wanted(NamedTuple):
    """Which calls are wanted: of a number, of an address, all where both are empty."""

    number: str
    address: str


class Packet(NamedTuple):
    """A packet of IPv4: who sent it to whom, its identification, whether it is a later fragment, and its payload."""

    protocol: int
    source: str
    target: str
    ports: tuple[int, int]
    number: int
    is_fragment: bool
    payload: bytes


class Instruction(NamedTuple):
    """An instruction of classic BPF; `yes` and `no` are how many of the next ones are left out."""

    code: int
    yes: int
    no: int
    value: int


def write_filter(ports: Iterable[int]) -> list[Instruction]:
    """Write the kernel's filter: IPv4, UDP or TCP, from or to one of these ports, and later fragments of what is long."""
    wanted = list(ports)
    load_byte, load_half, load_header, load_port = 0x30, 0x28, 0xB1, 0x48
    mask, equal, any_bit, ret = 0x54, 0x15, 0x45, 0x06
    body = [
        Instruction(load_byte, 0, 0, 0),
        Instruction(mask, 0, 0, 0xF0),
        Instruction(equal, 0, -1, 0x40),
        Instruction(load_byte, 0, 0, 9),
        Instruction(equal, 1, 0, UDP),
        Instruction(equal, 0, -1, TCP),
        Instruction(load_half, 0, 0, 6),
        Instruction(any_bit, -2, 0, FRAGMENT),
        Instruction(load_header, 0, 0, 0),
    ]
    for offset in (0, 2):
        body.append(Instruction(load_port, 0, 0, offset))
        body += [Instruction(equal, -2, 0, port) for port in wanted]
    end = len(body)  # the next but one takes the packet

    def resolve(at: int, jump: int) -> int:
        return end - at - 1 if jump == -1 else end - at if jump == -2 else jump

    return [
        *(one._replace(yes=resolve(at, one.yes), no=resolve(at, one.no)) for at, one in enumerate(body)),
        Instruction(ret, 0, 0, 0),
        Instruction(ret, 0, 0, 0xFFFF),
    ]


def attach_filter(sock: socket.socket, ports: Iterable[int]) -> None:
    """Have the kernel hand over nothing else."""
    program = write_filter(ports)
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))


def read_packet(data: bytes) -> "Packet | None":
    """Read a packet of IPv4; None for one that is cut."""
    if len(data) < 28:
        return None
    size, whole = 4 * (data[0] & 0x0F), int.from_bytes(data[2:4], "big")
    source, target = (str(ipaddress.IPv4Address(data[at : at + 4])) for at in (12, 16))
    identification, offset, protocol = int.from_bytes(data[4:6], "big"), int.from_bytes(data[6:8], "big") & FRAGMENT, data[9]
    if offset:
        return Packet(protocol, source, target, (0, 0), identification, True, data[size:whole])
    ports = int.from_bytes(data[size : size + 2], "big"), int.from_bytes(data[size + 2 : size + 4], "big")
    start = size + 8 if protocol == UDP else size + 4 * (data[size + 12] >> 4)
    return Packet(protocol, source, target, ports, identification, False, data[start:whole])


class Calls:
    """Which packets belong to what is wanted: a call that one message shows to be wanted is taken from that message on."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.calls: OrderedDict[bytes, None] = OrderedDict()
        self.parts: OrderedDict[tuple[object, ...], bool] = OrderedDict()

    def takes(self, packet: Packet) -> bool:
        """Tell whether a packet is wanted. What does not begin a message belongs to the last one of its sender."""
        if packet.protocol == UDP:
            key: tuple[object, ...] = packet.source, packet.target, packet.number
        else:
            key = packet.source, packet.target, *packet.ports
        if packet.is_fragment or not START.match(packet.payload):
            return bool(packet.payload) and self.parts.get(key, False)
        taken = self._is_wanted(packet)
        remember(self.parts, key, taken)
        return taken

    def _is_wanted(self, packet: Packet) -> bool:
        if not self.wanted.number and not self.wanted.address:
            return True
        found = CALL_ID.search(packet.payload)
        call = found[1] if found else b""
        if call in self.calls:
            return True
        named = {number.decode(errors="replace").lstrip("+") for number in NUMBER.findall(packet.payload)}
        right = (not self.wanted.number or self.wanted.number.lstrip("+") in named) and (
            not self.wanted.address or self.wanted.address in (packet.source, packet.target)
        )
        if right:
            remember(self.calls, call, None)
        return right


def remember(known: "OrderedDict[K, V]", key: K, value: V) -> None:
    """Remember one more, and forget the oldest where there are too many."""
    known[key] = value
    if len(known) > MOST_CALLS:
        known.popitem(last=False)


def hide(data: bytes) -> bytes:
    """Overwrite what would open something with as many letters, so that every length stays right."""

    def blank(found: "re.Match[bytes]") -> bytes:
        head = found[1] or found[3] or found[5]
        return head + b"x" * (len(found[0]) - len(head))

    return SECRETS.sub(blank, data)


def capture(ports: "list[int]", seconds: float) -> Iterator[tuple[float, str, int, bytes]]:
    """Yield packets of these ports for a while, or until standard input ends: time, interface, kind, packet from IP on."""
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)) as sock:
        attach_filter(sock, ports)
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([sock, sys.stdin], [], [], min(left, LOOK_SECONDS))
            if sys.stdin in ready:
                return
            if sock in ready:
                data, (interface, _, kind, *_) = sock.recvfrom(65535)
                if interface != "lo" or kind != OUTGOING:
                    yield time.time(), interface, kind, data


def run(ports: "list[int]", seconds: float, most_bytes: int, wanted: Wanted) -> int:
    """Write the records of a capture file, without its head, to standard output; at most so many bytes."""
    calls, written = Calls(wanted), 0
    print("trace begins", file=sys.stderr, flush=True)
    for at, _, kind, data in capture(ports, seconds):
        packet = read_packet(data)
        if packet is None or not calls.takes(packet):
            continue
        body = COOKED.pack(kind, 1, 0, b"", IPV4) + hide(data)
        written += RECORD.size + len(body)
        if written > most_bytes:
            print(FULL, file=sys.stderr, flush=True)
            return 0
        sys.stdout.buffer.write(RECORD.pack(int(at), int(at % 1 * 1_000_000), len(body), len(body)) + body)
        sys.stdout.buffer.flush()
    return 0
