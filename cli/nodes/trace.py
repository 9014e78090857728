"""A capture file from what nodes see of SIP: their own program reads the packets, and they are written here only."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import asyncssh

from cli.console import Failure, progress
from cli.nodes.access import Access, NodeAccess, connect
from cli.nodes.journal import explain
from cloud_init.node.ask.trace import FULL, RECORD
from cloud_init.node_command import node_command
from components.model.catalogue.service import Front, Service
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.plan import Plan

FILE_HEAD = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 113)
"""Of a capture file of libpcap: microseconds, and the link type LINKTYPE_LINUX_SLL."""
ENCRYPTED = "sip-tls"
"""A listener of which a capture shows nothing: what came by it is seen on its way to FreeSWITCH."""
MARGIN_SECONDS = 15


def list_ports() -> list[int]:
    """List the ports by which OpenSIPS speaks SIP in the clear with the world and with FreeSWITCH."""

    def of(service: Service) -> set[int]:
        return {one.port for one in service.listeners if one.name.startswith(("sip", "inner")) and one.name != ENCRYPTED}

    speakers = [find_front(Front.SIP), *(service for service in CATALOGUE.values() if service.carries_calls)]
    return sorted(set().union(*map(of, speakers)))


def capture(
    access: Access, plan: Plan, file: Path, number: str, address: str, seconds: int, most_bytes: int
) -> tuple[int, list[str]]:
    """Capture on all nodes of OpenSIPS at the same time; how many packets are in the file, and why a node gave none."""
    nodes = [access.nodes[node.key] for node in plan.nodes_with(find_front(Front.SIP).name) if node.key in access.nodes]
    if not nodes:
        raise Failure(f"no node of OpenSIPS was ever reached. Next: ./webitel up {plan.stack}")
    words = ["trace", "--ports", *map(str, list_ports()), "--seconds", str(seconds), "--bytes", str(most_bytes // len(nodes))]
    words += [f"--number={number}"] if number else []
    words += [f"--address={address}"] if address else []
    # Numbers, names and what was said of them: for nobody else.
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    counts: dict[str, int] = {}
    problems: list[str] = []
    with os.fdopen(descriptor, "wb") as target:
        target.write(FILE_HEAD)
        progress(f"Capturing for {seconds} s on {', '.join(node.key for node in nodes)}; Ctrl-C ends it.")
        try:
            asyncio.run(_capture(access, nodes, node_command(*words), seconds, target, counts, problems))
        except KeyboardInterrupt:
            progress("Ended.")
    return sum(counts.values()), problems


async def _capture(
    access: Access,
    nodes: Sequence[NodeAccess],
    command: str,
    seconds: int,
    target: BinaryIO,
    counts: dict[str, int],
    problems: list[str],
) -> None:
    async def one(node: NodeAccess) -> None:
        try:
            async with asyncio.timeout(seconds + MARGIN_SECONDS), await connect(access, node) as session:
                process = await session.start(command)
                await read_records(process.stdout, target, counts, node.key)
                said = (await process.stderr.read()).decode(errors="replace")
                await process.wait_closed()
                if process.exit_status is None:
                    problems.append(f"{node.key}: the connection was lost; what was seen until then is in the file")
                elif process.exit_status:
                    problems.append(f"{node.key}: {explain(said).strip()}")
                elif FULL in said:
                    progress(f"{node.key}: {FULL} before the time was over; --size takes more MiB.")
        except TimeoutError:
            problems.append(f"{node.key}: no end within {MARGIN_SECONDS} s of the time that was given")
        except (OSError, asyncssh.Error, Failure) as error:
            problems.append(f"{node.key}: {error}")

    await asyncio.gather(*map(one, nodes))


async def read_records(
    stream: asyncssh.SSHReader[bytes] | asyncio.StreamReader, target: BinaryIO, counts: dict[str, int], key: str
) -> None:
    """Write each whole record as it comes: what is cut at the end is left out."""
    while True:
        try:
            head = await stream.readexactly(RECORD.size)
            body = await stream.readexactly(RECORD.unpack(head)[2])
        except asyncio.IncompleteReadError:
            return
        target.write(head + body)
        target.flush()
        counts[key] = counts.get(key, 0) + 1
