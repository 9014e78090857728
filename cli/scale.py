"""`scale`: more nodes of a role, or fewer: those leave their clusters first, then their machines go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, is_terminal, out
from cli.up import Yes, bring_up
from components.model.check_shape import count_nodes, unknown_role
from components.model.planner import make_plan
from components.model.services import CATALOGUE
from components.model.tiers import TIERS
from stacks.edit import EditError, set_setting
from stacks.settings import load_stack, stack_file

GROUP = "webitel:index:Node"
DeleteData = Annotated[bool, typer.Option("--delete-data", help="With --yes: the data disks of the leaving nodes go too.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(scale)


@dataclass(frozen=True)
class Leavers:
    """Nodes on their way out, by key, and the URNs of their data disks, of what groups those in the tree, and of all of
    theirs that is protected."""

    keys: tuple[str, ...]
    disks: tuple[str, ...]
    groups: tuple[str, ...]
    protected: tuple[str, ...]


def scale(
    role: Annotated[str, typer.Argument(metavar="ROLE", help="app, media, web, data, ...")],
    count: Annotated[int, typer.Argument(metavar="N", help="How many nodes of the role there shall be.")],
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    delete_data: DeleteData = False,
    disruptive: Annotated[bool, typer.Option(help="Allow changes that drop calls in progress.")] = False,
) -> None:
    """Change how many nodes a role has, in the stack file and in the deployment. Running it again resumes."""
    settings = load_stack(stack)
    tier = TIERS[settings.tier]
    counts = count_nodes(tier, settings)
    if role not in counts:
        raise Failure(f"no such role: {unknown_role(role, tier)}")
    # What the planner refuses is refused before anything is touched.
    leaving = tuple(key for key in settings.leaving if role_of(key, stack) != role)
    make_plan(settings.model_copy(update={"counts": {**settings.counts, role: count}, "leaving": leaving}), stack)
    leavers = find_leavers(stack, role, count)
    again = f"./webitel scale {role} {count} {stack}"
    if not leavers.keys:
        change(stack, role, count, leaving)
        bring_up(stack, yes, disruptive=disruptive, again=again)
        return
    with_data = ask(leavers, yes, delete_data)
    if count < counts[role]:
        # First they leave, with everybody else knowing it; a member that cannot leave ends the command here.
        make_plan(settings.model_copy(update={"leaving": (*leaving, *leavers.keys)}), stack)
        edit(stack, "leaving", [*leaving, *leavers.keys])
        bring_up(stack, True, disruptive=disruptive, again=again)
    remove_leavers(stack, role, count, leaving, leavers, with_data, again)


def role_of(key: str, stack: str) -> str:
    """The role in the name of a node, `app-3` or `<stack>-app-3`."""
    return key.removeprefix(f"{stack}-").rpartition("-")[0]


def change(stack: str, role: str, count: int, leaving: Sequence[str]) -> None:
    """The stack file as it shall be in the end."""
    edit(stack, f"counts.{role}", count)
    edit(stack, "leaving", list(leaving) or None)


def edit(stack: str, name: str, value: Any) -> None:
    """Change one setting of the stack file, or say why not."""
    try:
        set_setting(stack_file(stack), name, value)
    except EditError as error:
        raise Failure(f"stacks/{stack_file(stack).name}: {error}") from error


def find_leavers(stack: str, role: str, count: int) -> Leavers:
    """The nodes of the role beyond the count that the deployment has, and what they would leave behind."""
    from cli.engine import open_engine

    with open_engine(stack) as engine:
        return list_leavers(engine.resources() if engine.exists() else [], stack, role, count)


def list_leavers(resources: Sequence[Mapping[str, Any]], stack: str, role: str, count: int) -> Leavers:
    """Likewise, from the resources of the state."""
    keys = tuple(name_of(resource["urn"]) for resource in resources if resource["type"] == GROUP)
    beyond = sorted((key for key in keys if role_of(key, stack) == role and int(key.rpartition("-")[2]) > count),
                    key=lambda key: int(key.rpartition("-")[2]))
    groups = {resource["urn"] for resource in resources
              if resource["type"] == GROUP and name_of(resource["urn"]) in beyond}
    theirs = [resource for resource in resources if resource.get("parent") in groups]
    purposes = {data.disk for service in CATALOGUE.values() for data in service.data}
    names = {f"{key}-{purpose}" for key in beyond for purpose in purposes}
    disks = [resource for resource in theirs
             if name_of(resource["urn"]) in names and not resource["type"].endswith("Attachment")]
    return Leavers(
        tuple(beyond), tuple(disk["urn"] for disk in disks), tuple(dict.fromkeys(disk["parent"] for disk in disks)),
        tuple(resource["urn"] for resource in theirs if resource.get("protect")))


def ask(leavers: Leavers, yes: bool, delete_data: bool) -> bool:
    """Have the person agree to what goes; returns whether the data disks go too."""
    what = f"{', '.join(leavers.keys)} with {'their' if len(leavers.keys) > 1 else 'its'} addresses"
    if not yes and not is_terminal():
        raise Failure(f"this would take out {what}; say so with --yes")
    if not yes:
        typer.confirm(f"Take out {what}?", abort=True)
    if not leavers.disks or delete_data:
        return delete_data
    names = ", ".join(map(name_of, leavers.disks))
    return not yes and typer.confirm(f"Delete the data on {names} too? No keeps the disks.", default=False)


def remove_leavers(
    stack: str, role: str, count: int, leaving: Sequence[str], leavers: Leavers, with_data: bool, again: str,
) -> None:
    """Drop the count: the machines go, and with them what was agreed to."""
    from cli.engine import open_engine

    kept = () if with_data else leavers.disks
    if opened := [urn for urn in leavers.protected if urn not in kept]:
        with open_engine(stack) as engine:
            engine.run("state", "unprotect", *opened, "--yes")
    change(stack, role, count, leaving)
    bring_up(stack, True, arguments=[part for urn in kept for part in ("--exclude", urn)], again=again)
    if kept:
        with open_engine(stack) as engine:
            # What groups them stayed for their sake.
            engine.run("state", "delete", *kept, *leavers.groups, "--force", "--yes")
        out.print(f"Kept with their data, and no longer part of {stack}: {', '.join(map(name_of, kept))}. "
                  "Delete them where they are when nobody needs them.")


def name_of(urn: str) -> str:
    """The name of a resource."""
    return urn.rpartition("::")[2]
