"""What the running program finds of a deployment that is up, in the stack's own state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.model.planning.standing import OUTPUT, TYPES, Resource, Standing, read_standing
from stacks.load import Deployment


def read_outputs() -> Mapping[str, Any]:
    """Return the stack's own outputs as the last finished `up` left them.

    Not by a StackReference: what it tells comes too late to refuse anything before the first resource.
    """
    told = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": find_own_name()})
    return (told.value or {}).get("outputs") or {}


def find_standing(deployment: Deployment, told: Mapping[str, Any]) -> Standing:
    """Return what stands already. Resources are looked at only where no `up` of this version has said it."""
    places, facts = told.get(OUTPUT) or {}, deployment.plan.facts
    found: Mapping[str, Any] = {}
    if TYPES not in places and facts.type_output:
        answer = pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", {"stackName": find_own_name()})
        found = (answer.value or {}).get("outputs") or {}
    resources = [Resource(one["type"], urn.rpartition("::")[2], one["outputs"] or {}) for urn, one in found.items()]
    return read_standing(places, resources, deployment.settings, facts)


def find_own_name() -> str:
    """Return the stack's whole name."""
    return f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
