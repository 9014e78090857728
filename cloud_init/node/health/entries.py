"""Entries in Consul that a program makes at its start only: put back for it, as it goes on renewing them."""

import http.client
import json
from collections.abc import Mapping

from ..ask.view import View, request
from ..manifest import Manifest, ProbeEntry
from ..report import ServiceRow
from ..system import Unhealthy


def put_back(manifest: Manifest, rows: Mapping[str, ServiceRow], view: View) -> None:
    """Make the missing entries of running services that passed every probe before that one.

    An entry that is there and does not pass is left alone: its program has stopped renewing it.
    """
    for service in manifest["services"]:
        row = rows.get(service["name"])
        probe = row["probe"] if row and "probe" in row and set(row["units"].values()) == {"active"} else None
        if probe is None or "ttl" not in probe:
            continue
        try:
            if probe["id"] in view.consul_services:
                continue
            register(probe, view)
        except Unhealthy as error:
            print(f"cannot put back the entry of {service['name']} in Consul: {error}", flush=True)
        else:
            print(f"put back the entry of {service['name']} in Consul: {probe['id']}", flush=True)


def register(probe: ProbeEntry, view: View) -> None:
    """Make the entry as its program does, passing until its next renewal is due. Raises Unhealthy with what Consul said."""
    body = {
        "Name": probe["name"],
        "ID": probe["id"],
        "Address": probe["address"],
        "Port": probe["port"],
        "Check": {
            "TTL": f"{probe['ttl']}s",
            "DeregisterCriticalServiceAfter": f"{probe['deregister']}s",
            "Status": "passing",
        },
    }
    agent, path = ("127.0.0.1", view.ports["consul_http"]), "/v1/agent/service/register"
    try:
        status, said = request(*agent, path, method="PUT", headers={"Content-Type": "application/json"}, body=json.dumps(body))
    except (OSError, http.client.HTTPException) as error:
        raise Unhealthy(f"Consul agent: {error}") from error
    if status != http.HTTPStatus.OK:
        raise Unhealthy(f"HTTP {status} {said.strip()[:200]}")
