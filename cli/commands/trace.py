"""`trace`: SIP on the edge for a while, as a capture file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, out
from cli.help import LOOK
from stacks.load import load_deployment

MOST_SECONDS = 600
MOST_MIB = 200


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=LOOK)(trace)


def trace(
    stack: StackName = DEFAULT_STACK,
    number: Annotated[str, typer.Option(help="Only calls from or to this number or user, such as 1001.")] = "",
    address: Annotated[str, typer.Option(help="Only calls with this address, such as a carrier's.")] = "",
    seconds: Annotated[int, typer.Option(min=1, max=MOST_SECONDS, help="How long; Ctrl-C ends it earlier.")] = 60,
    size: Annotated[int, typer.Option(min=1, max=MOST_MIB, help="MiB of the file at most.")] = 10,
    file: Annotated[Path | None, typer.Option(help="The capture file; STACK-trace.pcap unless given.")] = None,
) -> None:
    """Capture SIP on the nodes of OpenSIPS into a file that sngrep and tshark read. No audio, and nothing stays on a node."""
    from ipaddress import IPv4Address

    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from cli.nodes.trace import capture

    plan = load_deployment(stack).plan
    try:
        peer = str(IPv4Address(address)) if address else ""
    except ValueError as error:
        raise Failure(f"--address {address} is no IPv4 address; write such as --address 198.51.100.7") from error
    with open_engine(stack) as engine:
        access = read_access(engine)
    target = file or Path(f"{stack}-trace.pcap")
    count, problems = capture(access, plan, target, number, peer, seconds, size << 20)
    for problem in problems:
        out.print(problem)
    if not count:
        out.print(f"No packet of SIP{' of it' if number or peer else ''}; {target} is empty.")
        raise typer.Exit(1)
    out.print(f"{count} packets in {target}. Next: sngrep -I {target}")
    raise typer.Exit(1 if problems else 0)
