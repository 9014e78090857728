"""The steps of a restore, which nodes carry out in turn; meanwhile each keeps other runs away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncssh

from cli.console import Failure, progress
from cli.nodes.access import ask_nodes, connect
from cli.nodes.backups import ask_all, read_error
from cli.nodes.journal import explain
from cloud_init.node.backups.marks import LEADS
from cloud_init.node.backups.restore import HELD
from cloud_init.node_command import node_command

if TYPE_CHECKING:
    from cli.nodes.access import Access

TRANSFER_SECONDS, STEP_SECONDS = 86400, 900
HOLD_SECONDS, ANSWER_SECONDS = 60.0, 20.0
ROOM_BYTES, ROOM_RATIO = 512 << 20, 1.1
"""Beside the database's size, for its log while it recovers."""


def measure_room(size: int) -> float:
    """Return the bytes that a database of this size takes beside the one that is there."""
    return size * ROOM_RATIO + ROOM_BYTES


def show_moment(moment: datetime) -> str:
    """Return a time as the nodes say it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")


def refuse_silent(silent: Mapping[str, str], given: str, without: str = "") -> None:
    """Refuse to begin while a node does not answer; `given` is the stack as a command takes it, `without` how the command leaves
    out one that is lost."""
    if silent:
        told = "; ".join(f"{key}: {why}" for key, why in silent.items())
        raise Failure(f"nothing was done, for all nodes are needed: {told}. Next: ./webitel status{given}{without}")


def find_silent(access: Access) -> dict[str, str]:
    """Ask all nodes whether they answer; return those that do not, with the reason."""
    answers = asyncio.run(ask_nodes(access, list(access.nodes.values()), "true", ANSWER_SECONDS))
    return {key: answer.problem or answer.errors.strip() for key, answer in answers.items() if answer.problem or answer.status}


def carry_out(
    access: Access, nodes: Sequence[str], leader: str, keys: Sequence[str], at: str, stage: str, source: str = ""
) -> None:
    """Ask the nodes for one step after the other; each may be repeated, so a cut run goes on from where it was. `keys` are the
    database's members: those that are not among the nodes are left out. `source`: another deployment's bucket, from which nodes
    come up quiet."""
    asyncio.run(_carry_out(access, nodes, leader, keys, at, stage, source))


async def _carry_out(
    access: Access, nodes: Sequence[str], leader: str, keys: Sequence[str], at: str, stage: str, source: str
) -> None:
    others = [key for key in keys if key != leader and key in nodes]
    away = [key for key in keys if key not in nodes]

    async def step(name: str, asked: Sequence[str], seconds: int = STEP_SECONDS, text: str = "") -> None:
        begun = time.monotonic()
        command = node_command("restore", name, "--at", at)
        for key, said in (await ask_all(access, asked, command, seconds, text)).items():
            for line in said.splitlines():
                progress(f"{key}: {line}")
        if asked:
            progress(f"{name}: {time.monotonic() - begun:.0f} s")

    if stage != LEADS:
        await step("prepare-source" if source else "prepare", [leader], TRANSFER_SECONDS)
    # Nothing was stopped so far, and where one node does not answer by now, nothing will be.
    async with hold(access, nodes, at):
        if stage != LEADS:
            await step("ready", [leader])
        if away:
            await step("leave-out", [leader], text=" ".join(away))
        try:
            if source:
                # Before anything has the other's trunks and queues.
                await step("quiet", nodes, text=source)
            if stage != LEADS:
                await step("stop", nodes)
                # Followers first: nobody is to lead in the leader's place.
                await step("stop-database", others)
                await step("stop-database", [leader])
                await step("place", [leader])
            await step("follow", others)
            await step("start", nodes)
        except BaseException:
            progress("Services stand still. The same command, given again, goes on from here.")
            raise


@asynccontextmanager
async def hold(access: Access, nodes: Sequence[str], at: str) -> AsyncIterator[None]:
    """Have each of these nodes keep other runs away meanwhile. A Failure where one of them cannot."""
    async with AsyncExitStack() as kept:
        said = await asyncio.gather(*(_hold(access, key, node_command("restore", "hold", "--at", at), kept) for key in nodes))
        if problems := [f"{key}: {why}" for key, why in zip(nodes, said, strict=True) if why]:
            raise Failure(f"nothing was stopped: {'; '.join(problems)}")
        yield


async def _hold(access: Access, key: str, command: str, kept: AsyncExitStack) -> str:
    """Begin on one node, for as long as `kept` is open; return why it cannot, "" where it does."""
    try:
        async with asyncio.timeout(HOLD_SECONDS):
            session = await kept.enter_async_context(await connect(access, access.nodes[key]))
            process = await session.start(command)
            kept.callback(process.close)
            lines: list[str] = []
            async for line in process.stdout:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                if lines[-1] == HELD:
                    return ""
            errors = (await process.stderr.read()).decode(errors="replace")
            return read_error("\n".join(lines)) or explain(errors).strip() or "it ended"
    except TimeoutError:
        return f"no answer within {HOLD_SECONDS:.0f} s"
    except (OSError, asyncssh.Error, Failure) as error:
        return str(error)
