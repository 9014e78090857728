"""The nodes' own reports: every node is asked, all at once, for what only a working service has."""

from __future__ import annotations

import asyncio
import time

from cli.nodes.access import Access, Answer, ask_nodes
from cloud_init.node_command import node_command
from components.model.report import NodeReport, is_healthy, make_silent_report, read_report

STATUS_SECONDS = 15
SETTLING_LOOKS = 3
SETTLING_PAUSE_SECONDS = 3


def ask_status(access: Access) -> dict[str, NodeReport]:
    """Ask every node for its own report; by key."""
    return asyncio.run(ask_status_async(access))


def ask_settled_status(access: Access) -> dict[str, NodeReport]:
    """Ask every node, and a few times more while one is not healthy: what was healthy a moment ago may be busy with its
    peers, as a broker is whose new queue has no copy on it yet."""
    reports = ask_status(access)
    for _ in range(SETTLING_LOOKS):
        if is_healthy(reports):
            break
        time.sleep(SETTLING_PAUSE_SECONDS)
        reports = ask_status(access)
    return reports


async def ask_status_async(access: Access) -> dict[str, NodeReport]:
    """Ask where a loop runs already."""
    answers = await ask_nodes(access, list(access.nodes.values()), node_command("status", "--json"), STATUS_SECONDS)
    return {key: read_answer(access.nodes[key].name, key, answer) for key, answer in answers.items()}


def read_answer(node: str, key: str, answer: Answer) -> NodeReport:
    """Read one node's answer as a report."""
    if answer.problem:
        return make_silent_report(key, node, answer.problem)
    return read_report(key, node, answer.output, answer.errors, answer.status)
