"""One thing that `doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass

from cli.console import Failure


class RefusedError(Failure):
    """What the cloud would refuse, told before anything was created."""


@dataclass(frozen=True)
class Check:
    """`mend` says what to do about it, empty where it is good. `waits`: not in the way of `up`."""

    name: str
    found: str
    mend: str = ""
    waits: bool = False

    @property
    def state(self) -> str:
        """Return `ok`, `note` or `MISSING`."""
        return "ok" if not self.mend else "note" if self.waits else "MISSING"
