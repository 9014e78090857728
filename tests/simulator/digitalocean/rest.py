"""DigitalOcean: what API v2 tells of networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulator.rest import Answer, Asked

VPC = "digitalocean:index/vpc:Vpc"


def _networks(asked: Asked) -> Any:
    told = [
        {
            "id": thing.id,
            "name": thing.get("name"),
            "region": thing.get("region"),
            "ip_range": thing.get("ipRange"),
            "default": bool(thing.get("default")),
        }
        for thing in asked.world.all(VPC)
    ]
    return {"vpcs": told, "links": {"pages": {}}, "meta": {"total": len(told)}}


ANSWERS: Mapping[str, Answer] = {"/v2/vpcs": _networks}
"""By the end of the call's name in `rest.json`."""
