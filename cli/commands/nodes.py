"""`logs` and `ssh`: on one node."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from cli.console import Failure, err, out
from cli.help import LOOK
from cli.nodes.names import NodeName, StackOption, stack_of

LOG_SECONDS = 60


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=LOOK)(logs)
    app.command(rich_help_panel=LOOK)(ssh)


def logs(
    node: NodeName,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="One service; all of the node by default.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=100_000, help="How many lines.")] = 100,
    stack: StackOption = "",
) -> None:
    """Show the last log lines of a node's services."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import ask_nodes, read_access
    from cloud_init.node_command import node_command

    with open_engine(stack or stack_of(node)) as engine:
        access = read_access(engine)
    target = access.node(node)
    command = node_command("logs", "--lines", str(lines), *([service] if service else []))
    answer = asyncio.run(ask_nodes(access, [target], command, LOG_SECONDS))[target.key]
    if answer.problem:
        raise Failure(f"{target.key}: {answer.problem}")
    out.print(answer.output, end="", soft_wrap=True)
    if answer.status:
        err.print(answer.errors, end="")
        raise typer.Exit(1)


def ssh(
    node: NodeName = "",
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- COMMAND]", help="Run this instead of a shell.")] = None,
    stack: StackOption = "",
) -> None:
    """Open a shell on a node, or run a command there."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.shell import run_ssh

    with open_engine(stack or stack_of(node)) as engine:
        access = read_access(engine)
    if not node and len(access.nodes) > 1:
        raise Failure(f"which node? {', '.join(access.nodes)}")
    target = access.node(node or next(iter(access.nodes)))
    raise typer.Exit(run_ssh(access, target, command or []))
