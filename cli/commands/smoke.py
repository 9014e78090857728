"""`smoke`: does it work for those outside?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_STACK, AsJson, Failure, StackName
from cli.help import LOOK
from stacks.load import load_deployment

if TYPE_CHECKING:
    from cli.smoke.check import World


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=LOOK)(smoke)


def smoke(
    stack: StackName = DEFAULT_STACK,
    seen_as: Annotated[
        str, typer.Option("--from", metavar="ADDRESS", help="This machine's address as the nodes see it, if SSH has a jump host.")
    ] = "",
    account: Annotated[
        str,
        typer.Option(
            metavar="USER[@DOMAIN]:FILE", help="Register this phone too, with the password in FILE; this machine is in `phones`."
        ),
    ] = "",
    call: Annotated[
        str, typer.Option(metavar="NUMBER", help="Call this number with it, best one that sends back what it hears.")
    ] = "",
    load: Annotated[
        int | None,
        typer.Option(min=1, max=1000, metavar="CALLS", help="Instead: ramp to so many calls to --call, until a packet is lost."),
    ] = None,
    beyond: Annotated[bool, typer.Option("--beyond", help="More calls than the tier is made for.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the calls of --load over time (SVG).")] = None,
    as_json: AsJson = False,
) -> None:
    """Test a deployment from outside, within 60 s. Exit status 0 only if nothing fails; changes nothing."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.show.documents import print_document, smoke_document
    from cli.show.smoke import show_smoke
    from cli.smoke.account import read_account
    from cli.smoke.check import LIMIT_SECONDS, World, passed, run_checks
    from cli.smoke.checks import make_checks
    from cli.smoke.load import check_limit
    from cli.smoke.world import find_seen_as

    begun = time.monotonic()
    deployment = load_deployment(stack)
    check_options(account, call, load, plot)
    phone = read_account(account, call, deployment.plan.domain)
    seen = read_address(seen_as) if seen_as else ""
    if load:
        check_limit(deployment.plan, load, beyond)
    with open_engine(stack) as engine:
        access = read_access(engine)
    world = World(
        deployment.plan,
        deployment.settings,
        access,
        seen or find_seen_as(access),
        deployment.plan.domain if deployment.plan.facts.in_earnest else "",
        access.authority,
        phone,
    )
    if load:
        raise typer.Exit(run_load(world, stack, load, call, plot, as_json))
    rows = run_checks(world, make_checks(), begun + LIMIT_SECONDS - time.monotonic())
    seconds = time.monotonic() - begun
    if as_json:
        print_document(smoke_document(stack, passed(rows), world.seen_as, seconds, rows))
    else:
        show_smoke(rows, seconds)
    raise typer.Exit(0 if passed(rows) else 1)


def run_load(world: World, stack: str, calls: int, number: str, plot: Path | None, as_json: bool) -> int:
    """Run the load and show it; the exit status."""
    from cli.show.documents import print_document
    from cli.show.smoke import plot_load, show_load
    from cli.smoke.loading import load

    outcome = load(world, calls, number)
    if as_json:
        print_document({"stack": stack, "passed": outcome.whole, "load": outcome.as_json()})
    else:
        show_load(outcome)
    if plot:
        plot.write_text(plot_load(outcome, stack))
    return 0 if outcome.whole else 1


def check_options(account: str, call: str, load: int | None, plot: Path | None) -> None:
    """Refuse options that another one is missing for, before anybody is asked or called."""
    if call and not account and not load:
        raise Failure(f"--call {call} needs the phone that calls: --account 1001@your-company.com:/root/phone-password")
    if load and not call:
        raise Failure(f"--load {load} needs a number that answers and sends back what it hears: --call 600")
    if plot and not load:
        raise Failure(f"--plot {plot} draws a load: --load 20 --call 600 --plot {plot}")
    if plot and (plot.is_dir() or not plot.absolute().parent.is_dir()):
        raise Failure(f"--plot {plot}: no file can be written there; write such as --plot load.svg")


def read_address(text: str) -> str:
    """Read an address that was given."""
    from ipaddress import IPv4Address

    try:
        return str(IPv4Address(text))
    except ValueError as error:
        raise Failure(f"--from {text} is no IPv4 address; write such as --from 198.51.100.7") from error
