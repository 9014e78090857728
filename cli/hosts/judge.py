"""From the facts of a host and what the plan wishes of it to findings. Pure: nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator

from cli.hosts import judge_machine, judge_network, judge_software, judge_storage
from cli.hosts.finding import Finding, Verdict, make_finding
from cli.hosts.wish import Wish
from cloud_init.host.facts import Facts


def judge_host(wish: Wish, facts: Facts) -> list[Finding]:
    """Judge one host; the checks of several are in `across.py`."""

    def verdicts() -> Iterator[Verdict]:
        for part in (judge_machine, judge_storage, judge_network, judge_software):
            yield from part.judge(wish, facts)
        for name, why in facts.problems.items():
            yield Verdict("facts", "fail", f"{name}: {why}")

    return [make_finding(verdict, wish.key, wish.host.accepts) for verdict in verdicts()]
