"""Reading the real things again: all of them but those whose provider may never answer."""

from __future__ import annotations

from cli.console import progress
from cli.engine.backend import ROOT
from cli.engine.engine import Engine
from components.clouds.registry import load_ways
from components.model.plan import Plan


def leave_unread(plan: Plan) -> list[str]:
    """Return the arguments by which the engine's `refresh` leaves out what is not read again on that cloud."""
    types = [type for type, way in load_ways().items() if way.unread and type.startswith(f"{plan.facts.package}:")]
    return [word for type in types for word in ("--exclude", f"**{type}::*")]


def read_before(engine: Engine, plan: Plan) -> list[str]:
    """Return the arguments by which `up` reads everything first. `up` would not update what it is told to leave out: where there
    is such, everything else is read here, and nothing is left to be read."""
    if not (left_out := leave_unread(plan)):
        return ["--refresh"]
    progress("Reading what there is.")
    # In the checkout, where the project's own provider is.
    config = ("--config-file", str(engine.config_file))
    engine.run("refresh", "--yes", "--skip-preview", "--suppress-outputs", *config, *left_out, folder=ROOT)
    return []
