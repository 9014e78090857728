"""`hosts check`: whether hosts that are given are fit for what the plan puts on them."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import AsJson, Failure, format_count, out, progress
from cli.help import DEPLOY
from stacks.load import load_deployment

commands = typer.Typer(no_args_is_help=True, help="Look at hosts that are given (webitel:cloud onprem).")


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.add_typer(commands, name="hosts", rich_help_panel=DEPLOY)


@commands.callback()
def hosts() -> None:
    """Look at hosts that are given (webitel:cloud onprem)."""


@commands.command()
def check(
    stack: Annotated[str, typer.Argument(metavar="STACK", help="The deployment.")],
    apply: Annotated[bool, typer.Option("--apply", help="Mend what is harmless: the table of checks says what.")] = False,
    network: Annotated[
        bool, typer.Option("--network", help="Send audio at the tier's rate between all hosts for a minute.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show what passed too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every host with what the plan asks of it. Exit status 0 if none is refused; changes nothing without --apply."""
    from cli.hosts.check import How, check_hosts
    from cli.hosts.keys import find_keys
    from cli.show.documents import hosts_document, print_document
    from cli.show.hosts import show_hosts

    deployment = load_deployment(stack)
    plan = deployment.plan
    if not plan.facts.given:
        raise Failure(f"{stack} is on {plan.facts.title}, which makes its machines itself; webitel:cloud: onprem has hosts")
    progress(f"Looking at {format_count(len(plan.nodes), 'host')}.")
    findings = check_hosts(plan, deployment.settings, How(apply, network, find_keys=lambda: find_keys(stack)), progress)
    failed = [one for one in findings if one.state == "fail"]
    if as_json:
        print_document(hosts_document(stack, findings))
        raise typer.Exit(1 if failed else 0)
    show_hosts(findings, everything=everything)
    if failed:
        out.print(f"{format_count(len(failed), 'thing')} in the way of ./webitel up {stack}")
        raise typer.Exit(1)
    out.print(f"Next: ./webitel up {stack}")
