"""`state backup` and `state restore`: what the engine knows of a deployment, kept where the deployment is not."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, format_count, is_terminal, out
from cli.engine.engine import STACK_TYPE
from cli.help import DAY_TWO
from stacks.load import load_deployment

commands = typer.Typer(no_args_is_help=True, help="Save and restore what the engine knows of a deployment.")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(commands, name="state", rich_help_panel=DAY_TWO)


@commands.command()
def backup(
    stack: StackName = DEFAULT_STACK,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file to write, which must not exist; by default named after stack and time."),
    ] = None,
) -> None:
    """Write the deployment's state into a file; secrets in it stay encrypted."""
    from cli.engine.engine import open_engine, require_existing

    load_deployment(stack)
    target = file or Path(f"{stack}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.state.json")
    with open_engine(stack) as engine:
        require_existing(engine)
        text = engine.run("stack", "export")
    try:
        # Nobody else reads it: addresses and names of all machines stand in it in the clear.
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
            written.write(text)
    except OSError as error:
        raise Failure(
            f"{target} cannot be written: {error.strerror}; name a new file: ./webitel state backup {stack} FILE"
        ) from error
    out.print(
        f"{target}: {format_count(count(json.loads(text)), 'resource')} of {stack}. Its secrets open only with the "
        "passphrase (or key) of this deployment: keep that apart from it."
    )
    out.print(f"Next: ./webitel state restore {stack} {target}")


@commands.command()
def restore(
    stack: Annotated[str, typer.Argument(metavar="STACK", help="The deployment.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What state backup wrote.")],
    yes: Yes = False,
) -> None:
    """Restore a saved state where the state was lost or is broken. Changes made since it was saved are unknown afterwards."""
    from cli.engine.engine import open_engine

    load_deployment(stack)
    saved = read_backup(file, stack)
    with open_engine(stack) as engine:
        there = engine.exists()
        known = count(engine.export()) if there else 0
        what = f"replace {format_count(known, 'known resource')} of {stack} by {count(saved)} saved ones"
        if not yes:
            if not is_terminal():
                raise Failure(f"this would {what}; confirm with --yes")
            typer.confirm(f"{what.capitalize()}?", abort=True)
        if not there:
            engine.create()
        engine.run("stack", "import", stdin=json.dumps(saved))
    out.print(f"{stack} has the state saved in {file}. Next: ./webitel up {stack}")


def read_backup(file: Path, stack: str) -> dict[str, Any]:
    """Return the state in a file; a Failure where it is none, or another deployment's."""
    try:
        saved: dict[str, Any] = json.loads(file.read_text())
        names = [one["urn"].split(":")[2] for one in saved["deployment"].get("resources", [])]
    except OSError as error:
        raise Failure(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise Failure(f"{file} is not a saved state; use a file that ./webitel state backup {stack} wrote") from error
    if others := sorted({name for name in names if name != stack}):
        raise Failure(f"{file} is the state of {', '.join(others)}, not of {stack}: ./webitel state restore {others[0]} {file}")
    return saved


def count(state: dict[str, Any]) -> int:
    """Return how many resources a state has, the stack itself left out."""
    return sum(one["type"] != STACK_TYPE for one in state["deployment"].get("resources", []))
