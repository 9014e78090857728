"""`restore`: the database of a running deployment brought back to a second."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import DEFAULT_STACK, Failure, StackName, Yes, is_terminal, out, progress
from cli.help import DAY_TWO

if TYPE_CHECKING:
    from cli.nodes.access import Access

TRANSFER_SECONDS, STEP_SECONDS = 86400, 900
KEPT = "/var/lib/webitel/database/postgresql/15.before"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DAY_TWO)(restore)


def restore(
    stack: StackName = DEFAULT_STACK,
    at: Annotated[str, typer.Option(metavar="TIME", help="Such as '2026-11-29 13:45:00+00'; `backups` shows from when.")] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE", help="With --at: leave out this node, which is lost or off; if it returns, it is copied anew."
        ),
    ] = None,
    recordings: Annotated[
        bool, typer.Option("--recordings", help="Instead: bring back recordings that are in the bucket and not here.")
    ] = False,
    source: Annotated[
        str, typer.Option("--from", metavar="URL", help="Instead: the data of another deployment, from its bucket.")
    ] = "",
    recovery: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --from: what export-secrets wrote of the other one.")
    ] = None,
    region: Annotated[str, typer.Option(help="With --from: the region of that bucket, where the file does not have it.")] = "",
    authority: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --from: what signs its certificate, likewise.")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="With --from and --yes: also where there is data here.")] = False,
    live: Annotated[
        bool, typer.Option("--go-live", help="Instead: end the quiet that --from begins, so that people are called.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Bring the database back to a second. What was written after it is discarded, and calls end meanwhile.

    With --from all data of another deployment comes into this one, which then keeps quiet until --go-live.
    """
    from cli.nodes.backups import open_database
    from cli.nodes.restoring import carry_out, find_silent, refuse_silent, show_moment

    refuse_together(
        {"--recordings": recordings, "--from": bool(source), "--go-live": live},
        {"--recovery": bool(recovery), "--region": bool(region), "--authority": bool(authority), "--discard": discard},
        bool(at),
        bool(without),
    )
    if recordings:
        bring_recordings(stack)
        return
    if live:
        from cli.restore_elsewhere import go_live

        go_live(stack, yes=yes)
        return
    if source:
        from cli.other_bucket import Wanted
        from cli.restore_elsewhere import restore_from

        restore_from(stack, Wanted(source, read_time(at) if at else None, recovery, region, authority, yes, discard))
        return
    moment = read_time(at)
    access, keys = open_database(stack)
    again = "" if stack == DEFAULT_STACK else f" {stack}"
    silent = find_silent(access)
    leader, found = find_leader(access, keys, silent)
    nodes = [key for key in access.nodes if key not in silent]
    if found["begun"] and found.get("source"):  # a node of before does not tell
        raise Failure(
            f"a restore from {found['source']} to {found['begun']} was begun and not finished: give its command again\n"
            f"Next: ./webitel restore{again} --from {found['source'].partition(' ')[0]}"
        )
    if found["begun"]:
        # What was cut off while the database stood still was asked for then, and everybody waits for its end.
        if found["begun"] != show_moment(moment):
            raise Failure(
                f"a restore to {found['begun']} was begun and not finished.\n"
                f"Next: ./webitel restore{again} --at '{found['begun']}'"
            )
        for key, why in silent.items():
            progress(f"{key} is left out: {why}. Once it is back: ./webitel status{again}")
    else:
        left = read_without(access, without or [], silent)
        refuse_silent(
            {key: why for key, why in silent.items() if key not in left},
            again,
            f"; or leave out a node that is lost: --without {next(iter(silent), '')}",
        )
        check(found, moment, again)
        ask(stack, moment, len(nodes), [key for key in keys if key in left], yes=yes)
    carry_out(access, nodes, leader, keys, show_moment(moment), found["stage"])
    out.print(f"The database of {stack} is that of {show_moment(moment)}. Its first backup begins by itself.")
    out.print(f"Next: ./webitel status{again}   ./webitel backups{again}")


def read_without(access: Access, given: Sequence[str], silent: Mapping[str, str]) -> set[str]:
    """Return the keys of the nodes that are to be left out. A Failure where one answers."""
    left = {access.node(name).key for name in given}
    if answering := sorted(left - silent.keys()):
        raise Failure(f"--without {answering[0]}: it answers, so it takes part; switch it off first if it is not to")
    return left


def refuse_together(instead: Mapping[str, bool], of_source: Mapping[str, bool], timed: bool, without: bool) -> None:
    """Refuse options that do not go together."""
    chosen = [name for name, given in instead.items() if given]
    if len(chosen) > 1:
        raise Failure(f"{' and '.join(chosen)} do not go together: give one of them")
    if timed and chosen and chosen != ["--from"]:
        raise Failure(f"--at does not go with {chosen[0]}")
    if without and chosen:
        raise Failure(f"--without does not go with {chosen[0]}")
    lonely = [name for name, given in of_source.items() if given]
    if lonely and chosen != ["--from"]:
        raise Failure(f"{' and '.join(lonely)} go with --from only")


def bring_recordings(stack: str) -> None:
    """Have the nodes with recordings copy what is missing."""
    import asyncio

    from cli.nodes.backups import ask_some, open_database
    from cloud_init.node_command import node_command

    access, _ = open_database(stack)
    said, problems = asyncio.run(ask_some(access, list(access.nodes), node_command("restore", "recordings"), TRANSFER_SECONDS))
    for key, output in said.items():
        for line in output.splitlines():
            out.print(f"{key}: {line}")
    if problems:
        raise Failure("\n".join(f"{key}: {why}" for key, why in problems.items()))


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


def find_leader(access: Access, keys: list[str], silent: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Return the node that leads the database, or that did when a restore was cut off, and what it says of a restore. Those that
    are silent are not asked."""
    from cli.nodes.backups import ask_each
    from cloud_init.node_command import node_command

    answers: dict[str, Any] = {}
    problems = [f"{key}: {silent[key]}" for key in keys if key in silent]
    for key in (key for key in keys if key not in silent):
        # A node whose database stands still cannot tell who leads; the one that was cut off can.
        try:
            answers |= {key: json.loads(ask_each(access, [key], node_command("restore", "check"), STEP_SECONDS)[key])}
        except Failure as error:
            problems.append(str(error))
    # A restore that was cut off on a node goes on there, unless another one leads by now.
    order = [(key, found) for key, found in answers.items() if found["leads"]]
    order += [(key, found) for key, found in answers.items() if found["begun"]]
    if not order:
        problems += [f"{key}: {found['problem']}" for key, found in answers.items() if found["problem"]]
        raise Failure("\n".join([*problems, "no node leads the database. Next: ./webitel status"]))
    leader, found = order[0]
    if found["problem"] and not found["begun"]:
        raise Failure(f"{leader}: {found['problem']}")
    return leader, found


def check(found: dict[str, Any], moment: datetime, again: str) -> None:
    """Refuse a time outside what there is, and a disk without room."""
    from cli.nodes.backups import show_time
    from cli.nodes.restoring import measure_room

    seconds, now = moment.timestamp(), time.time()
    if not found["earliest"]:
        raise Failure(f"there is no backup yet. Next: ./webitel backup{again} --full")
    if not found["earliest"] <= seconds < now:
        raise Failure(
            f"--at {show_time(seconds)}: there is nothing of that time; it can be from {show_time(found['earliest'])} until now"
        )
    wanted = measure_room(found["size"])
    if found["free"] < wanted:
        kept = f"; {found['kept'] / 2**30:.1f} GiB are what the former restore replaced" if found["kept"] else ""
        raise Failure(
            f"the database is restored beside the running one, which takes {wanted / 2**30:.1f} GiB; free are "
            f"{found['free'] / 2**30:.1f} GiB{kept}: raise webitel:disk_sizes and run ./webitel up{again}"
            + (f", or delete {KEPT} on the node that leads" if kept else "")
        )


def ask(stack: str, moment: datetime, nodes: int, left_out: Sequence[str], *, yes: bool) -> None:
    """Say what will be lost and ask twice. `left_out`: members of the database that are not there."""
    from cli.nodes.restoring import show_moment

    minutes = (time.time() - moment.timestamp()) / 60
    lost = f"{minutes:.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"
    out.print(f"What was written to the database after {show_moment(moment)} is discarded: {lost} until now.")
    out.print(f"Once it is restored beside the running one, services on {nodes} nodes stop and start, and calls end.")
    if left_out:
        named = " and ".join(left_out)
        out.print(
            f"Left out: {named}. Be sure that it is off or gone: what it has of the database is deleted when it comes back, and "
            "copied from the leader. Until then the database has a copy less."
        )
    if yes:
        return
    if not is_terminal():
        raise Failure("this would discard what was written since; confirm with --yes")
    typer.confirm(f"Restore the database of {stack}?", abort=True)
    if typer.prompt("Type the deployment's name") != stack:
        raise Failure("That is another name: nothing was changed.")
