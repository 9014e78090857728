"""What containers on one host really need, against what it has. All figures are measured, on `basic` and `extended`."""

from __future__ import annotations

from collections.abc import Iterable

from components.model.plan import Node

MEMORY_SHARE = 0.5
"""Of a node's limit, what it takes with all its services healthy and its files in the cache: 0.33 to 0.47 were seen."""

DISK_GIB_PER_NODE = 0.6
"""Written by a node until it is healthy, beside the image that all share: 0.2 to 0.4 were seen."""


def explain_shortage(nodes: Iterable[Node], memory_gib: float, disk_gib: float) -> str:
    """Return what the host lacks for nodes that it does not run yet, with what it has free; "" = nothing."""
    new = list(nodes)
    wanted = {"memory": sum(node.machine_type.memory_gib for node in new) * MEMORY_SHARE, "disk": len(new) * DISK_GIB_PER_NODE}
    lacks = [
        f"{wanted[what] - has:.1f} GiB of {what} ({wanted[what]:.1f} wanted, {has:.1f} free)"
        for what, has in (("memory", memory_gib), ("disk", disk_gib))
        if wanted[what] > has
    ]
    number = f"{len(new)} more {'node' if len(new) == 1 else 'nodes'}"
    return f"this machine lacks {' and '.join(lacks)} for {number}" if lacks else ""
