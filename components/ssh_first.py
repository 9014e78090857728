"""Before a host lets anybody in: which key it shows, and which ways in it offers. Nothing is sent but the user's name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncssh

from components.ssh import SshError, Target, explain, open_bastion, show_public

_PORT = 22
_SECONDS = 8.0
_UNKNOWN = (OSError, asyncssh.Error, TimeoutError, SshError)


@asynccontextmanager
async def go_to(target: Target) -> AsyncIterator[asyncssh.SSHClientConnection | None]:
    """Open the way to a host: through the user's own bastion, None = straight there."""
    if not target.ssh_via:
        yield None
        return
    async with await open_bastion(target.ssh_via, _SECONDS) as bastion:
        yield bastion


async def read_host_key(target: Target) -> str:
    """Return the host key that is shown at an address, "" where none is. It proves nothing: whoever answers there shows it."""
    host, _, port = target.address.partition(":")
    try:
        async with asyncio.timeout(_SECONDS), go_to(target) as tunnel:
            key = await asyncssh.get_server_host_key(host, int(port or _PORT), tunnel=tunnel, config=None)
    except _UNKNOWN:
        return ""
    return show_public(key) if key else ""


async def list_ways_in(target: Target) -> tuple[str, ...]:
    """Return the ways to log in that are offered to its user, such as publickey and password; none where nobody answers."""
    host, _, port = target.address.partition(":")
    try:
        async with asyncio.timeout(_SECONDS), go_to(target) as tunnel:
            return tuple(
                await asyncssh.get_server_auth_methods(host, int(port or _PORT), target.user, tunnel=tunnel, config=None)
            )
    except _UNKNOWN as error:
        return (explain(error),) if isinstance(error, asyncssh.PermissionDenied) else ()


def copy_key(target: Target) -> str:
    """Return the command by which the user's key gets to a host that takes passwords only."""
    host, _, port = target.address.partition(":")
    by = f"-o ProxyJump={target.ssh_via} " if target.ssh_via else ""
    return f"ssh-copy-id {by}{f'-p {port} ' if port else ''}{target.user}@{host}"
