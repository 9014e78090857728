"""What the plan keeps closed: every port of the catalogue that it does not open to this machine, on every node reached from
outside."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from cli.smoke.check import Finding, World, ask_many
from components.model.catalogue.service import Listener
from components.model.catalogue.services import CATALOGUE
from components.model.plan import Node

KNOCK_SECONDS = 3.0
"""For a connection or an answer to a datagram; a refusal comes at once."""
PING = b"0_0 d7:command4:pinge"
"""What rtpengine's control socket answers to anybody; a program that speaks something else is not silent for it either."""
SHOWN_PORTS = 8


class Door(NamedTuple):
    """A port that must not answer, and what listens there."""

    protocol: str
    port: int
    who: str


def check_closed(world: World) -> Iterable[Finding]:
    """Knock at every closed port of every node; one line a node, and one for each port that is open."""
    nodes = {node.key: (node, address) for service in CATALOGUE for node, address in world.outside(service)}
    for findings in ask_many(lambda one: check_node(world, *one), nodes.values()):
        yield from findings


def check_node(world: World, node: Node, address: str) -> list[Finding]:
    """Knock at the closed ports of one node."""
    doors, unknown = list_doors(world, node)
    findings = ask_many(partial(knock, address), doors)
    opened = [one for one in findings if not one.right]
    shut = len(findings) - len(opened)
    told = [Finding(address, bool(shut) or not findings or None, f"{shut} of {len(findings)} closed ports are closed")]
    if unknown:
        told.append(Finding(address, None, f"not judged without --from: {', '.join(unknown[:SHOWN_PORTS])}"))
    return [*opened, *told]


def list_doors(world: World, node: Node) -> tuple[list[Door], list[str]]:
    """List what the plan keeps closed to this machine, and what it would have to know this machine's address for."""
    opened: set[tuple[str, int]] = set()
    unknown: dict[tuple[str, int], str] = {}
    every: dict[tuple[str, int], str] = {}
    for service in CATALOGUE.values():
        for listener in service.listeners:
            admitted = world.admits(node, service.name, listener)
            for port in sorted({listener.ports.first, listener.ports.last}):
                door = (listener.protocol, port)
                every.setdefault(door, f"{service.name} {listener.name}")
                if admitted:
                    opened |= {(listener.protocol, one) for one in range(listener.ports.first, listener.ports.last + 1)}
                elif admitted is None:
                    unknown[door] = describe(service.name, listener)
    doors = [Door(*door, who) for door, who in every.items() if door not in opened and door not in unknown]
    return doors, list(dict.fromkeys(unknown.values()))


def describe(service: str, listener: Listener) -> str:
    """Name a listener."""
    return f"{listener.ports}/{listener.protocol} {service}"


def knock(address: str, door: Door) -> Finding:
    """Try one port."""
    target = f"{address}:{door.port}/{door.protocol}"
    try:
        if door.protocol == "tcp":
            socket.create_connection((address, door.port), KNOCK_SECONDS).close()
        else:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(KNOCK_SECONDS)
                sock.connect((address, door.port))
                sock.send(PING)
                sock.recv(65535)
    except OSError:
        return Finding(target, True, "closed")
    return Finding(target, False, f"open: {door.who} answers, although the plan opens it to nobody here")


def judge_closed(target: str, error: Exception, admitted: bool) -> Finding:
    """Judge a door that did not answer."""
    if not admitted:
        return Finding(target, True, "closed, as planned: this machine is neither a carrier nor a phone of the settings")
    if isinstance(error, TimeoutError):
        return Finding(target, False, "no answer")
    return Finding(target, False, str(error))
