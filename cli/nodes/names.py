"""How a node is named on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import DEFAULT_STACK
from stacks.settings import list_stacks

StackOption = Annotated[str, typer.Option("--stack", "-s", help="The deployment, if NODE does not name it.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="edge-1, or the whole name: aws-basic-edge-1.")]


def stack_of(node: str) -> str:
    """Return the stack whose name a whole node name begins with, the longest that fits; else the default one."""
    fitting = [stack for stack in list_stacks() if node.startswith(f"{stack}-")]
    return max(fitting, key=len, default=DEFAULT_STACK)
