"""Two nodes that take turns, and a change of what has calls: who stands by is changed first, then it gets the calls, and
the other one is changed. Nothing is remembered: run again, it goes on from who has the calls and what each node was given."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cli.console import Failure, progress
from cli.engine.engine import Engine
from cli.engine.rollout import report_failure, run_engine, with_leave
from cli.nodes.access import Access, read_access
from cli.nodes.handing_over import PAUSE_SECONDS, UNKNOWN, find_holders, hand_over, tell, wait_until_healthy
from cli.nodes.reports import ask_status
from components.model import resource_types
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import ADDRESS
from components.model.dropped_calls import COST
from components.model.report import NodeReport, describe_first

if TYPE_CHECKING:
    from components.model.plan import Plan

READY_SECONDS = 120.0
"""For the node that stands by to be healthy after its change, a copy of all calls included."""
TITLE = CATALOGUE[ADDRESS].title


def change_standby_first(
    engine: Engine,
    plan: Plan,
    handed: Mapping[str, str],
    arguments: Sequence[str],
    again: Callable[[], str],
    *,
    disruptive: bool,
) -> bool:
    """Change everything but the node that has the calls, and have it hand over; tell whether the engine has run. `handed`: by
    name of a node, what would restart there. Raises a Failure where the calls cannot be handed over, before anything is changed
    where they are; `disruptive` goes on without."""
    access, keys = read_access(engine), [node.key for node in plan.nodes_with(ADDRESS)]
    reports = ask(access, keys)
    holder = find_holders(reports).get(TITLE, "")
    if not holder:
        why = f"it is unknown which of {' and '.join(keys)} has the calls: {describe_first(reports) or 'neither says so'}"
        if disruptive:
            progress(f"Nothing is handed over: {why}")
            return False
        raise Failure(
            f"Nothing was changed: {why}\nNext: ./webitel status {plan.stack}; {with_leave(again())} changes both where they are"
        )
    if plan.node(holder).name not in handed:
        return False
    others = " and ".join(key for key in keys if key != holder)
    progress(f"{others} first: {holder} has the calls, and {handed[plan.node(holder).name]} changes")
    run = run_engine(engine, plan.nodes, "up", *arguments, *leave_out(engine, plan.node(holder).name))
    report_failure(run, with_leave(again()) if disruptive else again(), plan)
    if why := await_standby(access, keys, holder) or try_hand_over(access, holder, others, only_spared=not disruptive):
        if disruptive or UNKNOWN in why:
            # It is asked to again as it is changed, by the new program (`cloud_init/node/apply/spare.py`).
            progress(f"Not handed over: {why}")
            return True
        raise Failure(
            f"{holder} has the calls and was left as it is: {why}\n"
            f"Next: ./webitel status {plan.stack}, then {again()}; {with_leave(again())} does not wait"
        )
    holders = wait_until_healthy(access, keys, [TITLE], plan.stack)
    progress(f"{tell({TITLE: holders[TITLE]})}; now {holder}")
    return True


def ask(access: Access, keys: Sequence[str]) -> dict[str, NodeReport]:
    """Ask some nodes how they are."""
    return {key: report for key, report in ask_status(access).items() if key in keys}


def leave_out(engine: Engine, name: str) -> list[str]:
    """Return arguments that leave out a node's configuration, and the look whether all are healthy, which is for the end."""
    resources = [one for one in engine.resources() if not one.get("delete")]
    urns = [
        one["urn"]
        for one in resources
        if one["type"] == resource_types.HEALTH or (one["type"] == resource_types.CONFIGURATION and one["inputs"]["node"] == name)
    ]
    return [word for urn in urns for word in ("--exclude", urn)]


def await_standby(access: Access, keys: Sequence[str], holder: str) -> str:
    """Wait until a node that does not have the calls is healthy; return why none is."""
    until = time.monotonic() + READY_SECONDS
    while True:
        reports = {key: report for key, report in ask(access, keys).items() if key != holder}
        if any(not describe_first({key: report}) for key, report in reports.items()):
            return ""
        if time.monotonic() > until:
            return f"no other node is ready for them: {describe_first(reports) or 'none was ever reached'}"
        time.sleep(PAUSE_SECONDS)


def try_hand_over(access: Access, holder: str, others: str, *, only_spared: bool) -> str:
    """Have the calls handed over; return why they were not."""
    progress(f"{holder} hands over to {others}: {COST}")
    return hand_over(access, holder, only_spared=only_spared)
