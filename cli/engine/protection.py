"""The protection from deletion that a cloud itself keeps beside Pulumi's own."""

from __future__ import annotations

from collections.abc import Sequence

from cli.engine.engine import Engine, set_for_this_run
from cli.engine.rollout import report_failure, run_engine
from components.model.plan import Plan

GUARD = "deleteProtection"
"""The input by which a cloud refuses a deletion, and which its provider leaves alone at one (Hetzner's)."""


def lift_protection(engine: Engine, plan: Plan, again: str, urns: Sequence[str]) -> None:
    """Have the cloud let these be deleted: by an update of their own, before anything is touched that would not come back.

    Machines of versions before this one have such a guard as well, and the program takes it away in any case.
    """
    wanted = set(urns)
    guarded = [one["urn"] for one in engine.resources() if one["urn"] in wanted and (one.get("inputs") or {}).get(GUARD)]
    if not guarded:
        return
    set_for_this_run(engine, "release_data", "true")
    targets = [word for urn in guarded for word in ("--target", urn)]
    report_failure(run_engine(engine, plan.nodes, "up", *targets), again, plan)
