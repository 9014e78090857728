"""What a cloud says about itself for one account: who we are there, which machine types it has where, how much we may, and
what else it would refuse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Offers:
    """The machine types offered, by value of the setting that chooses the place (`zone` or `region`).

    `current` is the value of this deployment. Types that our list does not have are left out.
    """

    setting: str
    current: str
    types: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Quota:
    """How much of something the account may have. `needed` is what this deployment still has to get.

    `used` is None where the cloud tells the limit only. `remedy` says how to get more.
    """

    name: str
    limit: float
    needed: float
    remedy: str
    used: float | None = None

    @property
    def is_enough(self) -> bool:
        """Whether the deployment can have what it needs."""
        return (self.used or 0) + self.needed <= self.limit


@dataclass(frozen=True)
class Finding:
    """Something else that a cloud told: `about` what, what was `found`, and the way on, `remedy`, "" where all is well.
    `waits`: worth knowing, and not in the way of `up`."""

    about: str
    found: str
    remedy: str = ""
    waits: bool = False
