"""Google Cloud: what compute v1 tells of quotas, disks and names, Resource Manager of constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.simulator.account import facts_of
from tests.simulator.rest import Answer, Asked

USUAL = {"INSTANCES": 2000.0, "CPUS_ALL_REGIONS": 512.0, "FIREWALLS": 100.0, "NETWORKS": 5.0, "STATIC_ADDRESSES": 8.0}
IN_REGION = ("INSTANCES", "STATIC_ADDRESSES")
DISKS = ("pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced")
FAMILIES = {"debian-12": "bookworm", "debian-13": "trixie"}


def _quotas(asked: Asked, names: tuple[str, ...]) -> dict[str, Any]:
    limits = {**USUAL, **facts_of(asked.world, "gcp")["limits"]}
    # What is left over from the types is a region's: families and disks, of those that the test speaks of.
    more = [name for name in limits if name not in USUAL] if names == IN_REGION else []
    return {"quotas": [{"metric": name, "limit": float(limits[name]), "usage": 0.0} for name in (*names, *more)]}


def _project(asked: Asked) -> Any:
    return _quotas(asked, tuple(name for name in USUAL if name not in IN_REGION))


def _region(asked: Asked) -> Any:
    return _quotas(asked, IN_REGION)


def _disks(asked: Asked) -> Any:
    withdrawn = facts_of(asked.world, "gcp")["withdrawn"]
    zone = asked.part("zones")
    return {"items": [{"name": name} for name in DISKS if zone not in withdrawn.get(name, ())]}


def _instances(asked: Asked) -> Any:
    found = [thing.get("name") for thing in asked.world.all("gcp:compute/instance:Instance")]
    # A list without items has no field for them.
    return {"kind": "compute#instanceList", **({"items": [{"name": name} for name in found]} if found else {})}


def _networks(asked: Asked) -> Any:
    found = [thing.get("name") for thing in asked.world.all("gcp:compute/network:Network")]
    return {"kind": "compute#networkList", "items": [{"name": name} for name in ("default", *found)]}


def _image(asked: Asked) -> Any:
    family = asked.part("family")
    return {"name": f"{family}-{FAMILIES[family]}-v20261110"} if family in FAMILIES else None


def _constraint(asked: Asked) -> Any:
    told = facts_of(asked.world, "gcp").get("constraints", {})
    return {"constraint": asked.body["constraint"], **told.get(asked.body["constraint"], {})}


ANSWERS: Mapping[str, Answer] = {
    "/regions/[^/]+": _region,
    "/diskTypes": _disks,
    "/instances": _instances,
    "/global/networks": _networks,
    "/family/[^/]+": _image,
    ":getEffectiveOrgPolicy": _constraint,
    "/compute/v1/projects/[^/]+": _project,
}
"""By the end of the call's name in `rest.json`."""
