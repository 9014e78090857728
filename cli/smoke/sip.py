"""SIP from outside: OPTIONS by every door, and none where the plan has it closed."""

from __future__ import annotations

import re
import secrets
import socket
import ssl
import time
from collections.abc import Iterable

from cli.smoke.check import AGENT, Finding, World, ask_many, explain
from cli.smoke.closed import judge_closed
from cli.smoke.sockets import hear, open_socket, say, speaks_sip
from cli.smoke.web import WEB
from cloud_init.node.ask.sip import write_request
from components.model.catalogue.service import Front
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.plan import Node

TIMEOUT_SECONDS = 4.0
TRIES = 3
"""Of a datagram, each with a third of the time: one may be lost."""
SIP = find_front(Front.SIP)
DOORS = {"sip": "UDP", "sip-tcp": "TCP", "sip-tls": "TLS"}
"""By listener of the catalogue: what the first line of Via calls it (RFC 3261 20.42)."""


def check_doors(world: World) -> Iterable[Finding]:
    """Send OPTIONS by each door that the plan opens to this machine, and as a browser does."""
    doors = [(node, address, name) for node, address in world.outside(SIP.name) for name in DOORS]
    yield from ask_many(lambda one: ask_door(world, *one), doors)
    yield from ask_many(lambda one: ask_as_browser(world, one[1]), world.outside(WEB))


def ask_door(world: World, node: Node, address: str, name: str) -> Finding:
    """Send OPTIONS by one door."""
    listener, transport = SIP.listener(name), DOORS[name]
    admitted = world.admits(node, SIP.name, listener)
    port = world.port(SIP.name, name)
    target = f"{transport.lower()}:{address}:{port}"
    if admitted is None:
        return Finding(target, None, "the address that nodes see this machine by is not known: give it as --from")
    try:
        return judge(target, *ask(transport, address, port), admitted)
    except (OSError, ValueError) as error:
        return judge_closed(target, error, admitted)


def ask_as_browser(world: World, address: str) -> Finding:
    """Send OPTIONS through nginx, which lets everybody in."""
    path = next(one.web_socket for one in CATALOGUE.values() if one.web_socket and speaks_sip(one))
    target = f"wss://{world.name or address}{path}"
    begun = time.monotonic()
    try:
        connection, wrong = open_socket(world, address, path, True)
        with connection:
            if wrong:
                return Finding(target, False, wrong)
            token = secrets.token_hex(8)
            say(connection, compose("WSS", f"{token}.invalid:443", address, token))
            return judge(target, read_answer(hear(connection), token), time.monotonic() - begun, True)
    except (OSError, ValueError) as error:
        return Finding(target, False, explain(error))


def judge(target: str, answer: str, seconds: float, admitted: bool) -> Finding:
    """Judge an answer to OPTIONS."""
    if not admitted:
        return Finding(target, False, f"{answer}, although the plan opens it to nobody here")
    return Finding(
        target, answer.startswith("200"), f"{answer} in {1000 * seconds:.0f} ms", figures={"ms": round(1000 * seconds)}
    )


def compose(transport: str, mine: str, address: str, token: str) -> bytes:
    """Compose OPTIONS."""
    return write_request("OPTIONS", address, address, mine, token, transport=transport, agent=AGENT)


def ask(transport: str, address: str, port: int) -> tuple[str, float]:
    """Send OPTIONS and return status and reason of the answer, with the seconds it took."""
    begun, token = time.monotonic(), secrets.token_hex(8)
    if transport == "UDP":
        return ask_by_datagram(address, port, token), time.monotonic() - begun
    with socket.create_connection((address, port), TIMEOUT_SECONDS) as plain:
        if transport == "TLS":
            with ssl._create_unverified_context().wrap_socket(plain, server_hostname=address) as connection:
                return exchange(connection, transport, address, token), time.monotonic() - begun
        return exchange(plain, transport, address, token), time.monotonic() - begun


def ask_by_datagram(address: str, port: int, token: str) -> str:
    """Send it up to three times by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_SECONDS / TRIES)
        sock.connect((address, port))
        for attempt in range(TRIES):
            sock.send(compose("UDP", "{}:{}".format(*sock.getsockname()), address, token))
            try:
                return read_answer(sock.recv(65535), token)
            except TimeoutError:
                if attempt + 1 == TRIES:
                    raise
    raise TimeoutError


def exchange(connection: socket.socket, transport: str, address: str, token: str) -> str:
    """Send it by a connection."""
    connection.sendall(compose(transport, "{}:{}".format(*connection.getsockname()[:2]), address, token))
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(4096)
        if not more:
            raise ConnectionResetError("the connection was closed without an answer")
        data += more
    return read_answer(data, token)


def read_answer(data: bytes, token: str) -> str:
    """Return the status and reason of an answer to the request with that token."""
    text = data.decode(errors="replace")
    first = re.match(r"SIP/2\.0 (\d{3} [^\r\n]*)", text)
    if not first or token not in text:
        raise ValueError(f"no answer of SIP: {text[:60]!r}")
    return first[1]
