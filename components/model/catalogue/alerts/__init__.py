"""Alert rules by the service that they watch, in files named as those of the services: the expression, for how long, how bad,
what it means for callers, where to look.

`cloud_init/bundles/alerts/` is written from here (`python -m tools.pages`), the same for every deployment: what one does not have
never fires. Each rule has its firing and its clearing series in `tests/sandbox/alert_cases.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.alert import Alert, with_figures
from components.model.catalogue.alerts import data, monitoring, node, telephony, web, webitel

BY_FILE: Mapping[str, Mapping[str, tuple[Alert, ...]]] = {
    module.__name__.rpartition(".")[2]: {name: with_figures(name, alerts) for name, alerts in module.ALERTS.items()}
    for module in (node, data, telephony, webitel, web, monitoring)
}
"""By file of the catalogue, in its order."""

ALERTS: Mapping[str, tuple[Alert, ...]] = {name: alerts for part in BY_FILE.values() for name, alerts in part.items()}
"""By service of the catalogue."""
