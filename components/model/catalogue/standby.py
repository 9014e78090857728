"""What runs on two nodes for SIP in turn, and how the catalogue has it then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from components.model.catalogue.service import OnChange, Placement, Probe, Service, tcp

ADDRESS = "sip-address"
"""The service that has the address, and by whose lock all others of these move."""

FOLLOWING = ("rtpengine", "opensips", "webitel-uac", "sip-websocket")
"""What runs where the address is."""

WITH_ADDRESS = {"rtpengine": ("rtp",), "opensips": ("sip", "sip-tcp", "sip-tls", "inner")}
"""Listeners that are on the address, not on the node's own."""

COPIED = Probe("redis_copy", "Redis does not copy the other node's calls: they would end with that node", restart_cures=False)
"""It may be the other node's Redis that is down. Then this one has the only copy, in memory, and a restart would empty it."""


def take_turns(catalogue: Mapping[str, Service], *, alone: bool = False) -> Mapping[str, Service]:
    """Return the catalogue with all of these moving by one lock, and calls copied from Redis to Redis; `alone`: there is one node
    for them so far."""
    address = replace(catalogue[ADDRESS], placement=Placement.ROLE, moves=True, locked_alone=True)
    following = {
        name: replace(catalogue[name], moves=True, moves_with=ADDRESS, has_standby=True, locked_alone=True) for name in FOLLOWING
    }
    if alone:
        return {**catalogue, ADDRESS: address, **following}
    redis = catalogue["redis"]
    copied = replace(
        redis,
        listeners=(*redis.listeners, tcp("copy", redis.listener("calls").port, authenticated=False)),
        calls=(*redis.calls, "redis.copy"),
        probes=(*redis.probes, COPIED),
    )
    return {**catalogue, ADDRESS: address, **following, "redis": copied}


def hands_over_first(service: Service) -> bool:
    """Tell whether the other node gets the calls before this service restarts for a change: not where no call is lost by its
    restart, which is silent for less than a hand-over."""
    return bool(service.moves_with and service.drops_calls) and service.on_new_version is OnChange.RESTART
