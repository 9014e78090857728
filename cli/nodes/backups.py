"""What the nodes say of backups: one of them leads the database and answers for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.console import Failure
from components.model.backup import read_bucket
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Access

ASK_SECONDS = 240
"""For the bucket's answers."""


def open_database(stack: str) -> tuple[Access, list[str]]:
    """Return the way to the nodes and the keys of those that have the database. A Failure where nothing backs them up."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access

    deployment = load_deployment(stack)
    if read_bucket(deployment.settings, deployment.plan.facts) is None:
        raise Failure(
            f"{stack} has no backups: set webitel:backup.url, webitel:backup_key and webitel:backup_secret\n"
            f"How: docs/operate/backups.md   Then: ./webitel up {stack}"
        )
    with open_engine(stack) as engine:
        access = read_access(engine)
    return access, [node.key for node in deployment.plan.nodes_with("postgresql") if node.key in access.nodes]


def ask_each(access: Access, keys: Sequence[str], command: str, seconds: float) -> Mapping[str, str]:
    """Run a command on these nodes and return what each printed. A Failure with what the first said that could not do it."""
    return asyncio.run(ask_all(access, keys, command, seconds))


async def ask_all(access: Access, keys: Sequence[str], command: str, seconds: float, text: str = "") -> Mapping[str, str]:
    """As `ask_each`, among other calls; the command reads `text`."""
    found, problems = await ask_some(access, keys, command, seconds, text)
    if problems:
        raise Failure("\n".join(f"{key}: {why}" for key, why in problems.items()))
    return found


async def ask_some(
    access: Access, keys: Sequence[str], command: str, seconds: float, text: str = ""
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Run a command, which reads `text`, on these nodes; what each printed, and why the others could not do it."""
    from cli.nodes import access as nodes_access
    from cli.nodes.journal import explain

    answers = await nodes_access.ask_nodes(access, [access.nodes[key] for key in keys], command, seconds, text)
    problems = {
        key: answer.problem or read_error(answer.output) or explain(answer.errors).strip() or "no answer"
        for key, answer in answers.items()
        if answer.problem or answer.status
    }
    return {key: answer.output for key, answer in answers.items() if key not in problems}, problems


def read_error(output: str) -> str:
    """Return the error in the last line that was printed, or that line where it is no document."""
    last = (output.strip().splitlines() or [""])[-1]
    try:
        found = json.loads(last)
    except ValueError:
        return last
    return str(found.get("error", "")) if isinstance(found, dict) else ""


def ask_kept(access: Access, keys: Sequence[str]) -> tuple[str, Mapping[str, Any]]:
    """Return the key of the node that leads the database and what it says can be restored."""
    from cloud_init.node_command import node_command

    said, problems = asyncio.run(ask_some(access, keys, node_command("backups"), ASK_SECONDS))
    for key, output in said.items():
        found = json.loads(output)
        if found["stanza"]:
            return key, found
    # Another member that is down says nothing of what there is.
    raise Failure(
        "\n".join([*(f"{key}: {why}" for key, why in problems.items()), "no node leads the database. Next: ./webitel status"])
    )


def show_time(seconds: float) -> str:
    """Return a time as `--at` takes it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S+00")
