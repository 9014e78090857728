"""In how many days the recordings disk is full at the tier's load. The assumptions are ours and named."""

from __future__ import annotations

from components.model.catalogue.tiers import TIERS
from components.model.plan import Node, Plan

RECORDED_SHARE = 0.6
"""Share of the calls that are recorded (ours)."""

MINUTES_PER_CALL = 1.5
"""Length of a recorded call (ours; 300 at a time are 400 thousand a day of a minute each, `facts/webitel.md` 5)."""

KIB_PER_MINUTE = 120
"""A minute of recording: MP3 of 16 kbit/s (ours)."""


def recordings_gib_per_day(calls_per_day: int) -> float:
    """Return what a day's recordings take, GiB."""
    return calls_per_day * RECORDED_SHARE * MINUTES_PER_CALL * KIB_PER_MINUTE / 1024**2


def recordings_days(plan: Plan) -> dict[str, float]:
    """Return the days until a recordings disk is full at the tier's load, by name of its node; none where a share takes them."""
    if plan.share:
        return {}
    per_day = recordings_gib_per_day(TIERS[plan.tier].calls_per_day)
    return {node.name: size / per_day for node in plan.nodes if (size := recordings_gib(node))}


def recordings_gib(node: Node) -> int:
    """Return the size of a node's recordings disk, 0 = none."""
    return sum(disk.size_gib for disk in node.disks if disk.purpose == "recordings")
