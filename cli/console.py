"""What every command shares: the two streams, its kind of error, and how figures are written."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import IO, Annotated, cast

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table

COLUMNS = 110
"""Where there is no terminal."""
PADDING = re.compile(r"(?: |\x1b\[[0-9;]*m)+$", re.MULTILINE)
"""Blanks at the end of a line, and codes of colour between them."""


class Trimmed:
    """Standard output of this moment, with no blanks at the ends of lines: Rich fills the cells of its tables."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        """Write a text without them."""
        return sys.stdout.write(PADDING.sub(lambda found: found[0].replace(" ", ""), text))

    def flush(self) -> None:
        """Pass on what was written."""
        sys.stdout.flush()

    def isatty(self) -> bool:
        """Return whether a person watches."""
        return sys.stdout.isatty()

    def fileno(self) -> int:
        """Return the descriptor, by which Rich looks up a terminal's size."""
        return sys.stdout.fileno()


# Neither markup nor emoji: names and values are shown as they are written (`webitel:cloud: x` is no cloud).
out = Console(
    highlight=False,
    markup=False,
    emoji=False,
    file=cast(IO[str], Trimmed()),
    width=shutil.get_terminal_size().columns if sys.stdout.isatty() else COLUMNS,
)
# A line of an error is searched for and copied as a whole: where it is too long, the terminal wraps it.
err = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)

DEFAULT_STACK = "local-single"
StackName = Annotated[str, typer.Argument(metavar="[STACK]", show_default=True, help="The deployment.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output instead.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]

Ask = Annotated[bool, typer.Option("--ask/--no-ask", help="Ask the cloud first what it would refuse.")]


class Failure(Exception):
    """Ends the command with exit status 1; the message is all the user sees."""


def explain_file(error: OSError) -> str:
    """Say what this machine refused, with the file; no setting of a deployment can be at fault."""
    named = error.filename2 or error.filename
    if not isinstance(named, str | bytes):
        return f"this machine refuses: {error.strerror or error}"
    path = os.fsdecode(named)
    text = f"{path}: {error.strerror}."
    if isinstance(error, PermissionError) and Path(path).is_relative_to(Path.home()):
        text += f" If it is left from a run as root: sudo chown -R $(id -un) {path}"
    return text


def make_table(*titles: str, right: Collection[str] = (), header: bool = True) -> Table:
    """Return a table with these columns, those of `right` flush right. What does not fit is wrapped, never cut."""
    table = Table(box=None, padding=(0, 1), header_style="bold", show_header=header)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    return table


def measure_width(table: Table) -> int:
    """Return the columns that a table takes with nothing wrapped."""
    return Measurement.get(out, out.options.update_width(10 * COLUMNS), table).maximum


def is_terminal() -> bool:
    """Return whether a person watches and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def print_item(text: str) -> None:
    """Print a line of a list, set in by two columns in all its lines."""
    out.print(Padding(text, (0, 0, 0, 2)))


def progress(text: str) -> None:
    """Print a line of progress on stderr, so that `--json` stays clean."""
    err.print(text)


def format_duration(seconds: float) -> str:
    """Return such as `9s`, `1m 12s`, `2h 5m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    return f"{whole // 3600}h {whole % 3600 // 60}m"


def format_count(number: int, one: str, many: str = "") -> str:
    """Return such as `1 node`, `3 nodes`."""
    return f"{number} {one if number == 1 else many or one + 's'}"
