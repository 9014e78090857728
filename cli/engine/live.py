"""Showing a rollout: live lines on a terminal, one line a changed step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from cli.console import err, format_duration
from cli.engine.events import Rollout, Row, without_figures
from tools.host.pace import Pace

STEP_WIDTH = 90


class Display:
    """Shows the rows of a rollout; `update` after every event that gave a row a new step."""

    def __init__(self, rollout: Rollout, live: Live | None) -> None:
        self.rollout = rollout
        self.live = live
        self.started = time.time()
        self.paces: dict[str, Pace] = {}

    def update(self, row: Row | None) -> None:
        """Show a row's new step at once, and every ten seconds how far it is: one that comes back, between others, too."""
        if self.live or row is None:
            return
        step = row.step.splitlines()[0]
        if self.paces.setdefault(row.name, Pace(err.print)).is_due(without_figures(step), step):
            elapsed = format_duration(time.time() - self.started)
            err.print(f" {elapsed:>7}  {row.name}  {step}")

    def tick(self) -> None:
        """Show that time goes on."""
        if self.live:
            self.live.update(draw(self.rollout), refresh=True)


@contextmanager
def display(rollout: Rollout, live: bool) -> Iterator[Display]:
    """Open a display for the length of a run."""
    if not live:
        yield Display(rollout, None)
        return
    # At the terminal's true width: a wrapped line would break the picture.
    with Live(
        draw(rollout), console=Console(highlight=False, markup=False, emoji=False), auto_refresh=False, transient=True
    ) as view:
        yield Display(rollout, view)


def draw(rollout: Rollout) -> Table:
    """Return one line a row: name, time, step."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=STEP_WIDTH)
    now = time.time()
    if not rollout.rows:
        table.add_row("starting the engine", "", "")
    for row in rollout.rows.values():
        step = "failed" if row.failed else f"done: {row.step}" if row.ended else row.step
        table.add_row(
            row.name,
            format_duration(row.seconds(now)),
            step.splitlines()[0],
            style="red" if row.failed else "dim" if row.ended else None,
        )
    return table
