"""`handover`: what one node of a role runs goes to another one, such as calls to the second edge."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, out, progress
from cli.help import DAY_TWO
from components.model.report import describe_first
from stacks.load import load_deployment


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(handover)


def handover(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="edge, or another role with several nodes, such as app.")],
    stack: StackName = DEFAULT_STACK,
    source: Annotated[str, typer.Option("--from", metavar="NODE", help="Only if this node has it, such as edge-1.")] = "",
) -> None:
    """Hand over what moves from the node that has it to another one of its role, such as calls to the standby edge. Calls in
    progress go on."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.handing_over import find_holders, hand_over, tell, wait_until_healthy
    from cli.nodes.reports import ask_status

    plan = load_deployment(stack).plan
    roles = dict.fromkeys(node.role for node in plan.nodes)
    if role not in roles:
        raise Failure(f"no role {role} in {stack}; its roles are {', '.join(roles)}")
    keys = [node.key for node in plan.nodes if node.role == role]
    if source and source not in keys:
        raise Failure(f"no node {source} of role {role} in {stack}; its nodes are {', '.join(keys)}")
    if len(keys) == 1:
        raise Failure(f"{keys[0]} has no standby: it is the only {role} node of {stack}. Nothing was handed over.")
    with open_engine(stack) as engine:
        access = read_access(engine)
    reports = {key: report for key, report in ask_status(access).items() if key in keys}
    holders = find_holders(reports)
    if not holders:
        why = describe_first(reports) or "no service of this role moves, each of its nodes runs its own"
        raise Failure(f"Nothing was handed over: {why}\nNext: ./webitel status {stack}")
    holder = source or next(iter(holders.values()))
    moving = [title for title, key in holders.items() if key == holder]
    if not moving:
        out.print(f"{holder} has nothing to hand over: {tell(holders)}.")
        return
    standby = {key: report for key, report in reports.items() if key != holder}
    if all(describe_first({key: report}) for key, report in standby.items()):
        raise Failure(
            f"No node is ready to take over from {holder}, so nothing was handed over: {describe_first(standby)}\n"
            f"Next: ./webitel status {stack}"
        )
    progress(f"{holder}: handing over {', '.join(moving)}")
    if refused := hand_over(access, holder):
        raise Failure(f"{refused}\nWho has it now says: ./webitel status {stack}")
    taken = wait_until_healthy(access, keys, moving, stack)
    out.print(f"Handed over: {tell({title: key for title, key in taken.items() if title in moving})}. {holder} stands by.")
