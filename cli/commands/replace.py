"""`replace`: a new machine for a node, its data disks and addresses kept, every other node untouched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import Ask, Failure, Yes, is_terminal
from cli.deploy import bring_up, find_effects, prepare, refuse_dropped_calls
from cli.engine.events import name_of
from cli.help import DAY_TWO
from cli.nodes.names import NodeName, StackOption, stack_of
from components.model import resource_types
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.engine.engine import Engine


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(replace)


def replace(
    node: NodeName,
    stack: StackOption = "",
    yes: Yes = False,
    disruptive: Annotated[bool, typer.Option(help="Do not wait for calls on the node to end.")] = False,
    ask: Ask = True,
) -> None:
    """Replace a node's machine, such as one that is lost or broken. Its data disks are kept."""
    from cli.cloud.before import refuse_what_is_refused
    from cli.engine.engine import open_engine, require_existing, set_for_this_run
    from cli.engine.held import refuse_losing_data
    from cli.engine.leftovers import clear_leftovers
    from cli.engine.protection import lift_protection
    from cli.engine.rollout import report_failure, run_engine
    from cli.nodes.access import list_met, read_access
    from cli.nodes.drain import drain

    stack = stack or stack_of(node)
    deployment = load_deployment(stack)
    settings, plan = deployment.settings, deployment.plan
    try:
        target = plan.node(node)
    except KeyError as error:
        raise Failure(str(error.args[0])) from error
    instead = "mend the machine as it is, or bring its data to other machines by ./webitel scale or ./webitel restore"
    refuse_losing_data(plan, [target.key] if target.has_data else [], "a replacement", instead)
    if not yes:
        # Nobody deletes a host that was given.
        does = "leave the host of {} and take it again" if plan.facts.given else "delete the machine of {} and create a new one"
        what = does.format(target.key)
        if not is_terminal():
            raise Failure(f"this would {what}; confirm with --yes")
        typer.confirm(f"{what[0].upper()}{what[1:]}?", abort=True)
    prepare(plan)
    with open_engine(stack) as engine:
        require_existing(engine)
        clear_leftovers(engine)
        resources = engine.resources()
        # A machine that was never reached may be the very one that has to go: it runs no calls.
        access = read_access(engine) if list_met(resources) else None
    group = next((one for one in resources if one["type"] == resource_types.NODE and name_of(one["urn"]) == target.key), {})
    machine = group.get("outputs", {}).get("machine", "")
    if not machine:
        raise Failure(f"{target.key} has no machine yet. Next: ./webitel up {stack}")
    if ask:
        with open_engine(stack) as engine:
            refuse_what_is_refused(engine, plan, [target.key])
    # One whose deletion was the last that an interrupted run did is no more in the state: it is made, not replaced.
    renew = ["--replace", machine] if any(one["urn"] == machine for one in resources) else []
    again = choose_next(
        machine,
        resources,
        f"./webitel replace {target.key} --stack {stack}" + " --disruptive" * disruptive,
        f"./webitel up {stack}" + " --disruptive" * disruptive,
    )

    def empty() -> None:
        if not disruptive and access and target.key in access.nodes:
            drain(access, target.key, settings.drain_timeout)

    if not plan.facts.fixed_addresses:
        # The others must learn its new address before it can work with them.
        bring_up(stack, True, disruptive=disruptive, arguments=renew, again=again, ask=False, before=empty)
        return
    # The node alone at first: a pending change of another member of its cluster would wait for this node, and this node,
    # further back in the order, for the change.
    with open_engine(stack) as engine:
        if not disruptive and not settings.disruptive:
            # Those of the machine that goes have ended before.
            dropped = find_effects(engine, deployment, (), lambda: again(engine)).dropped
            dropped.pop(target.name, None)
            refuse_dropped_calls(dropped, lambda: again(engine))
        empty()
        lift_protection(engine, plan, f"./webitel replace {target.key} --stack {stack}", [machine])
        if disruptive:
            set_for_this_run(engine, "disruptive", "true")
        run = run_engine(engine, plan.nodes, "up", *renew, *choose_targets(group["urn"], target.key))
        report_failure(run, again(engine), plan)
    bring_up(stack, True, disruptive=disruptive, ask=ask)


def choose_targets(group: str, key: str) -> list[str]:
    """Return arguments that choose a node's resources, those too that are no more, or not yet, in the state."""
    # A component's children have its type in theirs, and its name before their own.
    below = f"{group.removesuffix(f'::{key}')}$**::{key}"
    return ["--target", below, "--target", f"{below}-*"]


def choose_next(machine: str, before: Sequence[Mapping[str, Any]], replace: str, up: str) -> Callable[[Engine], str]:
    """Return what finishes a replacement that failed, once it is known how far it came: `up` would leave an old machine as it is,
    and that may be shut down."""

    def find(resources: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
        found = (one for one in resources if one["urn"] == machine and not one.get("delete"))
        return next(((one.get("id"), one.get("created")) for one in found if not one.get("pendingReplacement")), ())

    old = find(before)
    return lambda engine: up if find(engine.resources()) not in (old, ()) else replace
