"""What goes between zones at the tier's load, and what the cloud takes for it. The assumptions are ours and named."""

from __future__ import annotations

from collections.abc import Collection

from components.model.catalogue.service import Front
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import load_prices
from components.model.plan import Plan
from components.model.planning.capacity import MINUTES_PER_CALL, recordings_gib_per_day
from components.model.share import RECORDINGS

KBIT_PER_STREAM = 80
"""One direction of one leg: G.711 in RTP over UDP."""

STREAMS_PER_CALL = 4
"""Between rtpengine and FreeSWITCH: both legs, both directions."""

DAYS_PER_MONTH = 30


def zone_traffic_gb(plan: Plan) -> float:
    """Return what a month's calls send from one zone to another, GB: audio between rtpengine and FreeSWITCH, and recordings on
    their way to Storage. The database's and the broker's copies are left out."""
    tier = TIERS[plan.tier]
    minutes = tier.calls_per_day * MINUTES_PER_CALL * DAYS_PER_MONTH
    audio = minutes * 60 * STREAMS_PER_CALL * KBIT_PER_STREAM * 1000 / 8 / 1e9
    recordings = recordings_gib_per_day(tier.calls_per_day) * DAYS_PER_MONTH * 1024**3 / 1e9
    keeps = [service.name for service in CATALOGUE.values() if any(data.disk == RECORDINGS for data in service.data)]
    return audio * share_apart(plan, [find_front(Front.SIP).name]) + recordings * share_apart(plan, keeps)


def share_apart(plan: Plan, services: Collection[str]) -> float:
    """Return the share of the nodes with calls that stand in another zone than the first node with one of the services."""
    carrying = [service.name for service in CATALOGUE.values() if service.carries_calls]
    media, others = ([node for node in plan.nodes if set(names) & set(node.services)] for names in (carrying, services))
    return sum(node.zone != others[0].zone for node in media) / len(media) if media and others else 0.0


def price_zone_traffic(plan: Plan) -> float | None:
    """Return its price a month; None where the cloud's price list has none of it."""
    rates = {} if plan.facts.trial else load_prices()["clouds"][plan.cloud].get("zone_traffic", {})
    price = rates.get("regions", {}).get("any", {}).get("price")
    return None if price is None else round(zone_traffic_gb(plan) * float(price), 2)
