"""The deployment's own SSH key, for hosts that take no other any more."""

from __future__ import annotations

from collections.abc import Sequence

import asyncssh

from cli.console import Failure
from components.ssh import read_key


def find_keys(stack: str) -> Sequence[asyncssh.SSHKey]:
    """Return the key that the state has, none where nothing was ever deployed, or no engine is there to ask."""
    from cli.engine.engine import open_engine
    from cli.nodes.access import read_access
    from tools.engine.find import find_made_engine

    if not find_made_engine():
        return ()
    with open_engine(stack) as engine:
        try:
            return (read_key(read_access(engine).private_key),)
        except Failure:
            return ()  # it was never up
