"""What moves, handed over from the node that has it to another one of its role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from cli.console import Failure, progress
from cli.nodes.access import Access, ask_nodes
from cli.nodes.reports import ask_status
from cloud_init.node_command import node_command
from components.model.report import NodeReport, describe_first

ANSWER_SECONDS = 90.0
"""Longer than the node's own limit for a hand-over."""
HEALTHY_SECONDS = 300.0
PAUSE_SECONDS = 2.0
UNKNOWN = "unrecognized arguments"
"""What a node program of an earlier version says of what it does not know yet."""


def find_holders(reports: Mapping[str, NodeReport]) -> dict[str, str]:
    """Return who runs what moves, as those that stand by say it: by title of the service, the key of the node."""
    rows = [row for report in reports.values() for row in report.services]
    return {row.title or row.name: row.standby for row in rows if row.standby}


def tell(holders: Mapping[str, str]) -> str:
    """Tell who has what."""
    nodes = dict.fromkeys(holders.values())
    return "; ".join(f"{key} has {', '.join(title for title, one in holders.items() if one == key)}" for key in nodes)


def hand_over(access: Access, key: str, *, only_spared: bool = False) -> str:
    """Have a node hand over what it runs, `only_spared` if every call in progress goes on; return its words where it did not."""
    command = node_command("hand-over", *(["--spare"] if only_spared else []))
    answer = asyncio.run(ask_nodes(access, [access.nodes[key]], command, ANSWER_SECONDS))[key]
    if answer.problem or answer.status:
        return f"{key}: {answer.problem or (answer.errors or answer.output).strip()}"
    return ""


def wait_until_healthy(access: Access, keys: Sequence[str], moving: Sequence[str], stack: str) -> dict[str, str]:
    """Wait until the role's nodes work with what was moved; return who has what. A Failure after a while."""
    until, told = time.monotonic() + HEALTHY_SECONDS, ""
    while True:
        reports = {key: report for key, report in ask_status(access).items() if key in keys}
        holders = find_holders(reports)
        fault = describe_first(reports)
        if not fault and set(moving) <= set(holders):
            return holders
        if fault and fault != told:
            progress(f"waiting: {fault}")
        told = fault
        if time.monotonic() > until:
            raise Failure(f"It was handed over, and not everything works: {fault}\nNext: ./webitel status {stack}")
        time.sleep(PAUSE_SECONDS)
