"""What an engine that died leaves behind: its lock, and operations of which nobody knows whether they happened."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from cli.console import Failure, progress
from cli.engine.backend import state_folder
from cli.engine.engine import Engine
from cli.engine.pending import settle_pending_operations


def clear_leftovers(engine: Engine) -> None:
    """Remove the lock of an engine that is dead on this host, then settle its interrupted operations."""
    remove_dead_locks(engine)
    settle_pending_operations(engine)


def remove_dead_locks(engine: Engine) -> None:
    """Remove locks whose process is dead on this very host; a Failure where one is alive or on another host."""
    for path in find_locks(engine):
        try:
            lock = json.loads(path.read_text())
        except FileNotFoundError:
            continue  # its run has just ended
        except ValueError as error:
            raise Failure(
                f"{path} is a damaged lock: if nobody works on {engine.stack} now, remove it and start again"
            ) from error
        if lock["hostname"] == socket.gethostname() and not is_engine(lock["pid"]):
            for file in (path, path.with_name(f"{path.name}.attrs")):
                file.unlink(missing_ok=True)
            progress(f"Removed the lock of an interrupted run (process {lock['pid']} is gone).")
        else:
            raise Failure(
                f"{engine.stack} is being changed by process {lock['pid']} of {lock['username']} on {lock['hostname']} "
                f"since {lock['timestamp']}. Wait for it to end" + explain_host(engine.stack, lock["hostname"])
            )


def explain_host(stack: str, host: str) -> str:
    """Say what to do about a lock of another host: this one under the name it had then, perhaps."""
    if host == socket.gethostname():
        return "."
    return f"; if {host} is gone, or this machine's former name: ./webitel pulumi cancel --yes --stack {stack}"


def find_locks(engine: Engine) -> list[Path]:
    """Return the lock files of the stack, where its backend is a folder of this host."""
    folder = state_folder(engine.environment)
    if folder is None:
        return []
    return sorted((folder / "locks/organization" / engine.project() / engine.stack).glob("*.json"))


def is_engine(pid: int) -> bool:
    """Return whether that process lives and is a Pulumi engine: numbers are given again."""
    # Unlike the link `exe`, the name is readable for every user.
    name = Path(f"/proc/{pid}/comm")
    return name.exists() and name.read_text().startswith("pulumi")
