"""Before a host lets anybody in: which key it shows, and which ways in it offers. Nothing is sent but the user's name."""

from __future__ import annotations

import asyncio

import asyncssh

from components.ssh import Hop, explain, show_public

_PORT = 22
_SECONDS = 8.0


async def read_host_key(hop: Hop) -> str:
    """Return the host key that is shown at an address, "" where none is. It proves nothing: whoever answers there shows it."""
    host, _, port = hop.address.partition(":")
    try:
        async with asyncio.timeout(_SECONDS):
            key = await asyncssh.get_server_host_key(host, int(port or _PORT), config=None)
    except (OSError, asyncssh.Error, TimeoutError):
        return ""
    return show_public(key) if key else ""


async def list_ways_in(hop: Hop, user: str) -> tuple[str, ...]:
    """Return the ways to log in that are offered to a user, such as publickey and password; none where nobody answers."""
    host, _, port = hop.address.partition(":")
    try:
        async with asyncio.timeout(_SECONDS):
            return tuple(await asyncssh.get_server_auth_methods(host, int(port or _PORT), user, config=None))
    except (OSError, asyncssh.Error, TimeoutError) as error:
        return (explain(error),) if isinstance(error, asyncssh.PermissionDenied) else ()
