"""Data on disks that are part of their machines: where a hypervisor has no others it goes with them, so nothing begins that would
delete such a machine unless its data may go."""

from __future__ import annotations

from collections.abc import Collection

from cli.console import Failure
from components.model.plan import Plan


def refuse_losing_data(plan: Plan, holding: Collection[str], done: str, instead: str) -> None:
    """Raise a Failure where what is `done` would delete machines of these nodes, which have data; `instead` is what can be."""
    if holding and plan.facts.disks_in_machine:
        raise Failure(
            f"{', '.join(holding)}: data is on disks of {'its own machine' if len(holding) == 1 else 'their own machines'}, and "
            f"{plan.facts.title} has no way to keep them without: {done} would delete it. Nothing was changed.\n"
            f"Next: {instead} (docs/operate/{plan.facts.name}.md)"
        )
