"""How this machine stands to a deployment: which address the nodes see it by."""

from __future__ import annotations

import asyncio
import ipaddress

import asyncssh

from cli.console import Failure
from cli.nodes.access import Access, NodeAccess, connect

ASK_SECONDS = 8


def find_seen_as(access: Access) -> str:
    """Ask the nodes that are reached with nobody in between where this connection comes from; "" where none says so."""

    async def ask(node: NodeAccess) -> str:
        try:
            async with asyncio.timeout(ASK_SECONDS), await connect(access, node) as session:
                said = (await session.run("echo $SSH_CONNECTION", seconds=ASK_SECONDS, root=False)).output
        except (OSError, asyncssh.Error, Failure):
            return ""  # whether the nodes answer is another check's question
        return said.partition(" ")[0]

    async def ask_all(nodes: list[NodeAccess]) -> list[str]:
        return await asyncio.gather(*map(ask, nodes))

    direct = [node for node in access.nodes.values() if not node.target.via and not node.target.ssh_via]
    for said in asyncio.run(ask_all(direct)):
        try:
            return str(ipaddress.IPv4Address(said.removeprefix("::ffff:")))
        except ValueError:
            continue
    return ""
