"""Before anything is changed on a given host: `up` refuses those that are not fit, `doctor` says the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from cli.cloud.check import Check, RefusedError
from cli.console import format_count, progress
from cli.engine.events import name_of
from cli.hosts.check import How, check_hosts
from cli.hosts.finding import Finding
from components.model.given_hosts import ACCEPT, Host
from components.model.plan import Plan
from components.model.planning.hosts import find_host
from components.model.settings import Settings


def refuse_unfit_hosts(plan: Plan, settings: Settings, met: Collection[str]) -> None:
    """Raise a RefusedError with everything that is in the way on hosts that no `up` has met yet; `met` are the keys of the
    others. Changes nothing."""
    new = [node.key for node in plan.nodes if node.key not in met]
    if not plan.facts.given or not new:
        return
    progress(f"Looking at {format_count(len(new), 'host')} before anything is changed there.")
    findings = check_hosts(plan, settings, How(only=new), progress)
    for one in findings:
        if one.state == "warn":
            progress(f"  {one.host}: {one.check}: {one.found}")
    if failed := [one for one in findings if one.state == "fail"]:
        lines = "\n".join(f"  {one.host}: {one.check}: {one.found}; {one.remedy}" for one in failed)
        raise RefusedError(
            f"{format_count(len(failed), 'thing')} on the hosts {'is' if len(failed) == 1 else 'are'} in the way. Nothing was "
            f"changed.\n{lines}\nEverything that was looked at: ./webitel hosts check {plan.stack}"
        )


def find_met(resources: Sequence[Mapping[str, Any]], plan: Plan, settings: Settings) -> list[str]:
    """Return the keys of the nodes whose host an `up` has taken: one that has another host key now, or with any accepted
    another address, is another host."""
    mine = [one for one in resources if one["type"] == plan.facts.machine_resource and not one.get("delete")]
    made = {name_of(one["urn"]): one["inputs"] for one in mine}
    return [node.key for node in plan.nodes if is_same(find_host(settings, node.role, node.n), made.get(node.key))]


def is_same(host: Host, taken: Mapping[str, Any] | None) -> bool:
    """Tell whether a host is the one that was taken (as `provider/given_host.py` does)."""
    if taken is None:
        return False
    if host.host_key == ACCEPT:
        return bool(taken["address"] == host.address)
    return bool(taken["host_key"].split()[:2] == host.host_key.split()[:2])


def check_given(plan: Plan, settings: Settings) -> Iterator[Check]:
    """Check the hosts for `doctor`: a line for each, and one for whatever is wrong with it."""
    from cli.hosts.keys import find_keys

    findings = check_hosts(plan, settings, How(find_keys=lambda: find_keys(plan.stack)), progress)
    for host in dict.fromkeys(one.host for one in findings):
        mine = [one for one in findings if one.host == host]
        yield Check(host, f"{sum(one.state == 'pass' for one in mine)} of {format_count(len(mine), 'check')} passed")
        yield from (as_check(one) for one in mine if one.state != "pass")


def as_check(finding: Finding) -> Check:
    """Return a finding as `doctor` tells it."""
    return Check(f"{finding.host} {finding.check}", finding.found, finding.remedy, waits=finding.state == "warn")
