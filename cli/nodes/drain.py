"""Emptying a node before its machine goes or restarts: calls end or are handed over."""

from __future__ import annotations

import asyncio

from cli.console import Failure, progress
from cli.nodes.access import Access, ask_nodes
from cloud_init.node_command import node_command

ANSWER_SECONDS = 60
CLUSTERS_SECONDS = 240
"""For other members to take over the lead: the database's, the broker's queues."""


def drain(access: Access, key: str, seconds: int, *, restart: bool = False) -> None:
    """Wait until no call runs on the node; one that does not answer has none to lose. `restart`: its machine will restart, so
    others take over what it leads."""
    progress(f"{key}: waiting for calls to end, at most {seconds} s (webitel:drain_timeout; --disruptive does not wait)")
    command = node_command("drain", *(["--restart"] if restart else []))
    limit = seconds + ANSWER_SECONDS + CLUSTERS_SECONDS * restart
    answer = asyncio.run(ask_nodes(access, [access.nodes[key]], command, limit))[key]
    if answer.problem:
        progress(f"{key} does not answer ({answer.problem}): nothing to wait for")
    elif answer.status:
        raise Failure(f"{key}: {(answer.errors or answer.output).strip()}")
