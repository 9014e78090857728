"""`upgrade`: newer patch versions of packages, looked up on the nodes and rolled out; a new release where one can follow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, format_count, is_terminal, make_table, out, progress
from cli.deploy import bring_up, edit_setting
from cli.help import DAY_TWO
from components.model.catalogue.releases import explain_release, find_obstacles
from components.model.catalogue.services import CATALOGUE
from components.model.dropped_calls import COST
from components.model.patches import Patch, choose_patches
from components.model.settings import Settings
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.nodes.access import Access, Answer

LOOK_SECONDS = 120
"""For the package lists of every repository, on all nodes at once."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(upgrade)


def upgrade(
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    only: Annotated[
        list[str] | None, typer.Option(metavar="SERVICE", help="Only this service's packages; may be repeated.")
    ] = None,
    release: Annotated[str, typer.Option(metavar="RELEASE", help="A new release of the vendor's packages.")] = "",
    security: Annotated[bool, typer.Option("--security", help="Only Debian's security updates.")] = False,
    disruptive: Annotated[bool, typer.Option(help="Include what drops calls in progress.")] = False,
) -> None:
    """Roll out newer patch versions of packages, node by node. The nodes look for them, and the stack file records them."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.reports import ask_status

    deployment = load_deployment(stack)
    settings, plan = deployment.settings, deployment.plan
    refuse_unknown(only or [])
    if release:
        # As long as no migration is known none is carried out here, and each release has its reason.
        raise Failure(f"Nothing was changed: {explain_release(settings.release, release)}.")
    with open_engine(stack) as engine:
        access = read_access(engine)
    if obstacles := find_obstacles(plan, ask_status(access)):
        raise Failure(
            "\n  ".join(["Nothing was changed: this deployment cannot be upgraded as it is:", *obstacles])
            + f"\nNext: ./webitel status {stack}"
        )
    progress(f"Looking for newer versions on {format_count(len(access.nodes), 'node')}.")
    offers = ask_versions(access)
    if old := [key for key, packages in offers.items() if security and any("security" not in one for one in packages.values())]:
        raise Failure(f"Nothing was changed: {', '.join(old)} cannot tell security updates yet. Next: ./webitel up {stack}")
    found = choose_patches(plan, offers, only or (), security)
    patches = [patch for patch in found if disruptive or not patch.drops_calls]
    if found:
        show_patches(found, disruptive)
    if not patches:
        kind = "security update" if security else "newer patch version"
        out.print(f"No {kind}." if not found else f"Nothing else has a {kind}.")
        return
    if not yes and not is_terminal():
        nodes = ", ".join(dict.fromkeys(patch.node for patch in patches))
        raise Failure(f"this would change packages on {nodes}; confirm with --yes")
    if not yes:
        typer.confirm("Write these versions into the stack file and roll them out?", abort=True)
    write_versions(stack, settings, patches)
    words = [word for word in (stack if stack != DEFAULT_STACK else "", "--disruptive" if disruptive else "") if word]
    bring_up(stack, True, disruptive=disruptive, again=" ".join(["./webitel up", *words]))


def refuse_unknown(services: Sequence[str]) -> None:
    """Raise a Failure for a name that is no service's."""
    for name in services:
        if name not in CATALOGUE:
            near = get_close_matches(name, CATALOGUE, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(CATALOGUE)}"
            raise Failure(f"no service {name}; {hint}")


def ask_versions(access: Access) -> dict[str, dict[str, Any]]:
    """Return by node and package its version and the newer ones. Raises a Failure that names who could not tell."""
    from cli.nodes.access import ask_nodes
    from cloud_init.node_command import node_command

    answers = asyncio.run(ask_nodes(access, list(access.nodes.values()), node_command("versions"), LOOK_SECONDS))
    told = {key: read_answer(answer) for key, answer in answers.items()}
    if silent := [f"{key}: {said['error']}" for key, said in told.items() if "error" in said]:
        raise Failure("\n  ".join(["Nothing was changed: some nodes could not look up their packages:", *silent]))
    return {key: said["versions"] for key, said in told.items()}


def read_answer(answer: Answer) -> dict[str, Any]:
    """Return what the node program said: {"versions"} or {"error"}."""
    if answer.problem:
        return {"error": answer.problem}
    try:
        said: dict[str, Any] = json.loads(answer.output)
    except ValueError:
        return {"error": f"its node program failed with exit status {answer.status}: {(answer.errors or answer.output).strip()}"}
    return said


def show_patches(patches: Sequence[Patch], disruptive: bool) -> None:
    """Print one line a package of a node: the two versions, and what the new one does."""
    table = make_table("node", "package", "now", "new", "what it does")
    for patch in patches:
        left_out = patch.drops_calls and not disruptive
        table.add_row(
            patch.node,
            patch.package,
            patch.now,
            patch.new,
            describe_reactions(patch) + (": left out without --disruptive" if left_out else ""),
            style="red" if patch.drops_calls else None,
        )
    out.print(table)


def describe_reactions(patch: Patch) -> str:
    """Return such as `restart Engine`, `drain FreeSWITCH`, `restart OpenSIPS, calls that are being set up fail`."""
    parts = []
    for name, reaction in patch.reactions.items():
        service = CATALOGUE[name]
        drops = f", {service.drops_calls}" if patch.drops_calls and service.drops_calls else ""
        parts.append(f"{reaction.value} {service.title}{drops}")
    if patch.hands_over:
        parts.append(f"the other node has the calls first: {COST}")
    return "; ".join(parts) or "-"


def write_versions(stack: str, settings: Settings, patches: Sequence[Patch]) -> None:
    """Write the new versions into the stack file, beside the ones it has."""
    versions = {patch.package: patch.new for patch in patches}
    if not settings.package_versions:
        edit_setting(stack, "package_versions", dict(sorted(versions.items())))
        return
    for package, version in sorted(versions.items()):
        edit_setting(stack, f"package_versions.{package}", version)
