"""What is done over one SSH connection to a node: commands, their input and what they say."""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import asyncssh

_KEPT_ERROR_BYTES = 65536  # of a command's error output


class Result(NamedTuple):
    """How a command ended; `output` is empty when its lines went to a callback."""

    status: int
    output: str
    errors: str

    def last_lines(self, count: int = 12) -> str:
        """Return the last lines it wrote, error output first."""
        return "\n".join((self.errors.strip() or self.output.strip()).splitlines()[-count:])


class Session:
    """A connection to a node; commands of one session may run at the same time."""

    def __init__(self, connections: Sequence[asyncssh.SSHClientConnection], *, needs_sudo: bool) -> None:
        self._connections = connections  # the one to the node first, then what it goes through
        self._sudo = "sudo -n -- " if needs_sudo else ""

    async def start(self, command: str, *, root: bool = True) -> asyncssh.SSHClientProcess[bytes]:
        """Start a command, as root if wanted; whoever asks for it reads it and ends it."""
        return await self._connections[0].create_process((self._sudo if root else "") + command, encoding=None)

    async def run(
        self,
        command: str,
        *,
        seconds: float,
        input: bytes = b"",
        on_line: Callable[[str], None] | None = None,
        root: bool = True,
    ) -> Result:
        """Run a command, as root if wanted, and wait for its end. Raises TimeoutError and asyncssh.ConnectionLost."""
        process = await self.start(command, root=root)
        output: list[bytes] = []
        errors = bytearray()

        async def read_output() -> None:
            async for line in process.stdout:
                if on_line:
                    on_line(line.decode(errors="replace").rstrip("\n"))
                else:
                    output.append(line)

        async def read_errors() -> None:
            async for line in process.stderr:
                errors.extend(line)
                del errors[:-_KEPT_ERROR_BYTES]

        async def write_input() -> None:
            try:
                process.stdin.write(input)
                await process.stdin.drain()
                process.stdin.write_eof()
            except BrokenPipeError:
                return  # it ended without reading all of it: its status and its words tell why

        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(read_output(), read_errors(), write_input())
                await process.wait_closed()
        finally:
            process.close()
        if process.exit_status is None:
            raise asyncssh.ConnectionLost(f"the connection was lost during: {command[:60]}")
        return Result(process.exit_status, b"".join(output).decode(errors="replace"), bytes(errors).decode(errors="replace"))

    @property
    def is_open(self) -> bool:
        """Whether the connection is still there, as far as is known."""
        return not self._connections[0].is_closed()

    def close(self) -> None:
        """End the connection, and the ones it goes through."""
        for connection in self._connections:
            connection.close()

    async def __aenter__(self) -> "Session":
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()
        for connection in self._connections:
            await connection.wait_closed()
