"""What goes between zones at the tier's load."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from components.model.catalogue.service import Front
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.catalogue.tiers import TIERS
from components.model.plan import Node
from components.model.planning.capacity import (
    DAYS_PER_MONTH,
    MINUTES_PER_CALL,
    RTP_BITS_PER_SECOND,
    recordings_gib_per_day,
)
from components.model.share import RECORDINGS

STREAMS_PER_CALL = 4
"""Between rtpengine and FreeSWITCH: both legs, both directions."""


def zone_traffic_gb(tier: str, nodes: Sequence[Node]) -> float:
    """Return what a month's calls send from one zone to another, GB: audio between rtpengine and FreeSWITCH, and recordings on
    their way to Storage. The database's and the broker's copies are left out."""
    calls = TIERS[tier].calls_per_day
    seconds = calls * MINUTES_PER_CALL * 60 * DAYS_PER_MONTH
    audio = seconds * STREAMS_PER_CALL * RTP_BITS_PER_SECOND / 8 / 1e9
    recordings = recordings_gib_per_day(calls) * DAYS_PER_MONTH * 1024**3 / 1e9
    keeps = [service.name for service in CATALOGUE.values() if any(data.disk == RECORDINGS for data in service.data)]
    return audio * share_apart(nodes, [find_front(Front.SIP).name]) + recordings * share_apart(nodes, keeps)


def share_apart(nodes: Sequence[Node], services: Collection[str]) -> float:
    """Return the share of the nodes with calls that stand in another zone than the first node with one of the services."""
    carrying = [service.name for service in CATALOGUE.values() if service.carries_calls]
    media, others = ([node for node in nodes if set(names) & set(node.services)] for names in (carrying, services))
    return sum(node.zone != others[0].zone for node in media) / len(media) if media and others else 0.0
