"""Google Cloud: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, offers, read_facts
from tests.simulator.call import Account
from tests.simulator.gcp import buckets
from tests.simulator.gcp.resources import BILLING_ACCOUNT, CHANNEL
from tests.simulator.lookups import Lookups

PLACES = ("europe-west3-a", "europe-west3-b", "europe-west3-c")
"""Zones."""

LOOKUPS = Lookups(
    names={
        "gcp:compute": ("Network", "Subnetwork", "Router", "RouterNat", "Address", "Instance", "Disk", "ResourcePolicy"),
    },
    nothing="{name} not found",
)


def _get_project(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {
        "projectId": _project(account),
        "number": "1",
        "id": f"projects/{_project(account)}",
        "billingAccount": BILLING_ACCOUNT,
    }


def _get_channel(account: Account, arguments: Properties) -> Properties:
    for thing in account.world.all(CHANNEL):
        if all(thing.inputs.get(name) == value for name, value in arguments.items() if name in ("displayName", "type", "labels")):
            return {**arguments, "id": thing.id, "name": thing.id}
    raise ProviderError("No NotificationChannel found using filter")


def _project(account: Account) -> str:
    # The real provider also takes it from the environment.
    return str(account.settings.get("project") or "simulated")


def _zones(account: Account, arguments: Properties) -> Properties:
    names = [zone for zone in offers(account, "gcp", PLACES) if zone.startswith(arguments["region"])]
    return {**arguments, "id": "zones", "names": names}


def _types(account: Account, arguments: Properties) -> Properties:
    names = [*offers(account, "gcp", PLACES)[arguments["zone"]], "e2-micro"]
    return {**arguments, "id": arguments["zone"], "machineTypes": [{"name": name} for name in names]}


def _client(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {
        "accessToken": "ya29.simulated",
        "project": _project(account),
        "id": "client",
        "region": "",
        "zone": "",
        "defaultLabels": {},
    }


def _families(account: Account, arguments: Properties) -> Properties:
    """Limits by family, in a project that has the interface enabled: it is no part of a new one."""
    limits = read_facts(account).get("families")
    if limits is None:
        raise ProviderError("googleapi: Error 403: Cloud Quotas API has not been used in project 1 before or it is disabled.")
    if arguments["quotaId"] != "CPUS-PER-VM-FAMILY-per-project-region" or arguments["service"] != "compute.googleapis.com":
        raise ProviderError(f"googleapi: Error 404: {arguments['quotaId']}")
    region = PLACES[0].rpartition("-")[0]
    return {
        **arguments,
        "id": arguments["quotaId"],
        "dimensions": ["region", "vm_family"],
        "dimensionsInfos": [
            {"applicableLocations": [region], "details": [{"value": "0"}], "dimensions": {}},
            *(
                {
                    "applicableLocations": [region],
                    "details": [{"value": str(limit)}],
                    "dimensions": {"region": region, "vm_family": family},
                }
                for family, limit in limits.items()
            ),
        ],
    }


def _bucket(account: Account, arguments: Properties) -> Properties:
    """Tells of a bucket of this account, and of another one's only that it is there (`facts/backups.md` 5.2)."""
    name = arguments["name"]
    if name in buckets.TAKEN:
        raise ProviderError(
            "googleapi: Error 403: you do not have storage.buckets.get access to the Google Cloud Storage bucket., forbidden"
        )
    found = account.world.find(buckets.BUCKET, name)
    if not found:
        raise ProviderError("googleapi: Error 404: The specified bucket does not exist., notFound")
    return {**arguments, "id": name, "location": found.get("location"), "url": found.get("url")}


FUNCTIONS: Mapping[str, Function] = {
    **LOOKUPS.make_functions(),
    "gcp:organizations/getProject:getProject": _get_project,
    "gcp:monitoring/getNotificationChannel:getNotificationChannel": _get_channel,
    "gcp:organizations/getClientConfig:getClientConfig": _client,
    "gcp:compute/getZones:getZones": _zones,
    "gcp:storage/getBucket:getBucket": _bucket,
    "gcp:cloudquota/getSQuotaInfo:getSQuotaInfo": _families,
    "gcp:compute/getMachineTypes:getMachineTypes": _types,
}
"""By token."""
