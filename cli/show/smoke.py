"""What the smoke test found, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from cli.console import format_count, format_duration, make_table, out
from cli.show.plot import STEP_SECONDS, draw_timeline
from cli.smoke.check import Row
from cli.smoke.load import Outcome, quantile

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


def show_load(outcome: Outcome) -> None:
    """Print what a load came to."""
    figures = make_table("figure", "value", header=False)
    figures.add_row("calls at a time", f"{outcome.calls} of {outcome.wanted}")
    figures.add_row("answered within, median", f"{quantile(outcome.set_ups, 0.5)} ms")
    figures.add_row("answered within, 99th percentile", f"{quantile(outcome.set_ups, 0.99)} ms")
    figures.add_row("packets heard and lost", f"{outcome.received} and {outcome.lost}")
    figures.add_row("MOS", f"{outcome.mos:.2f}")
    for name, cores in outcome.cores.items():
        told = f"{outcome.calls / cores:.0f} (it used {cores:.2f} cores)" if cores > 0 else "not known: no node told what it used"
        figures.add_row(f"calls a core, {name}", told)
    out.print(figures)
    out.print(f"Ended early: {outcome.ended}." if outcome.ended else "Nothing was lost.")


def plot_load(outcome: Outcome, stack: str) -> str:
    """Draw calls and lost packets over time."""
    end = outcome.moments[-1][0] if outcome.moments else 0.0
    steps = [index * STEP_SECONDS for index in range(round(end / STEP_SECONDS) + 1)]

    def at(moment: float, what: int) -> float:
        return float(max((one[what] for one in outcome.moments if one[0] <= moment), default=0))

    series = {"calls at a time": [at(moment, 1) for moment in steps], "packets lost so far": [at(moment, 2) for moment in steps]}
    title = f"{stack}: {outcome.calls} of {outcome.wanted} calls, {outcome.lost} packets lost, MOS {outcome.mos:.2f}"
    return draw_timeline(title, series, {outcome.ended: end} if outcome.ended else {})
