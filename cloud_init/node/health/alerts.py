"""The alerts that fire, by this node's Prometheus."""

import http.client
from collections.abc import Mapping

from ..ask.view import fetch_json
from ..manifest import Manifest
from ..report import AlertRow

PROMETHEUS = "prometheus"
PATH = "/api/v1/alerts"
FIRING, HEARTBEAT = "firing", "heartbeat"
ORDER = ("critical", "warning")


def list_firing(manifest: Manifest) -> list[AlertRow] | None:
    """List them, the worst and oldest first; None where this node has no Prometheus, or it does not answer: its probe says so."""
    for service in manifest["services"]:
        for probe in service["probes"] if service["name"] == PROMETHEUS else ():
            try:
                found = fetch_json(probe["address"], probe["port"], PATH)["data"]["alerts"]
            except (OSError, http.client.HTTPException, ValueError, KeyError):
                return None
            rows = [describe(alert["labels"], alert["annotations"], alert["activeAt"]) for alert in found if fires(alert)]
            return sorted(rows, key=lambda row: (row["severity"] not in ORDER[:1], row["since"]))
    return None


def fires(alert: Mapping[str, object]) -> bool:
    """Tell whether an alert has lasted long enough, and is not the one that always does."""
    labels = alert["labels"]
    return alert["state"] == FIRING and isinstance(labels, dict) and labels.get("severity") != HEARTBEAT


def describe(labels: Mapping[str, str], annotations: Mapping[str, str], since: str) -> AlertRow:
    """Make the row of an alert; what a probe said is added to what the alert means."""
    why = annotations.get("why", "")
    return {
        "name": labels.get("alertname", ""),
        "severity": labels.get("severity", ""),
        "node": labels.get("node", ""),
        "service": labels.get("service", ""),
        "since": f"{since[:19]}Z",
        "means": annotations.get("means", "") + (f" ({why})" if why else ""),
        "look": annotations.get("look", ""),
    }
