"""`backup` and `backups`: one now, and what can be restored."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from cli.console import DEFAULT_STACK, AsJson, Failure, StackName, make_table, out
from cli.help import DAY_TWO, LOOK
from cli.show.documents import backups_document, print_document

BACKUP_SECONDS = 86400
"""Of a large database over a narrow line."""


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command(rich_help_panel=DAY_TWO)(backup)
    app.command(rich_help_panel=LOOK)(backups)


def backup(
    stack: StackName = DEFAULT_STACK,
    full: Annotated[bool, typer.Option("--full", help="All of the database, not only what changed since the last one.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: read all that the bucket has and compare it with its checksums.")
    ] = False,
) -> None:
    """Back up the database now, beside what the nodes do every day by themselves."""
    import asyncio

    from cli.nodes.backups import ask_some, open_database
    from cloud_init.node.backups.jobs import MADE
    from cloud_init.node.backups.verify import WHOLE
    from cloud_init.node_command import node_command

    if full and verify:
        raise Failure("--full makes a backup and --verify reads those that are there: one of them at a time")
    access, keys = open_database(stack)
    command = node_command("verify-backups", "--now") if verify else node_command("backup", "--now", "full" if full else "incr")
    said, problems = asyncio.run(ask_some(access, keys, command, BACKUP_SECONDS))
    for key, output in said.items():
        for line in output.splitlines():
            out.print(f"{key}: {line}")
    # A member that is down makes none, and another one may lead.
    if problems and not any(line.endswith(WHOLE if verify else MADE) for output in said.values() for line in output.splitlines()):
        raise Failure("\n".join(f"{key}: {why}" for key, why in problems.items()))
    for key, why in problems.items():
        out.print(f"{key}: {why}")
    out.print("Next: ./webitel backups" + ("" if stack == DEFAULT_STACK else f" {stack}"))


def backups(stack: StackName = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """List the database's backups, and between which seconds it can be restored."""
    from cli.nodes.backups import ask_kept, open_database

    access, keys = open_database(stack)
    key, kept = ask_kept(access, keys)
    if as_json:
        print_document(backups_document(stack, key, kept))
    else:
        show(stack, key, kept)


def show(stack: str, key: str, kept: dict[str, Any] | Any) -> None:
    """Print what there is."""
    from cli.nodes.backups import show_time

    if not kept["backups"]:
        out.print(f"There is none yet; {key} makes the first one as soon as the bucket answers.")
        return
    table = make_table("backup", "kind", "finished", "age", "database", "new in the bucket", "")
    for row in kept["backups"]:
        hours = (time.time() - row["stop"]) / 3600
        table.add_row(
            row["label"],
            {"full": "full", "incr": "incremental"}.get(row["kind"], row["kind"]),
            show_time(row["stop"]),
            f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours",
            f"{row['size'] / 2**20:.0f} MiB",
            f"{row['stored'] / 2**20:.0f} MiB",
            "damaged" if row["damaged"] else "",
        )
    out.print(table)
    if verified := kept.get("verified"):
        out.print(f"All of it was read and compared at {show_time(verified)}")
    waiting = f"; {kept['waiting']} pieces of the log wait on {key}" if kept["waiting"] else ""
    out.print(f"Can be restored: any second from {show_time(kept['earliest'])} to {show_time(kept['latest'])}{waiting}")
