"""What an alert rule says, and short ways to say it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`CRITICAL` wakes somebody: calls, or what was acknowledged, are being lost or about to be. `WARNING` waits for the morning.
    `HEARTBEAT` always fires: whoever expects it alarms when it stays away."""

    CRITICAL = "critical"
    WARNING = "warning"
    HEARTBEAT = "heartbeat"


MINUTE, HOUR, DAY = 60, 3600, 86400
C, W = Severity.CRITICAL, Severity.WARNING

STACK = "{{ $externalLabels.deployment }}"
"""The deployment, which commands have to name: the rules are the same for all."""
NODE = f"{STACK}-{{{{ $labels.node }}}}"
"""The whole name of the alert's node, which tells a command the deployment too."""
STATUS = f"./webitel status {STACK}"


@dataclass(frozen=True)
class Alert:
    """One rule. `expression` is PromQL, `seconds` how long it must hold, `means` what it is for callers, `look` the command that
    shows more; both are templates of Prometheus."""

    name: str
    expression: str
    seconds: int
    severity: Severity
    means: str
    look: str = STATUS


DOWN_SECONDS = 120
"""Longer than a restart and the watcher's first remedy."""


def camel(service: str) -> str:
    """Return a service's name as an alert's begins with it."""
    return "".join(word.capitalize() for word in service.replace("_", "-").split("-"))


def down(service: str, severity: Severity, means: str, does_it: str = "") -> Alert:
    """Return the rule for a service that does not do its work: a unit is dead, or a probe fails. `does_it`: the service whose
    units do that work, where it has none of its own."""
    expression = f'webitel_service_healthy{{service="{service}"}} == 0'
    return Alert(f"{camel(service)}Down", expression, DOWN_SECONDS, severity, means, logs(does_it or service))


def critical(name: str, expression: str, seconds: int, means: str, look: str = STATUS) -> Alert:
    """Return a rule that wakes somebody."""
    return Alert(name, expression, seconds, Severity.CRITICAL, means, look)


def warning(name: str, expression: str, seconds: int, means: str, look: str = STATUS) -> Alert:
    """Return a rule that waits for the morning."""
    return Alert(name, expression, seconds, Severity.WARNING, means, look)


def logs(service: str) -> str:
    """Return the command that shows a service's log on the node of the alert."""
    return f"./webitel logs {NODE} {service}"


OWN_FIGURE = re.compile(r"\bwebitel_(?:database|rtpengine|opensips|freeswitch)_\w+")
"""What the node program asks a service for (`cloud_init/node/health/`)."""
JOB_FIGURE = re.compile(r"\b(?:alertmanager|haproxy|node(?!_textfile)|patroni|prometheus|rabbitmq)_\w+")
"""What Prometheus asks a service for. Of the node program's file a rule of its own says that it is missing."""
UNKNOWN = "It works, but not all of its figures are there: alerts that are made of them cannot ring."


def with_figures(service: str, alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
    """Return a service's rules, and those that ring where figures which they are made of are not there: what is compared with
    nothing is silent."""
    return (*alerts, *watch_figures(service, [alert.expression for alert in alerts]))


def watch_figures(service: str, expressions: list[str]) -> Iterator[Alert]:
    """Yield a rule for what the node program gives, and one for what the service itself does."""
    works = (
        f'webitel_service_healthy{{service="{service}"}} == 1'
        f' unless on (node) (webitel_service_standby{{service="{service}"}} == 1)'
    )
    for name, given, pattern in (
        ("FiguresUnknown", works, OWN_FIGURE),
        ("AnswersUnknown", f'up{{job="{service}"}} == 1', JOB_FIGURE),
    ):
        figures = sorted({figure for expression in expressions for figure in pattern.findall(expression)})
        if figures:
            found = f'count by (node) (count by (node, __name__) ({{__name__=~"{"|".join(figures)}"}})) == {len(figures)}'
            yield warning(f"{camel(service)}{name}", f"{given} unless on (node) ({found})", 10 * MINUTE, UNKNOWN, logs(service))
