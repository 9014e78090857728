"""The domain's records as the world sees them, against what `up` says they have to be."""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from cli.smoke.check import Finding, World, ask_many

TIMEOUT_SECONDS = 3.0
TRIES = 2
PORT = 53
RESOLVERS = Path("/etc/resolv.conf")
TYPES = {"A": 1, "SRV": 33}
"""RFC 1035 3.2.2, RFC 2782."""
NO_NAME = 3
"""NXDOMAIN (RFC 1035 4.1.1)."""
ANSWERED = 0x8000
CUT = 0x0200


class NameProblem(Exception):
    """The question has no answer; the message says why."""


def check_names(world: World) -> Iterable[Finding]:
    """Ask for each record of the domain."""
    if not world.access.records:
        yield Finding("", None, "no domain leads here")
        return
    wanted: dict[tuple[str, str], set[str]] = {}
    for line in world.access.records:
        name, _, _, kind, value = line.split(" ", 4)
        wanted.setdefault((name.rstrip("."), kind), set()).add(value)
    servers = find_resolvers()
    yield from ask_many(lambda asked: ask_record(servers, asked[0][0], asked[0][1], asked[1]), wanted.items())


def ask_record(servers: Sequence[tuple[str, int]], name: str, kind: str, wanted: set[str]) -> Finding:
    """Ask for one record and compare."""
    target, must = f"{name} {kind}", " ".join(sorted(wanted))
    try:
        found = ask(servers, name, kind)
    except NameProblem as problem:
        return Finding(target, False, f"{problem}, expected {must}")
    shown = " ".join(sorted(found)) or "no record"
    return Finding(target, found == wanted, shown if found == wanted else f"{shown}, expected {must}")


def find_resolvers() -> list[tuple[str, int]]:
    """Return this machine's resolvers."""
    lines = RESOLVERS.read_text().splitlines() if RESOLVERS.exists() else []
    words = [line.split() for line in lines]
    return [(line[1], PORT) for line in words if len(line) > 1 and line[0] == "nameserver" and ":" not in line[1]]


def ask(servers: Sequence[tuple[str, int]], name: str, kind: str) -> set[str]:
    """Ask the resolvers in turn; values as a zone file writes them."""
    problem = NameProblem(f"this machine has no resolver in {RESOLVERS}")
    for server in [server for server in servers for _ in range(TRIES)]:
        number = secrets.randbelow(1 << 16)
        labels = b"".join(bytes([len(part)]) + part for part in name.encode("idna").split(b"."))
        question = struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, TYPES[kind], 1)
        try:
            return read_answer(exchange(server, question), number, kind)
        except OSError as error:
            problem = NameProblem(f"{server[0]} does not answer: {error.strerror or 'no answer in time'}")
    raise problem


def exchange(server: tuple[str, int], question: bytes) -> bytes:
    """Ask by UDP, and by TCP where the answer was too long for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_SECONDS)
        sock.connect(server)
        sock.send(question)
        answer = sock.recv(65535)
    if not int.from_bytes(answer[2:4], "big") & CUT:
        return answer
    with socket.create_connection(server, TIMEOUT_SECONDS) as connection:
        connection.sendall(len(question).to_bytes(2, "big") + question)
        stream = connection.makefile("rb")
        return stream.read(int.from_bytes(stream.read(2), "big"))


def read_answer(data: bytes, number: int, kind: str) -> set[str]:
    """Read the values of that type; a name that is not there has none."""
    try:
        given, flags, questions, answers = struct.unpack("!HHHH", data[:8])
        if given != number or not flags & ANSWERED:
            raise NameProblem("an answer to another question")
        if code := flags & 0x0F:
            raise NameProblem("there is no such name" if code == NO_NAME else f"the resolver refuses (code {code})")
        at = 12
        for _ in range(questions):
            at = read_name(data, at)[1] + 4
        found = set()
        for _ in range(answers):
            at = read_name(data, at)[1]
            type_, _, _, size = struct.unpack("!HHIH", data[at : at + 10])
            at += 10
            if type_ == TYPES[kind]:
                found.add(read_value(data, at, kind))
            at += size
    except (IndexError, struct.error) as error:
        raise NameProblem("an answer that cannot be read") from error
    return found


def read_value(data: bytes, at: int, kind: str) -> str:
    """Read one value."""
    if kind == "A":
        return socket.inet_ntoa(data[at : at + 4])
    priority, weight, port = struct.unpack("!HHH", data[at : at + 6])
    return f"{priority} {weight} {port} {read_name(data, at + 6)[0]}"


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """Read a name with its pointers (RFC 1035 4.1.4); and where what follows it begins."""
    labels, end, jumps = [], 0, 0
    while size := data[at]:
        if size & 0xC0:
            end, at, jumps = end or at + 2, int.from_bytes(data[at : at + 2], "big") & 0x3FFF, jumps + 1
            if jumps > len(data):
                raise NameProblem("an answer that cannot be read")
            continue
        labels.append(data[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += 1 + size
    return ".".join(labels) + ".", end or at + 1
