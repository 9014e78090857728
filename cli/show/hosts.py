"""What the check of given hosts found, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from cli.console import format_count, make_table, out
from cli.hosts.finding import Finding

STYLES = {"pass": None, "warn": "yellow", "fail": "red"}


def show_hosts(findings: Sequence[Finding], *, everything: bool) -> None:
    """Print what is not as wished, or everything; then a remedy for each, and the sum by host."""
    table = make_table("state", "host", "check", "found", "wished for")
    shown = [one for one in findings if everything or one.state != "pass"]
    for one in shown:
        table.add_row(one.state, one.host, one.check, one.found, one.wish, style=STYLES[one.state])
    if shown:
        out.print(table)
    for remedy in dict.fromkeys(f"{one.check}: {one.remedy}" for one in shown if one.remedy):
        out.print(remedy)
    for host in dict.fromkeys(one.host for one in findings):
        mine = [one for one in findings if one.host == host]
        passed = sum(one.state == "pass" for one in mine)
        out.print(f"{host}: {passed} of {format_count(len(mine), 'check')} passed")
