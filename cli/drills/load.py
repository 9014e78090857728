"""The load of a drill, written on the nodes, and what became of every acknowledged row and message."""

from __future__ import annotations

import asyncio
import itertools
import json
import shlex
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from cli.console import Failure
from cli.nodes.access import Access, NodeAccess, ask_nodes, connect
from cloud_init.node_command import node_command

KINDS = ("row", "message")
NEAR = "near"
"""The writer on the majority's side; any other one is named after its node."""
ASK_SECONDS = 180
ALONE_UNIT, ALONE_FILE = "webitel-drill-load", "/run/webitel-drill-load"
PIPE = f"sleep 3600 | {{write}} > {ALONE_FILE}"
"""Its input ends with the unit, or after an hour whatever became of who began it."""


@dataclass
class Writer:
    """A load on one node. `acknowledged`: kind -> number -> seconds of this machine's clock; `said`: its last complaints."""

    name: str
    node: NodeAccess
    acknowledged: dict[str, dict[int, float]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    said: dict[str, str] = field(default_factory=dict)
    _process: asyncssh.SSHClientProcess[bytes] | None = None
    _reader: asyncio.Task[None] | None = None
    _ahead: float | None = None

    async def start(self, access: Access, stack: AsyncExitStack, *, direct: bool) -> None:
        """Begin to write; the writing ends with the connection."""
        session = await stack.enter_async_context(await connect(access, self.node))
        more = ("--direct",) if direct else ()
        self._process = await session.start(node_command("load", "write", "--writer", self.name, *more))
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process
        try:
            async for line in self._process.stdout:
                if line:  # asyncssh's last one is none, where the end comes after it was asked for a line
                    self._take(line.decode(errors="replace"))
        except (OSError, asyncssh.Error) as error:
            self.said["ssh"] = str(error)

    def _take(self, line: str) -> None:
        """Note what a line says; the first one comes at once, and so tells how far the node's clock is ahead."""
        try:
            said = json.loads(line)
        except ValueError:
            # One line that is none of the writer's must not end the count.
            self.said["line"] = line.strip()
            return
        if self._ahead is None:
            self._ahead = said["t"] - time.time()
        if "n" in said:
            self.acknowledged[said["kind"]][said["n"]] = said["t"] - self._ahead
        elif "error" in said:
            self.said[said["kind"]] = said["error"]

    async def stop(self) -> None:
        """End the writing and read what it still says."""
        if self._process and self._reader:
            if self._reader.done():
                self.said.setdefault("ssh", "its connection ended")
            try:
                self._process.stdin.write_eof()
                await asyncio.wait_for(self._reader, 10)
            except (OSError, asyncssh.Error, TimeoutError):
                self._reader.cancel()

    async def start_alone(self, access: Access) -> None:
        """Begin to write without anybody who listens, where the way to the node is lost with what the drill takes."""
        pipe = shlex.quote(PIPE.format(write=node_command("load", "write", "--writer", self.name)))
        script = (
            f"systemctl stop -q {ALONE_UNIT} 2>/dev/null; rm -f {ALONE_FILE}; "
            f"systemd-run -q --collect --unit={ALONE_UNIT} sh -c {pipe}"
        )
        clock = await run_script(access, self.node, f"{script} && date +%s.%N")
        self._ahead = float(clock) - time.time()

    async def stop_alone(self, access: Access) -> None:
        """End that writing, and read what it said."""
        script = f"systemctl stop {ALONE_UNIT}; cat {ALONE_FILE}; rm -f {ALONE_FILE}"
        for line in (await run_script(access, self.node, script, ASK_SECONDS)).splitlines():
            self._take(line)

    def longest_gap(self, kind: str, begin: float, end: float) -> float:
        """Return the longest time without an acknowledgement between two moments."""
        times = sorted(moment for moment in self.acknowledged[kind].values() if begin <= moment <= end)
        points = [begin, *times, end]
        return max(later - earlier for earlier, later in itertools.pairwise(points))


def find_lost(writers: Iterable[Writer], there: dict[str, dict[str, list[int]]]) -> dict[str, list[str]]:
    """Return by kind what was acknowledged and is gone."""
    return {
        kind: [
            f"{writer.name} {number}"
            for writer in writers
            for number in sorted(set(writer.acknowledged[kind]) - set(there[f"{kind}s"].get(writer.name, ())))
        ]
        for kind in KINDS
    }


async def ask_json(access: Access, node: NodeAccess, *arguments: str) -> Any:
    """Return what the node program prints, as JSON; a Failure with its words."""
    answer = (await ask_nodes(access, [node], node_command(*arguments), ASK_SECONDS))[node.key]
    if answer.problem or answer.status:
        raise Failure(f"{node.key}: {answer.problem or (answer.errors or answer.output).strip()[-500:]}")
    return json.loads(answer.output) if answer.output.strip() else None


async def run_script(access: Access, node: NodeAccess, script: str, seconds: float = 30) -> str:
    """Run a shell script as root on a node; a Failure with its words."""
    answer = (await ask_nodes(access, [node], f"sh -c {shlex.quote(script)}", seconds))[node.key]
    if answer.problem or answer.status:
        raise Failure(f"{node.key}: {answer.problem or (answer.errors or answer.output).strip()[-500:]}")
    return answer.output
