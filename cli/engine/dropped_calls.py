"""What `up` would do to calls in progress, found before anything is changed.

The provider refuses it too, but node by node: when it comes to OpenSIPS, firewalls and the nodes in front have changed already,
and a web that counts on the new OpenSIPS would wait for it until somebody says `--disruptive`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.console import progress
from cli.engine.engine import Engine
from cli.engine.rollout import report_failure, run_engine
from cloud_init.compose import compose_configuration
from components.model import resource_types
from components.model.dropped_calls import (
    ANNOUNCED,
    HANDED_OVER,
    ONCE_HANDED_OVER,
    UNLESS_ALLOWED,
    find_dropped_calls,
    find_handed_over,
)
from components.model.plan import Plan
from sandbox import build
from stacks.load import Deployment


@dataclass(frozen=True)
class Effects:
    """What happens to calls in progress by the name of the node: what ends some (`dropped`), and what goes on elsewhere first
    (`handed`)."""

    dropped: dict[str, str] = field(default_factory=dict)
    handed: dict[str, str] = field(default_factory=dict)


def look_at_calls(resources: Sequence[Mapping[str, Any]], deployment: Deployment) -> Effects:
    """Return what happens to calls on the nodes that the state says are configured."""
    plan, settings = deployment.plan, deployment.settings
    known = {one["inputs"]["node"]: one for one in resources if one["type"] == resource_types.CONFIGURATION}
    found = Effects()
    secrets: Mapping[str, Any] = next((one for one in resources if one["type"] == resource_types.SECRETS), {})
    made = secrets.get("outputs", {}).get("generations", {})
    rotated = [name for name, generation in settings.rotate.items() if generation > made.get(name, 1)]
    for node in plan.nodes:
        before = known.get(node.name)
        if before is None or not before.get("outputs", {}).get("configured"):
            continue
        new = compose_configuration(plan, node, settings, build)
        wanted = {"files": new.files, "attributes": new.attributes, "manifest": new.manifest, "bundles": new.bundles}
        if dropped := find_dropped_calls(before["inputs"], wanted, rotated):
            found.dropped[node.name] = dropped
        if handed := find_handed_over(before["inputs"], wanted, rotated):
            found.handed[node.name] = handed
    return found


def preview_calls(engine: Engine, plan: Plan, arguments: Sequence[str], again: Callable[[], str]) -> Effects:
    """Return the same of a run with these arguments, by a preview: it knows which machines are to be new ones, without calls,
    and what a refresh finds. A Failure where it fails; `again` is the command that is then to be run again."""
    progress("Checking whether calls in progress would suffer.")
    run = run_engine(engine, plan.nodes, "preview", *arguments)
    if run.status:
        report_failure(run, again(), plan)
    found = Effects()
    for warning in run.rollout.warnings:
        if warning.text.startswith(ANNOUNCED):
            found.dropped[warning.name] = warning.text.removeprefix(ANNOUNCED).removesuffix(UNLESS_ALLOWED)
        if warning.text.startswith(HANDED_OVER):
            found.handed[warning.name] = warning.text.removeprefix(HANDED_OVER).removesuffix(ONCE_HANDED_OVER)
    return found
