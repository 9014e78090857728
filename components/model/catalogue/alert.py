"""What an alert rule says, and short ways to say it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`CRITICAL` wakes somebody: calls, or what was acknowledged, are being lost or about to be. `WARNING` waits for the morning.
    `HEARTBEAT` always fires: whoever expects it alarms when it stays away."""

    CRITICAL = "critical"
    WARNING = "warning"
    HEARTBEAT = "heartbeat"


@dataclass(frozen=True)
class Alert:
    """One rule. `expression` is PromQL, `seconds` how long it must hold, `means` what it is for callers, `look` the command that
    shows more; both may name `{{ $labels.node }}`."""

    name: str
    expression: str
    seconds: int
    severity: Severity
    means: str
    look: str = "./webitel status"


DOWN_SECONDS = 120
"""Longer than a restart and the watcher's first remedy."""


def down(service: str, severity: Severity, means: str) -> Alert:
    """Return the rule for a service that does not do its work: a unit is dead, or a probe fails."""
    name = "".join(word.capitalize() for word in service.replace("_", "-").split("-"))
    return Alert(
        f"{name}Down",
        f'webitel_service_healthy{{service="{service}"}} == 0',
        DOWN_SECONDS,
        severity,
        means,
        f"./webitel logs {{{{ $labels.node }}}} {service}",
    )


def critical(name: str, expression: str, seconds: int, means: str, look: str = "./webitel status") -> Alert:
    """Return a rule that wakes somebody."""
    return Alert(name, expression, seconds, Severity.CRITICAL, means, look)


def warning(name: str, expression: str, seconds: int, means: str, look: str = "./webitel status") -> Alert:
    """Return a rule that waits for the morning."""
    return Alert(name, expression, seconds, Severity.WARNING, means, look)


def logs(service: str) -> str:
    """Return the command that shows a service's log on the node of the alert."""
    return f"./webitel logs {{{{ $labels.node }}}} {service}"
