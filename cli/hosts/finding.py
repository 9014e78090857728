"""What a check of a given host found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from components.model.host_checks import CHECKS, NEVER_ACCEPTED
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


class Verdict(NamedTuple):
    """What came of a check; `remedy` in place of the check's own, where that is too general."""

    check: str
    state: State
    found: str
    wish: str = ""
    remedy: str = ""


def make_finding(verdict: Verdict, host: str, accepts: tuple[str, ...] = ()) -> Finding:
    """Make a finding of a verdict: what the owner takes upon himself is worth a look and no longer in the way."""
    check = CHECKS[verdict.check]
    accepted = verdict.state == "fail" and verdict.check in accepts and verdict.check not in NEVER_ACCEPTED
    state: State = "warn" if accepted else verdict.state
    bad = state != "pass"
    return Finding(
        host,
        verdict.check,
        state,
        verdict.found,
        verdict.wish or check.passes,
        (verdict.remedy or check.remedy) if bad else "",
        mends=bad and bool(check.mends),
        accepted=accepted,
    )
