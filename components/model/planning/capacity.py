"""What the tier's load makes of disks and traffic. The assumptions are ours and named."""

from __future__ import annotations

from components.model.catalogue.tiers import TIERS
from components.model.plan import Node, Plan

RECORDED_SHARE = 0.6
"""Share of the calls that are recorded (ours)."""

MINUTES_PER_CALL = 1.5
"""Length of a recorded call (ours; 300 at a time are 400 thousand a day of a minute each, `facts/webitel.md` 5)."""

RTP_BITS_PER_SECOND = 80_000
"""A direction of a call's audio with its headers: G.711 in packets of 20 ms."""

OUTER_LEGS = 2
"""Of a call: each sends audio out of the deployment, to the carrier and to the agent."""

DAYS_PER_MONTH = 30

NAT_GIB_PER_NODE = 10
"""A month of packages and updates through the NAT gateway (ours); speech services and web hooks are not in it."""

KIB_PER_MINUTE = 120
"""A minute of recording: MP3 of 16 kbit/s (ours)."""


def recordings_gib_per_day(calls_per_day: int) -> float:
    """Return what a day's recordings take, GiB."""
    return calls_per_day * RECORDED_SHARE * MINUTES_PER_CALL * KIB_PER_MINUTE / 1024**2


def traffic_gib_per_month(calls_per_day: int) -> float:
    """Return how much audio leaves for the internet in a month, GiB; signalling and web pages are little beside it."""
    seconds = calls_per_day * MINUTES_PER_CALL * 60 * DAYS_PER_MONTH
    return seconds * OUTER_LEGS * RTP_BITS_PER_SECOND / 8 / 1024**3


def recordings_days(plan: Plan) -> dict[str, float]:
    """Return the days until a recordings disk is full at the tier's load, by name of its node; none where a share takes them."""
    if plan.share:
        return {}
    per_day = recordings_gib_per_day(TIERS[plan.tier].calls_per_day)
    return {node.name: size / per_day for node in plan.nodes if (size := recordings_gib(node))}


def recordings_gib(node: Node) -> int:
    """Return the size of a node's recordings disk, 0 = none."""
    return sum(disk.size_gib for disk in node.disks if disk.purpose == "recordings")
