"""What a check of a given host found."""

from __future__ import annotations

from dataclasses import dataclass

from components.model.host_limits import State

ACROSS = "all hosts"
"""In place of a host's key where a finding is about several."""


@dataclass(frozen=True)
class Finding:
    """`wish` is what would pass, `remedy` how to come to it, "" where nothing is to be done. `mends`: `--apply` does it.
    `accepted`: it would stand in the way of `up`, and the owner has taken it upon himself."""

    host: str
    check: str
    state: State
    found: str
    wish: str
    remedy: str = ""
    mends: bool = False
    accepted: bool = False
