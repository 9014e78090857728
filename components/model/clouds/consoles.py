"""The way to a machine that needs no network of its own: a cloud's console."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Console:
    """`way`: what is opened. `before`: what has to be done while the node can still be reached. `without`: the way in where that
    was not done. `page`: the vendor's own words (`facts/real-clouds.md` B22)."""

    way: str
    before: str
    without: str
    page: str
