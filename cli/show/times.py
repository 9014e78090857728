"""How long a rollout took, by node and stage."""

from __future__ import annotations

import re

from cli.console import format_duration, out
from cli.engine.events import Row, is_same_step
from cli.engine.rollout import Run
from components.model.plan import Plan

STAGES = (
    ("boot", re.compile("")),
    ("packages", re.compile(r"package|install|unpack|download", re.IGNORECASE)),
    ("services", re.compile(r"^((start|restart|reload|refresh|drain) |waiting for (?!SSH|cloud-init|package))")),
)
"""What a node's steps are part of, in their order; a stage once reached is not left backwards."""
TOTAL = "total"


def show_times(run: Run, plan: Plan) -> None:
    """Print one line a node that was worked on, with the time it took by stage."""
    changed = {operation: count for operation, count in run.rollout.changes.items() if operation not in ("same", "read")}
    if not changed:
        out.print("Nothing to change.")
        return
    width = max(len(node.name) for node in plan.nodes)
    measured = measure_nodes(run, plan)
    for name, seconds in measured.items():
        stages = "  ".join(f"{stage} {format_duration(spent)}" for stage, spent in seconds.items() if stage != TOTAL)
        out.print(f" {name:<{width}}  healthy in {format_duration(seconds[TOTAL])}   {stages}")
    if step := find_slowest_step(run, plan):
        out.print(f" slowest step: {step}")


def find_slowest_step(run: Run, plan: Plan) -> str:
    """Return the step of a node that took longest, with node and time; steps that differ in figures only are one."""
    found: list[tuple[float, str, str]] = []
    for row in (run.rollout.rows[node.name] for node in plan.nodes if node.name in run.rollout.rows):
        start, name = row.started, row.steps[0][1]
        for when, text in [*row.steps[1:], (row.ended or run.ended, "")]:
            if not is_same_step(name, text):
                found.append((when - start, row.name, name))
                start, name = when, text
    seconds, node, text = max(found, default=(0.0, "", ""))
    return f"{node} {text.splitlines()[0]}, {format_duration(seconds)}" if seconds >= 1 else ""


def measure_nodes(run: Run, plan: Plan) -> dict[str, dict[str, float]]:
    """Return by name of a node that was worked on: the seconds in all until everything was healthy, and by stage."""
    rows = [run.rollout.rows[node.name] for node in plan.nodes if node.name in run.rollout.rows]
    return {row.name: {TOTAL: run.ended - row.started, **dict(measure_stages(row, run.ended))} for row in rows}


def measure_stages(row: Row, ended: float) -> list[tuple[str, float]]:
    """Return the seconds a node spent in each stage, the ones it never reached left out."""
    seconds = [0.0] * len(STAGES)
    stage = 0
    ends = [*(when for when, _ in row.steps[1:]), ended]
    for (when, text), end in zip(row.steps, ends, strict=True):
        stage = max(index for index, (_, pattern) in enumerate(STAGES) if index <= stage or pattern.search(text))
        seconds[stage] += end - when
    return [(name, spent) for (name, _), spent in zip(STAGES, seconds, strict=True) if spent >= 0.5]
