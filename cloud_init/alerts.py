"""Alert rules of the catalogue as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cloud_init.compose import dump_yaml
from components.model.catalogue.alert import Alert, Severity
from components.model.catalogue.alerts import ALERTS
from components.model.catalogue.services import CATALOGUE

RULES = Path(__file__).parent / "bundles" / "alerts" / "rules.yml"

HEAD = "# Written from components/model/catalogue/alerts.py by `python -m tools.pages`.\n"

WHY = (
    '{{ range query (printf "webitel_probe_success{service=%q,node=%q} == 0" $labels.service $labels.node) }}'
    "{{ .Labels.says }}{{ end }}"
)
"""What the probe that fails says: a template of Prometheus."""


def render_rules(alerts: Mapping[str, tuple[Alert, ...]] = ALERTS) -> str:
    """Render the file of rules: a group a service, in the catalogue's order."""
    groups = [
        {"name": name, "rules": [describe_rule(name, alert) for alert in alerts[name]]} for name in CATALOGUE if name in alerts
    ]
    return HEAD + dump_yaml({"groups": groups})


def describe_rule(service: str, alert: Alert) -> dict[str, object]:
    """Return one rule. `means` is read by who is woken, `look` typed by him."""
    annotations = {"means": alert.means, "look": alert.look}
    if alert.expression.startswith("webitel_service_healthy"):
        annotations["why"] = WHY
    labels = {"severity": alert.severity.value}
    if alert.severity is not Severity.HEARTBEAT:
        labels["service"] = service
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": f"{alert.seconds}s",
        "labels": labels,
        "annotations": annotations,
    }
