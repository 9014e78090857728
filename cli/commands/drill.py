"""`drill`: break a deployment on purpose, under load, and say what it cost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_STACK, AsJson, Failure, StackName, Yes, is_terminal, make_table, out, progress
from cli.help import DAY_TWO
from cli.show.documents import drill_document, print_document
from cli.show.plot import count_by_step, draw_timeline
from components.model.plan import Plan
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.drills.faults import Power
    from cli.drills.run import Choose, Outcome, Timeline


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(drill)


def drill(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="One drill; without it, they are listed.")] = "",
    stack: StackName = DEFAULT_STACK,
    everything: Annotated[bool, typer.Option("--all", help="Run every drill in turn; the only argument is the stack.")] = False,
    short: Annotated[bool, typer.Option("--short", help="Run what the tests run; the only argument is the stack.")] = False,
    command: Annotated[
        str,
        typer.Option("--run", metavar="COMMAND", help="Run this change instead, such as './webitel scale data 3 STACK --yes'."),
    ] = "",
    times: Annotated[int, typer.Option(min=1, help="How often to run each.")] = 1,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw what was acknowledged over time (SVG), a file a drill.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Break a deployment on purpose, under load, and report what it cost. It interrupts real work."""
    if (everything or short or command) and name:
        name, stack = "", name

    from cli.drills.run import read_leaders, run_drill
    from cli.drills.table import SHORT, list_drills, make_change
    from cli.engine.engine import open_engine
    from cli.nodes.access import Access, read_access

    def look() -> tuple[Access, Plan]:
        plan = load_deployment(stack).plan
        with open_engine(stack) as engine:
            return read_access(engine), plan

    access, plan = look()
    power = make_power(plan)
    known = list_drills(plan, asyncio.run(read_leaders(access, plan)), power)
    if not (name or everything or short or command):
        for one in known.values():
            out.print(f"{one.name:<22} {one.says}")
        out.print(f"Next: ./webitel drill {next(iter(known))} {stack}   ./webitel drill --all {stack}")
        return
    if name and name not in known:
        raise Failure(f"no drill {name} on {stack}; the drills are {', '.join(known)}")
    chosen = [one for one in (name, command) if one] or [one for one in known if everything or one in SHORT]
    if not yes:
        if not is_terminal():
            raise Failure("a drill breaks things on purpose; confirm with --yes")
        typer.confirm(f"{', '.join(chosen)} on {stack}: what runs there is interrupted. Continue?", abort=True)

    def choose(one: str) -> Choose:
        return lambda drills: make_change(command) if command else drills[one]

    def note(drill: str, timeline: Timeline) -> None:
        if plot:
            draw(plot if times * len(chosen) == 1 else name_plot(plot, drill), stack, drill, timeline)

    outcomes = [asyncio.run(run_drill(look, choose(one), power, progress, note)) for _ in range(times) for one in chosen]
    if as_json:
        print_document(drill_document(outcomes))
    else:
        show(outcomes)
    raise typer.Exit(0 if outcomes and all(outcome.is_good for outcome in outcomes) else 1)


def name_plot(plot: Path, drill: str) -> Path:
    """Name the picture of one of several drills; none of an earlier run is lost."""
    names = (plot.with_stem(f"{plot.stem}-{drill}{more}") for more in ("", *(f"-{number}" for number in range(2, 1000))))
    return next(path for path in names if not path.exists())


def draw(file: Path, stack: str, drill: str, timeline: Timeline) -> None:
    """Draw what was acknowledged in each tenth of a second."""
    series = {
        f"{kind}s acknowledged": count_by_step(moments, timeline.begun, timeline.ended)
        for kind, moments in timeline.acknowledged.items()
    }
    marks = {name: moment - timeline.begun for name, moment in timeline.marks.items()}
    file.write_text(draw_timeline(f"{stack}: {drill}", series, marks))
    progress(f"Drawn: {file}")


def make_power(plan: Plan) -> Power | None:
    """Return how a machine's power is taken away, where machines are containers of this host."""
    if not plan.facts.trial:
        return None
    from tools.incus import api

    def switch(name: str, on: bool) -> None:
        api.change_state(name, "start" if on else "stop", force=not on)

    return switch


def show(outcomes: list[Outcome]) -> None:
    """Print one line a drill."""
    figures = (
        "rows: write gap, seconds",
        "messages: write gap, seconds",
        "acknowledged",
        "of them when cut off",
        "lost",
        "calls dropped",
        "seconds to rejoin",
        "seconds to full health",
    )
    table = make_table("drill", "node", *figures, "named by status", "help needed", right=figures)
    for one in outcomes:
        pairs = [f"{values.get('row', 0)} + {values.get('message', 0)}" for values in (one.acknowledged, one.isolated)]
        lost = sum(map(len, one.lost.values()))
        gaps = [f"{one.gaps[kind]:.1f}" if kind in one.gaps else "not seen" for kind in ("row", "message")]
        table.add_row(
            one.drill,
            one.target,
            *gaps,
            *pairs,
            str(lost),
            f"{one.dropped} of {one.calls}",
            f"{one.rejoined:.0f}",
            f"{one.healthy:.0f}",
            one.named or "-",
            one.help or "none",
            style=None if one.is_good else "red",
        )
    out.print(table)
