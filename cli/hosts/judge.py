"""From the facts of a host and what the plan wishes of it to findings. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cli.hosts.finding import Finding
from cli.hosts.wish import Wish
from cloud_init.host.facts import Facts
from components.model.host_checks import CHECKS, NEVER_ACCEPTED
from components.model.host_limits import State


class Verdict(NamedTuple):
    """What came of a check; `remedy` in place of the check's own, where that is too general."""

    check: str
    state: State
    found: str
    wish: str = ""
    remedy: str = ""
    harmless: bool = False


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


def judge_host(wish: Wish, facts: Facts) -> list[Finding]:
    """Judge one host; the checks of several are in `across.py`."""
    from cli.hosts import judge_machine, judge_network, judge_software, judge_storage

    def verdicts() -> Iterator[Verdict]:
        for part in (judge_machine, judge_storage, judge_network, judge_software):
            yield from part.judge(wish, facts)
        for name, why in facts.problems.items():
            yield Verdict("facts", "fail", f"{name}: {why}")

    return [make_finding(verdict, wish.key, wish.host.accepts) for verdict in verdicts()]
