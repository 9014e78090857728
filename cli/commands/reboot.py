"""`reboot`: machines restarted one at a time, each empty before and everything healthy after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, is_terminal, out, progress
from cli.help import DAY_TWO
from components.model.catalogue.service import OnChange
from components.model.catalogue.services import CATALOGUE
from components.model.dropped_calls import goes_on_elsewhere
from components.model.plan import Node, Plan
from components.model.report import NodeReport, Reports, describe_first, is_healthy
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Access

RESTART_SECONDS = 600.0
"""Until a machine answers again: one with much memory takes minutes before its kernel starts."""
HEALTHY_SECONDS = 600.0
UPDATES_SECONDS = 300
"""For the end of updates that the machine installs just now."""
PAUSE_SECONDS = 2.0
LOOK_SECONDS = 15.0
MARK = "/run/webitel/restarting"
"""In memory: it is gone once the machine has restarted, a container too."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(reboot)


def reboot(
    stack: StackName = DEFAULT_STACK,
    node: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Only this node, whether it asks for it or not; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every node, not only those that ask for it.")] = False,
    yes: Yes = False,
    disruptive: Annotated[bool, typer.Option(help="Include what drops calls in progress; do not wait for their end.")] = False,
) -> None:
    """Restart machines, one at a time, such as for a new kernel. Calls end or are handed over first, and each is healthy again
    before the next."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.drain import drain
    from cli.nodes.reports import ask_status

    deployment = load_deployment(stack)
    settings, plan = deployment.settings, deployment.plan
    named = [find_node(plan, name) for name in node or ()]
    with open_engine(stack) as engine:
        access = read_access(engine)
    reports = ask_status(access)
    again = "" if stack == DEFAULT_STACK else f" {stack}"
    if fault := describe_first(reports):
        raise Failure(f"Nothing was restarted, as not everything is healthy: {fault}\nNext: ./webitel status{again}")
    asking = find_asking(reports)
    chosen = [
        one for one in plan.nodes if one.key in access.nodes and (one in named or everything or (not named and one.key in asking))
    ]
    if not chosen:
        out.print("No node asks for a restart; --all or --node restarts one that does not.")
        return
    if not disruptive and (dropped := list_dropped(plan, chosen)):
        lines = "\n".join(f"  {line}" for line in dropped)
        raise Failure(
            f"Calls in progress would suffer. Nothing was restarted.\n{lines}\n"
            f"When few calls are in progress, run: ./webitel reboot{again}"
            f"{''.join(f' --node {one.key}' for one in named)}{' --all' * everything} --disruptive"
        )
    for one in chosen:
        out.print(f"{one.key}: {asking.get(one.key, 'does not ask for it')}")
    if not yes:
        if not is_terminal():
            raise Failure(f"this would restart {', '.join(one.key for one in chosen)}; confirm with --yes")
        typer.confirm("Restart them, one after the other?", abort=True)
    for one in chosen:
        if not disruptive:
            drain(access, one.key, settings.drain_timeout, restart=True)
        restart(access, one.key)
        wait_until_healthy(access, one.key, stack)
    out.print(f"Restarted: {', '.join(one.key for one in chosen)}. Everything is healthy.")


def find_node(plan: Plan, name: str) -> Node:
    """Return the node of that name; a Failure names the ones there are."""
    try:
        return plan.node(name)
    except KeyError as error:
        raise Failure(str(error.args[0])) from error


def find_asking(reports: Reports) -> dict[str, str]:
    """Return by key of a node that asks for a restart what it wants that for."""
    return {key: row.why for key, report in reports.items() for row in report.machine if row.name == "reboot"}


def list_dropped(plan: Plan, chosen: Sequence[Node]) -> list[str]:
    """List what the restart of these nodes does to calls that neither end before nor go on by another node."""
    lines = []
    drained = [name for name, service in CATALOGUE.items() if service.on_change is OnChange.DRAIN]
    for node in chosen:
        # With all that is drained on the same machine every call ends before.
        alone = all(plan.nodes_with(name) in ((), (node,)) for name in drained)
        for service in (CATALOGUE[name] for name in node.services):
            spared = alone or goes_on_elsewhere(plan, service, node)
            if service.drops_calls and service.name not in drained and not spared:
                lines.append(f"{node.key}: {service.title} has no standby: {service.drops_calls}")
    return lines


def restart(access: Access, key: str) -> None:
    """Restart a machine, and wait until it is up again."""
    from cli.nodes.access import ask_nodes
    from cloud_init.node.install import DAILY_LOCK
    from cloud_init.node.manifest import LOCK

    progress(f"{key}: restarting")
    target = [access.nodes[key]]
    # Each a command of its own: another user than root runs no more than one by `sudo`.
    asyncio.run(ask_nodes(access, target, f"mkdir -p {LOCK.parent}", LOOK_SECONDS))
    # Not while it is being configured, nor in the middle of its own updates.
    begin = f"flock -n {LOCK} flock -w {UPDATES_SECONDS} {DAILY_LOCK} touch {MARK}"
    answer = asyncio.run(ask_nodes(access, target, begin, UPDATES_SECONDS + LOOK_SECONDS))[key]
    if answer.problem or answer.status:
        why = answer.problem or answer.errors.strip() or "it is being configured, or installs updates, right now"
        raise Failure(f"{key} was not restarted: {why}")
    asyncio.run(ask_nodes(access, target, "systemctl --no-block reboot", LOOK_SECONDS))
    until = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < until:
        answer = asyncio.run(ask_nodes(access, target, f"test ! -e {MARK}", LOOK_SECONDS))[key]
        if not answer.problem and answer.status == 0:
            return
        time.sleep(PAUSE_SECONDS)
    raise Failure(
        f"{key} is not up again after {RESTART_SECONDS:.0f} s, and no other node was restarted. Look at its console "
        "(docs/operate/clouds.md), or give it a new machine: ./webitel replace " + key
    )


def wait_until_healthy(access: Access, key: str, stack: str) -> None:
    """Wait until the node takes calls again and everything is healthy; a Failure otherwise."""
    from cli.nodes.access import ask_nodes
    from cli.nodes.reports import ask_status
    from cloud_init.node_command import node_command

    until, told = time.monotonic() + HEALTHY_SECONDS, ""
    while True:
        # Consul remembers that a FreeSWITCH was out of service, and is asked to forget it as soon as it is there.
        asyncio.run(ask_nodes(access, [access.nodes[key]], node_command("resume"), LOOK_SECONDS))
        reports: Mapping[str, NodeReport] = ask_status(access)
        if is_healthy(reports):
            return
        fault = describe_first(reports)
        if fault != told:
            progress(f"waiting: {fault}")
        told = fault
        if time.monotonic() > until:
            raise Failure(f"{key} was restarted, and not everything is healthy: {fault}\nNext: ./webitel status {stack}")
        time.sleep(PAUSE_SECONDS)
