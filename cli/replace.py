"""`replace`: a node's machine made anew, its data disks and addresses kept, every other node untouched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import Failure, is_terminal, progress
from cli.nodes_commands import NodeName, StackOption, stack_of
from cli.scale import GROUP, name_of
from cli.up import Yes, bring_up
from components.model.planner import make_plan
from stacks.settings import load_stack

if TYPE_CHECKING:
    from cli.nodes import Access

ANSWER_SECONDS = 60


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(replace)


def replace(
    node: NodeName,
    stack: StackOption = "",
    yes: Yes = False,
    disruptive: Annotated[bool, typer.Option(help="Do not wait for the end of calls on the node.")] = False,
) -> None:
    """Make a node's machine anew: for one that is lost or broken. Its data disks are kept."""
    from cli.engine import open_engine, require_existing
    from cli.nodes import read_access

    stack = stack or stack_of(node)
    settings = load_stack(stack)
    try:
        target = make_plan(settings, stack).node(node)
    except KeyError as error:
        raise Failure(str(error.args[0])) from error
    if not yes:
        if not is_terminal():
            raise Failure(f"this would delete and make anew the machine of {target.key}; say so with --yes")
        typer.confirm(f"Delete the machine of {target.key} and make it anew?", abort=True)
    with open_engine(stack) as engine:
        require_existing(engine)
        urn = next((resource.get("outputs", {}).get("machine", "") for resource in engine.resources()
                    if resource["type"] == GROUP and name_of(resource["urn"]) == target.key), "")
        access = read_access(engine)
    if not urn:
        raise Failure(f"{target.key} has no machine yet. Next: ./webitel up {stack}")
    if not disruptive and target.key in access.nodes:
        drain(access, target.key, settings.drain_timeout)
    bring_up(stack, True, disruptive=disruptive, arguments=["--replace", urn],
             again=f"./webitel up {stack}")


def drain(access: Access, key: str, seconds: int) -> None:
    """Wait until no call runs on the node; one that does not answer has none to lose."""
    from cli.nodes import ask_nodes, node_command

    progress(f"{key}: letting calls end, at most {seconds} s (webitel:drain_timeout; --disruptive does not wait)")
    answer = asyncio.run(ask_nodes(access, [access.nodes[key]], node_command("drain"), seconds + ANSWER_SECONDS))[key]
    if answer.problem:
        progress(f"{key} does not answer ({answer.problem}): nothing to wait for")
    elif answer.status:
        raise Failure(f"{key}: {(answer.errors or answer.output).strip()}")
