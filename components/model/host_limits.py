"""Figures by which given hosts are judged; whose they are stands with the checks (`host_checks.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["pass", "warn", "fail"]

VENDOR = "vendor"
OURS = "ours"
DEBIAN = "Debian"

RELEASE, ARCHITECTURE = "debian 12", "amd64"
KERNEL, SYSTEMD, PYTHON = (6, 1), 252, (3, 11)
WANTED_CONNECTIONS = 262_144


@dataclass(frozen=True)
class Limit:
    """A figure passes below `warns` and is refused from `fails` on; the other way round where more is better."""

    warns: float
    fails: float
    unit: str
    more_is_better: bool = False

    def judge(self, value: float) -> State:
        """Judge a figure."""
        if self.more_is_better:
            return "pass" if value >= self.warns else "warn" if value > self.fails else "fail"
        return "pass" if value < self.warns else "warn" if value < self.fails else "fail"

    @property
    def words(self) -> tuple[str, str, str]:
        """Return what passes, warns and fails."""
        if self.more_is_better:
            return f"at least {self.warns:g} {self.unit}", "less", f"{self.fails:g} {self.unit} or less"
        return f"below {self.warns:g} {self.unit}", "more", f"{self.fails:g} {self.unit} or more"


STEAL = Limit(0.5, 2, "%")
SYNC = Limit(2, 10, "ms")
OTHER_SYNC = Limit(10, 50, "ms")
CLOCK = Limit(10, 100, "ms")
ROUND_TRIP = Limit(2, 10, "ms")
LOST = Limit(0.01, 0.1, "%")
JITTER = Limit(1, 5, "ms")
MEMORY_SHARE = Limit(92, 85, "% of the tier's", more_is_better=True)
"""A kernel keeps some of what was bought for itself."""
FREE_SHARE, LEAST_FREE_GIB = 80, 10
DROPPED_SHARE = 0.001
LEAST_MEGABITS = 1000
MHZ = 2400
