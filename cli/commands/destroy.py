"""`destroy`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, format_count, is_terminal, out, progress
from cli.deploy import prepare
from cli.help import DEPLOY
from components.model.backup import list_own_buckets
from components.model.plan import Plan
from components.model.settings import Settings
from stacks.edit import set_setting
from stacks.load import load_deployment
from stacks.settings import stack_file


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEPLOY)(destroy)


def destroy(
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    with_data: Annotated[bool, typer.Option("--with-data", help="Delete data disks, addresses and secrets too.")] = False,
) -> None:
    """Delete a deployment. On local nothing remains; on a cloud data disks, addresses and secrets are kept
    unless `--with-data` is given, and the next `up` uses them again. Given hosts are left with their data; where data disks
    are part of their machines (xen), nothing is deleted without `--with-data`."""
    from cli.engine.backend import state_folder
    from cli.engine.engine import open_engine, require_existing
    from cli.engine.held import refuse_losing_data
    from cli.engine.leftovers import clear_leftovers
    from cli.engine.protection import keep_default_network, lift_protection
    from cli.engine.rollout import report_failure, run_engine

    deployment = load_deployment(stack)
    settings, plan = deployment.settings, deployment.plan
    trial = plan.facts.trial
    everything = trial or with_data
    if not everything:
        instead = f"back up what you need, then ./webitel destroy {stack} --with-data"
        refuse_losing_data(plan, [node.key for node in plan.nodes if node.has_data], "destroy", instead)
    with open_engine(stack) as engine:
        require_existing(engine)
        clear_leftovers(engine)
        lost = " and forget the secrets without which their data cannot be read" if plan.facts.given else " with all data"
        what = f"{format_count(len(plan.nodes), 'node')} of {stack}" + (lost if everything else "")
        if not yes:
            if not is_terminal():
                raise Failure(f"this would delete {what}; confirm with --yes")
            typer.confirm(f"Delete {what}?", abort=True)
            remains = "No secret will remain" if plan.facts.given else "No disk and no secret will remain"
            if with_data and not trial and typer.prompt(f"{remains}. Type the deployment's name") != stack:
                raise Failure(f"that is not {stack}; nothing was deleted")
        prepare(plan)
        lift_protection(
            engine,
            plan,
            f"./webitel destroy {stack}" + " --with-data" * with_data,
            [one["urn"] for one in engine.resources() if everything or not one.get("protect")],
        )
        if everything and any(resource.get("protect") for resource in engine.resources()):
            engine.run("state", "unprotect", "--all", "--yes")
        default_network = keep_default_network(engine, plan, everything)
        run = run_engine(engine, plan.nodes, "destroy", *([] if everything else ["--exclude-protected"]))
        report_failure(run, f"./webitel destroy {stack}" + " --with-data" * with_data, plan)
        if kept := [resource["urn"].rpartition("::")[2] for resource in engine.resources() if resource.get("protect")]:
            out.print(f"{stack} is gone, except for what is protected: {', '.join(kept)}.")
            tell_of_buckets(plan, settings)
            out.print(f"Next: ./webitel up {stack}   or, to delete that too: ./webitel destroy {stack} --with-data")
            return
        if default_network:
            out.print(
                f"The network {default_network} still exists: it became {plan.region}'s default, which "
                f"{plan.facts.title} never deletes. It costs nothing; give it another name in the console before the "
                "next `up`."
            )
        tell_of_buckets(plan, settings)
        folder = state_folder(engine.environment)
        if settings.kept_disks:
            set_setting(stack_file(stack), "kept_disks", None)  # else the next `up` would make empty ones
        # Without --preserve-config this deletes the stack file, which is the user's.
        engine.run("stack", "rm", "--yes", "--preserve-config")
        if trial and folder:
            remove_history(folder, stack)
    if trial:
        put_images_away()
    out.print(f"{stack} is gone. Next: ./webitel up {stack}")


def tell_of_buckets(plan: Plan, settings: Settings) -> None:
    """Say that the buckets stay: nothing deletes backups but a person."""
    if buckets := list_own_buckets(settings):
        names = ", ".join(buckets)
        out.print(
            f"Backups stay, in {names}: whoever needs them no more empties and deletes that in {plan.facts.title}'s console. "
            "To restore from it: docs/operate/backups.md"
        )


def put_images_away() -> None:
    """With the last container of ours its images go too; what is slow to make stays in the cache as a file."""
    from tools.incus import is_in_use, store_images

    if not is_in_use():
        store_images(progress)


def remove_history(folder: Path, stack: str) -> None:
    """Remove what a file backend keeps of a stack that is gone: its history, backups and copies hold its secrets."""
    for kind in ("history", "backups"):
        for project in (folder / kind).glob("*"):
            shutil.rmtree(project / stack, ignore_errors=True)
    for path in (folder / "stacks").glob(f"*/{stack}.json*"):
        path.unlink()
