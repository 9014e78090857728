"""`scale`: more nodes of a role, or fewer: those leave their clusters first, then their machines go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.cloud.check import RefusedError
from cli.console import DEFAULT_STACK, Ask, Failure, StackName, Yes, is_terminal, out
from cli.deploy import bring_up, edit_setting
from cli.engine.events import name_of
from cli.help import DAY_TWO
from components.model import resource_types
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS
from components.model.plan import Plan
from components.model.planning.check_shape import count_nodes, unknown_role
from components.model.planning.disks import list_kept
from components.model.settings import Settings
from stacks.load import load_deployment, make_deployment
from stacks.settings import stack_file

DeleteData = Annotated[
    bool,
    typer.Option(
        "--delete-data", help="With --yes: delete the data disks of the nodes that leave, and of those that left before, too."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(scale)


@dataclass(frozen=True)
class Beyond:
    """What the deployment has beyond a count: `nodes` by key, the URNs of the data disks there, of nodes long gone too, and
    the URNs of all that is protected."""

    nodes: tuple[str, ...]
    disks: tuple[str, ...]
    protected: tuple[str, ...]


def scale(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="app, media, web, data, ...")],
    count: Annotated[int, typer.Argument(metavar="N", help="How many nodes the role gets.")],
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    delete_data: DeleteData = False,
    disruptive: Annotated[bool, typer.Option(help="Allow changes that drop calls in progress.")] = False,
    ask: Ask = True,
) -> None:
    """Change how many nodes a role has, in the stack file and in the deployment. Running it again resumes."""
    from cli.engine.held import refuse_losing_data

    settings = load_deployment(stack).settings
    tier = TIERS[settings.tier]
    counts = count_nodes(tier, settings)
    if role not in counts:
        raise Failure(f"no such role: {unknown_role(role, tier)}")
    # What the planner refuses is refused before anything is touched.
    leaving = tuple(key for key in settings.leaving if role_of(key, stack) != role)
    wanted = settings.model_copy(update={"counts": {**settings.counts, role: count}, "leaving": leaving})
    made = make_deployment(wanted, stack)
    refuse_losing_address(load_deployment(stack).plan, made.plan)
    beyond = find_beyond(stack, role, count)
    again = f"./webitel scale {role} {count} {stack}"
    if not beyond.nodes and not (delete_data and beyond.disks):
        ask_about_data(wanted, stack, role, yes)
        before = stack_file(stack).read_bytes()
        change(stack, role, count, leaving, list_kept(wanted, stack, tier))
        try:
            bring_up(stack, yes, disruptive=disruptive, again=again, ask=ask)
        except RefusedError:
            stack_file(stack).write_bytes(before)
            raise
        return
    if made.plan.facts.disks_in_machine and beyond.protected:
        again += " --delete-data"
        holding = [] if delete_data else [key for key in beyond.nodes if key in map(name_of, beyond.protected)]
        refuse_losing_data(made.plan, holding, "to leave", f"where others have its data too, {again} --yes")
    with_data = ask_what_goes(beyond, yes, delete_data)
    if beyond.nodes and count < counts[role]:
        # First they leave, with everybody else knowing it; a member that cannot leave ends the command here.
        make_deployment(settings.model_copy(update={"leaving": (*leaving, *beyond.nodes)}), stack)
        edit_setting(stack, "leaving", [*leaving, *beyond.nodes])
        bring_up(stack, True, disruptive=disruptive, again=again)
    if opened := [urn for urn in beyond.protected if with_data or urn not in beyond.disks]:
        unprotect(stack, opened, again)
    others = [(other, n) for other, n in list_kept(wanted, stack, tier) if other != role]
    numbers = sorted({int(key_of_disk(urn).rpartition("-")[2]) for urn in beyond.disks})
    change(stack, role, count, leaving, others if with_data else [*others, *((role, n) for n in numbers)])
    bring_up(stack, True, disruptive=disruptive, again=again)
    if beyond.disks and not with_data:
        out.print(
            f"Kept with their data: {', '.join(map(name_of, beyond.disks))}. A later ./webitel scale {role} uses them "
            f"again; {again} --delete-data deletes them."
        )


def refuse_losing_address(before: Plan, after: Plan) -> None:
    """Refuse to give up an address of SIP that the cloud moves: its public one is protected, and phones know no other."""
    if before.sip_address and not after.sip_address and before.facts.moved_by_cloud:
        raise Failure(
            f"this would give up the public address of SIP; keep it with webitel:sip_address: {before.sip_address}, which is "
            "what stands beside it already: then this changes no address"
        )


def role_of(key: str, stack: str) -> str:
    """Return the role in the name of a node, `app-3` or `<stack>-app-3`."""
    return key.removeprefix(f"{stack}-").rpartition("-")[0]


def key_of_disk(urn: str) -> str:
    """Return the node to which a data disk belongs, from the name of its resource."""
    return name_of(urn).rpartition("-")[0]


def change(stack: str, role: str, count: int, leaving: Sequence[str], kept: Sequence[tuple[str, int]]) -> None:
    """Write the stack file as it shall be in the end."""
    edit_setting(stack, f"counts.{role}", count)
    edit_setting(stack, "leaving", list(leaving) or None)
    edit_setting(stack, "kept_disks", [f"{other}-{n}" for other, n in kept] or None)


def find_beyond(stack: str, role: str, count: int) -> Beyond:
    """Return what the deployment has of the role beyond the count."""
    from cli.engine.engine import open_engine

    with open_engine(stack) as engine:
        return list_beyond(engine.resources() if engine.exists() else [], stack, role, count)


def list_beyond(resources: Sequence[Mapping[str, Any]], stack: str, role: str, count: int) -> Beyond:
    """Find it in the resources of the state."""
    keys = {resource["urn"]: name_of(resource["urn"]) for resource in resources if resource["type"] == resource_types.NODE}
    groups = {urn for urn, key in keys.items() if role_of(key, stack) == role and int(key.rpartition("-")[2]) > count}
    theirs = [resource for resource in resources if resource.get("parent") in groups]
    purposes = {data.disk for service in CATALOGUE.values() for data in service.data}
    names = {f"{keys[urn]}-{purpose}" for urn in groups for purpose in purposes}
    disks = [resource for resource in theirs if name_of(resource["urn"]) in names and not resource["type"].endswith("Attachment")]
    # Of a node that is gone nothing is left but disks.
    nodes = {keys[resource["parent"]] for resource in theirs if resource not in disks}
    return Beyond(
        tuple(sorted(nodes, key=lambda key: int(key.rpartition("-")[2]))),
        tuple(disk["urn"] for disk in disks),
        tuple(resource["urn"] for resource in theirs if resource.get("protect")),
    )


def ask_what_goes(beyond: Beyond, yes: bool, delete_data: bool) -> bool:
    """Have the person agree to what goes; returns whether the data disks go too."""
    if yes:
        return delete_data
    names = ", ".join(map(name_of, beyond.disks))
    nodes = f"{', '.join(beyond.nodes)} with {'their' if len(beyond.nodes) > 1 else 'its'} addresses"
    if not is_terminal():
        what = f"remove {nodes}" if beyond.nodes else f"delete the data on {names}"
        raise Failure(f"this would {what}; confirm with --yes")
    if beyond.nodes:
        typer.confirm(f"Remove {nodes}?", abort=True)
    return bool(names) and typer.confirm(f"Delete the data on {names} too? No keeps the disks.", default=False)


def ask_about_data(wanted: Settings, stack: str, role: str, yes: bool) -> None:
    """Have the person agree where nodes come back to disks with data of a cluster that went on without them."""
    back = [f"{other}-{n}" for other, n in list_kept(wanted, stack, TIERS[wanted.tier], back=True) if other == role]
    if not back or yes:
        return
    what = f"use the kept disks of {', '.join(back)} again, and make a database on them a copy of its cluster's leader"
    if not is_terminal():
        raise Failure(f"this would {what}; confirm with --yes")
    typer.confirm(f"{what[0].upper()}{what[1:]}?", abort=True)


def unprotect(stack: str, urns: Sequence[str], again: str) -> None:
    """Let these be deleted by the next `up`."""
    from cli.engine.engine import open_engine
    from cli.engine.protection import lift_protection

    with open_engine(stack) as engine:
        lift_protection(engine, load_deployment(stack).plan, again, urns)
        engine.run("state", "unprotect", *urns, "--yes")
