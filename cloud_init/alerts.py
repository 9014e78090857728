"""Alert rules of the catalogue as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cloud_init.compose import dump_yaml
from components.model.catalogue.alert import Alert, Severity
from components.model.catalogue.alerts import BY_FILE

FOLDER = Path(__file__).parent / "bundles" / "alerts"

HEAD = "# Written from components/model/catalogue/alerts/ by `python -m tools.pages`.\n"

WHY = (
    '{{ range query (printf "webitel_probe_success{service=%q,node=%q} == 0" $labels.service $labels.node) }}'
    "{{ .Labels.says }}{{ end }}"
)
"""What the probe that fails says: a template of Prometheus."""


def render_files() -> dict[str, str]:
    """Render the files of rules by name, as the catalogue has its services in files."""
    return {f"{name}.yml": render_rules(alerts) for name, alerts in BY_FILE.items()}


def write_rules() -> None:
    """Write the files anew."""
    for name, text in render_files().items():
        (FOLDER / name).write_text(text)


def render_rules(alerts: Mapping[str, tuple[Alert, ...]]) -> str:
    """Render a file of rules: a group a service."""
    groups = [{"name": name, "rules": [describe_rule(name, alert) for alert in rules]} for name, rules in alerts.items()]
    return HEAD + dump_yaml({"groups": groups})


def describe_rule(service: str, alert: Alert) -> dict[str, object]:
    """Return one rule. `means` is read by who is woken, `look` typed by him."""
    annotations = {"means": alert.means, "look": alert.look}
    if alert.name.endswith("Down"):
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
