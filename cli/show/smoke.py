"""What the smoke test found, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from cli.console import format_count, format_duration, make_table, out
from cli.smoke.check import Row

SHOWN_TARGETS = 1
"""Lines of one check that pass: the table is read for what does not."""


def show_smoke(rows: Sequence[Row], seconds: float) -> None:
    """Print a line for each check that passes, each question that fails, and what could not be asked; then the sum."""
    table = make_table("check", "target", "state", "found")
    for name in dict.fromkeys(row.check for row in rows):
        mine = [row for row in rows if row.check == name]
        well = [row for row in mine if row.state == "pass"]
        if len(well) > SHOWN_TARGETS and all(row.found.startswith("HTTP") for row in well):
            table.add_row(name, f"{len(well)} paths", "pass", describe_times(well))
        else:
            for row in well:
                table.add_row(name, row.target, "pass", row.found)
        for row in mine:
            if row.state == "fail":
                table.add_row(name, row.target, "fail", row.found, style="red")
        for row in mine:
            if row.state == "skipped" and not (well and row.found == "takes nothing but web sockets"):
                table.add_row(name, row.target, "skipped", row.found, style="dim")
    out.print(table)
    failed = [row for row in rows if row.state == "fail"]
    for remedy in dict.fromkeys(f"{row.check}: {row.remedy}" for row in failed):
        out.print(f"Next, {remedy}.")
    asked = [row for row in rows if row.state != "skipped"]
    out.print(f"{len(asked) - len(failed)} of {format_count(len(asked), 'question')} passed in {format_duration(seconds)}.")


def describe_times(rows: Sequence[Row]) -> str:
    """Return how long answers took."""
    times = sorted(row.figures["ms"] for row in rows if "ms" in row.figures)
    return f"answered in {times[len(times) // 2]:.0f} ms, the slowest in {times[-1]:.0f} ms" if times else "answered"
