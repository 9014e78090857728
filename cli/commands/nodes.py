"""`logs` and `ssh`: on one node, and the logs of all of them in the order of time."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import Failure
from cli.help import LOOK
from cli.nodes.names import NodeName, StackOption, stack_of

EVERY_NODE = "all"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=LOOK)(logs)
    app.command(rich_help_panel=LOOK)(ssh)


def logs(
    node: Annotated[
        str, typer.Argument(metavar="NODE", help="edge-1, or the whole name: aws-basic-edge-1; `all` for every node, by time.")
    ] = EVERY_NODE,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="One service; every one by default.")] = "",
    lines: Annotated[int, typer.Option(min=1, max=100_000, help="How many lines of a node.")] = 100,
    since: Annotated[str, typer.Option(metavar="TIME", help="30s, 10m, 2h, 1d ago, or '2026-01-31 12:00' of the nodes.")] = "",
    grep: Annotated[str, typer.Option(metavar="PATTERN", help="Only lines that match this regular expression.")] = "",
    call: Annotated[
        str, typer.Option(metavar="CALL_ID", help="Only lines of this call, by its Call-ID and the identifiers beside it.")
    ] = "",
    stack: StackOption = "",
) -> None:
    """Show the last log lines of a node's services, or of every node's in the order of time."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.journal import Asked, read_since, show_call, show_every, show_one

    if call and grep:
        raise Failure("--call and --grep: one of them")
    asked = Asked(service, lines, read_since(since), grep)
    with open_engine(stack or stack_of(node)) as engine:
        access = read_access(engine)
    if node == EVERY_NODE:
        nodes = list(access.nodes.values())
        raise typer.Exit(show_call(access, nodes, asked, call) if call else show_every(access, nodes, asked))
    target = access.node(node)
    if call:
        raise typer.Exit(show_call(access, [target], asked, call))
    # With a pattern journalctl begins with the newest line.
    raise typer.Exit(show_every(access, [target], asked) if grep else show_one(access, target, asked))


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
