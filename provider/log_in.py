"""The new log-in by which a node's changed firewall or sshd proves that it locks nobody out."""

import asyncio

import asyncssh

from cloud_init.node.apply.guard import SECONDS
from cloud_init.node_command import node_command
from components.ssh import Pins, SshError, Target, connect, explain

_CONFIRM_SECONDS = 20.0


class LogIn:
    """One log-in, started when the node asks for it and left alone when the run on the node ends.

    `failure` says why it did not succeed.
    """

    def __init__(self, target: Target, key: asyncssh.SSHKey, pins: Pins) -> None:
        self._target, self._key, self._pins = target, key, pins
        self._task: asyncio.Task[None] | None = None
        self.failure = ""

    def start(self) -> None:
        """Log in, beside whatever goes on."""
        self._task = self._task or asyncio.create_task(self._confirm())

    def _note(self, text: str) -> None:
        self.failure = text.removeprefix("waiting for SSH: ")

    async def _confirm(self) -> None:
        # Every connection anew, also the one to a node on the way: a firewall lets go on what it had let in.
        try:
            session = await connect(self._target, [self._key], self._pins, seconds=SECONDS, pin_new=True, progress=self._note)
            async with session:
                done = await session.run(node_command("confirm"), seconds=_CONFIRM_SECONDS)
                self.failure = done.last_lines(1) if done.status else ""
        except (SshError, asyncssh.Error, OSError, TimeoutError) as error:
            self.failure = explain(error)

    async def __aenter__(self) -> "LogIn":
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._task is None:
            return
        if not self._task.done():
            # The run on the node has ended, and with it what this one is for.
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
