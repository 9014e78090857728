"""What is up and stays where it is, as the state tells it, and the settings that have to say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.engine.engine import STACK_TYPE, Engine
from cli.engine.events import name_of
from components.model.planning.standing import OUTPUT, SETTINGS, Resource, keep_standing, read_standing
from stacks.load import Deployment


def find_unwritten(engine: Engine, deployment: Deployment) -> Mapping[str, Any]:
    """Return the settings that the stack file lacks for everything to stay where it is, each with its value, None where it is to
    be taken out."""
    settings, facts = deployment.settings, deployment.plan.facts
    if not (facts.type_output or facts.zones):
        return {}
    found = engine.export()["deployment"].get("resources", [])
    told = next((one.get("outputs") or {} for one in found if one["type"] == STACK_TYPE), {}).get(OUTPUT) or {}
    resources = [
        Resource(one["type"], name_of(one["urn"]), one.get("outputs") or {})
        for one in found
        if not one.get("delete")
        and (one["type"] in facts.zone_outputs or one["type"] in (facts.machine_resource, facts.subnet_output[0]))
    ]
    if not resources:
        return {}
    kept = keep_standing(settings, facts, read_standing(told, resources, settings, facts))
    changed = [name for name in SETTINGS if getattr(kept, name) != getattr(settings, name)]
    return {name: as_written(getattr(kept, name)) for name in changed}


def as_written(value: Any) -> Any:
    """Return a value of a setting as a stack file has it; nothing for an empty one."""
    return list(value) or None if isinstance(value, tuple) else value if value is False else value or None
