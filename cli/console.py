"""What every command shares: the two streams, its kind of error, and how figures are written."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer
from rich.console import Console

# Rich cuts cells to fit; a line that a narrow terminal wraps, or that a file takes whole, says more.
NARROWEST, IN_A_FILE = 120, 250
out = Console(highlight=False, markup=False,
              width=max(shutil.get_terminal_size().columns, NARROWEST) if sys.stdout.isatty() else IN_A_FILE)
err = Console(highlight=False, markup=False, soft_wrap=True, stderr=True)

DEFAULT_STACK = "local-single"
StackName = Annotated[str, typer.Argument(metavar="[STACK]", show_default=True, help="The deployment.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Failure(Exception):
    """Ends the command with exit status 1; the message is all the user sees."""


def is_terminal() -> bool:
    """Whether a person watches and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def progress(text: str) -> None:
    """A line of progress on stderr, so that `--json` stays clean."""
    err.print(text)


def format_duration(seconds: float) -> str:
    """`9s`, `1m 12s`, `2h 5m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    return f"{whole // 3600}h {whole % 3600 // 60}m"


def format_count(number: int, one: str, many: str = "") -> str:
    """`1 node`, `3 nodes`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
