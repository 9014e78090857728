"""`restore`: the database of a running deployment brought back to a second."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, is_terminal, out, progress
from cli.help import DAY_TWO

if TYPE_CHECKING:
    from cli.nodes.access import Access

TRANSFER_SECONDS, STEP_SECONDS = 86400, 900
ROOM_BYTES, ROOM_RATIO = 512 << 20, 1.1
"""Beside the database's size, for its log while it recovers."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(restore)


def restore(
    stack: StackName = DEFAULT_STACK,
    at: Annotated[str, typer.Option(metavar="TIME", help="Such as '2026-11-29 13:45:00+00'; `backups` shows from when.")] = "",
    recordings: Annotated[
        bool, typer.Option("--recordings", help="Instead: bring back recordings that are in the bucket and not here.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Bring the database back to a second. What was written after it is discarded, and calls end meanwhile."""
    from cli.nodes.backups import open_database

    if recordings:
        bring_recordings(stack)
        return
    moment = read_time(at)
    access, keys = open_database(stack)
    again = "" if stack == DEFAULT_STACK else f" {stack}"
    leader, found = find_leader(access, keys)
    if found["begun"] and not found["size"] and found["begun"] != show(moment):
        raise Failure(
            f"a restore to {found['begun']} was begun and not finished. Next: ./webitel restore{again} --at '{found['begun']}'"
        )
    # What was cut off while the database stood still was asked for then.
    if not found["begun"] or found["size"]:
        check(found, moment, again)
        ask(stack, moment, len(access.nodes), yes=yes)
    carry_out(access, leader, keys, show(moment))
    out.print(f"The database of {stack} is that of {show(moment)}.")
    out.print(f"Next: ./webitel status{again}   ./webitel backup{again} --full")


def bring_recordings(stack: str) -> None:
    """Have the nodes with recordings copy what is missing."""
    from cli.nodes.backups import ask_each, open_database
    from cloud_init.node_command import node_command

    access, _ = open_database(stack)
    for key, said in ask_each(access, list(access.nodes), node_command("restore", "recordings"), TRANSFER_SECONDS).items():
        for line in said.splitlines():
            out.print(f"{key}: {line}")


def read_time(text: str) -> datetime:
    """Return the time that is asked for. A Failure where it is none, or says no offset."""
    example = "'2026-11-29 13:45:00+00'"
    if not text:
        raise Failure(f"to which second? --at {example}. Next: ./webitel backups")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Failure(f"--at {text}: not a time; use one such as {example}") from error
    if moment.tzinfo is None:
        raise Failure(f"--at {text}: says no offset from UTC; use one such as '{text}+00'")
    return moment


def show(moment: datetime) -> str:
    """Return a time as the nodes say it."""
    from datetime import UTC

    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def find_leader(access: Access, keys: list[str]) -> tuple[str, dict[str, Any]]:
    """Return the node that leads the database, or that did when a restore was cut off, and what it says of a restore."""
    from cli.nodes.backups import ask_each
    from cloud_init.node_command import node_command

    answers: dict[str, Any] = {}
    for key in keys:
        # A node whose database stands still cannot tell who leads; the one that was cut off can.
        try:
            answers |= {key: json.loads(ask_each(access, [key], node_command("restore", "check"), STEP_SECONDS)[key])}
        except Failure as error:
            problem = error
    leading = [(key, found) for key, found in answers.items() if found["leads"]]
    begun = [(key, found) for key, found in leading if found["begun"] and not found["size"]]
    if not leading:
        raise problem if len(answers) < len(keys) else Failure("no node leads the database. Next: ./webitel status")
    return (begun or leading)[0]


def check(found: dict[str, Any], moment: datetime, again: str) -> None:
    """Refuse a time outside what there is, and a disk without room."""
    from cli.nodes.backups import show_time

    seconds, now = moment.timestamp(), time.time()
    if not found["earliest"]:
        raise Failure(f"there is no backup yet. Next: ./webitel backup{again} --full")
    if not found["earliest"] <= seconds < now:
        raise Failure(
            f"--at {show_time(seconds)}: there is nothing of that time; it can be from {show_time(found['earliest'])} until now"
        )
    wanted = found["size"] * ROOM_RATIO + ROOM_BYTES
    if found["free"] < wanted:
        raise Failure(
            f"the database is restored beside the running one, which takes {wanted / 2**30:.1f} GiB; free are "
            f"{found['free'] / 2**30:.1f} GiB: raise webitel:disk_sizes and run ./webitel up{again}"
        )


def ask(stack: str, moment: datetime, nodes: int, *, yes: bool) -> None:
    """Say what will be lost and ask twice."""
    minutes = (time.time() - moment.timestamp()) / 60
    lost = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    out.print(f"What was written to the database after {show(moment)} is discarded: {lost} until now.")
    out.print(f"Once it is restored beside the running one, services on {nodes} nodes stop and start, and calls end.")
    if yes:
        return
    if not is_terminal():
        raise Failure("this would discard what was written since; confirm with --yes")
    typer.confirm(f"Restore the database of {stack}?", abort=True)
    if typer.prompt("Type the deployment's name") != stack:
        raise Failure("That is another name: nothing was changed.")


def carry_out(access: Access, leader: str, keys: list[str], at: str) -> None:
    """Ask the nodes for one step after the other; each may be repeated, so a cut run is repeated as a whole."""
    from cli.nodes.backups import ask_each
    from cloud_init.node_command import node_command

    everybody, others = list(access.nodes), [key for key in keys if key != leader]

    def step(name: str, nodes: list[str], seconds: int = STEP_SECONDS) -> None:
        begun = time.monotonic()
        for key, said in ask_each(access, nodes, node_command("restore", name, "--at", at), seconds).items():
            for line in said.splitlines():
                progress(f"{key}: {line}")
        if nodes:
            progress(f"{name}: {time.monotonic() - begun:.0f} s")

    step("prepare", [leader], TRANSFER_SECONDS)
    step("stop", everybody)
    # Followers first: nobody is to lead in the leader's place.
    step("stop-database", others)
    step("stop-database", [leader])
    step("place", [leader])
    step("follow", others)
    step("start", everybody)
