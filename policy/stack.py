"""The plan of the stack that the engine asks about.

The pack's SDK hands no configuration on (`facts/engine.md`), so it is read where the engine reads it: in the stack's file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from components.model.problems import PlanError
from policy.planned import PlannedOpenings
from stacks.load import check
from stacks.settings import read_file


def stack_of(urn: str) -> str:
    """Return the stack of a resource: `urn:pulumi:STACK::PROJECT::TYPE::NAME`."""
    return urn.removeprefix("urn:pulumi:").partition("::")[0]


@cache
def read_openings(stack: str, folder: Path) -> PlannedOpenings:
    """Return the openings of the plan of a project's stack, or that there is none and why: then nothing may be open."""
    try:
        project = yaml.safe_load((folder / "Pulumi.yaml").read_text())
        values, problems = read_file(folder / (project.get("stackConfigDir") or "") / f"Pulumi.{stack}.yaml")
        if not values:
            return PlannedOpenings(None, f"Pulumi.{stack}.yaml has no settings of webitel:")
        return PlannedOpenings(check(values, stack, problems).plan)
    except (OSError, yaml.YAMLError, PlanError) as error:
        return PlannedOpenings(None, str(error))
