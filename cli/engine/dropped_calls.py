"""What `up` would do to calls in progress, found before anything is changed.

The provider refuses it too, but node by node: when it comes to OpenSIPS, firewalls and the nodes in front have changed already,
and a web that counts on the new OpenSIPS would wait for it until somebody says `--disruptive`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cloud_init.compose import compose_configuration
from components.model import resource_types
from components.model.dropped_calls import find_dropped_calls
from sandbox import build
from stacks.load import Deployment


def list_dropped_calls(resources: Sequence[Mapping[str, Any]], deployment: Deployment) -> dict[str, str]:
    """Return what happens to calls in progress by the name of the node, of those that the state says are configured."""
    plan, settings = deployment.plan, deployment.settings
    known = {one["inputs"]["node"]: one for one in resources if one["type"] == resource_types.CONFIGURATION}
    found = {}
    for node in plan.nodes:
        before = known.get(node.name)
        if before is None or not before.get("outputs", {}).get("configured"):
            continue
        new = compose_configuration(plan, node, settings, build)
        wanted = {"files": new.files, "attributes": new.attributes, "manifest": new.manifest, "bundles": new.bundles}
        if dropped := find_dropped_calls(before["inputs"], wanted):
            found[node.name] = dropped
    return found
