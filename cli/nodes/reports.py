"""The nodes' own reports: every node is asked, all at once, for what only a working service has."""

from __future__ import annotations

import asyncio

from cli.nodes.access import Access, Answer, ask_nodes
from cloud_init.node_command import node_command
from components.model.report import NodeReport, make_silent_report, read_report

STATUS_SECONDS = 15


def ask_status(access: Access) -> dict[str, NodeReport]:
    """Ask every node for its own report; by key."""
    return asyncio.run(ask_status_async(access))


async def ask_status_async(access: Access) -> dict[str, NodeReport]:
    """Ask where a loop runs already."""
    answers = await ask_nodes(access, list(access.nodes.values()), node_command("status", "--json"), STATUS_SECONDS)
    return {key: read_answer(access.nodes[key].name, key, answer) for key, answer in answers.items()}


def read_answer(node: str, key: str, answer: Answer) -> NodeReport:
    """Read one node's answer as a report."""
    if answer.problem:
        return make_silent_report(key, node, answer.problem)
    return read_report(key, node, answer.output, answer.errors, answer.status)
