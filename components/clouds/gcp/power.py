"""Google Cloud: `currentStatus` of an instance; started, or resumed, by the interface itself (compute v1, instances)."""

from __future__ import annotations

import os

from components.clouds.adoption import Setting, Values
from components.clouds.power import Power, Request

REST = "https://compute.googleapis.com/compute/v1"


def name_instance(id: str) -> Values:
    """Return what the function takes, of `projects/P/zones/Z/instances/N`."""
    _, project, _, zone, _, name = id.split("/")
    return {"project": project, "zone": zone, "name": name}


def start(id: str, state: str, setting: Setting) -> Request:
    """`resume` for what sleeps with its memory kept, `start` for all else."""
    base = setting("gcp:computeCustomEndpoint") or os.environ.get("GOOGLE_COMPUTE_CUSTOM_ENDPOINT") or REST
    verb = "resume" if state == "SUSPENDED" else "start"
    return Request(
        f"{base.rstrip('/')}/{id}/{verb}", {}, function="gcp:organizations/getClientConfig:getClientConfig", field="accessToken"
    )


POWER = Power(
    "gcp:compute/getInstance:getInstance",
    name_instance,
    lambda answer: str(answer["currentStatus"]),
    frozenset({"TERMINATED", "STOPPED", "STOPPING", "SUSPENDED", "SUSPENDING"}),
    start,
    frozenset({"STOPPING", "SUSPENDING"}),
)
