"""Which deployments are of tests that have ended without deleting them: the worker was killed, or its run interrupted.

Each has a file of its name, which its worker holds locked as long as it lives. Run as a program under the lock of `test` on this
machine's nodes, this deletes what a dead worker left behind, and nothing that no test has made.
"""

import fcntl
import sys
from pathlib import Path
from typing import TextIO

from tools.incus import api
from tools.incus.daemon import is_answering
from tools.incus.images import cache_directory


def directory() -> Path:
    """Where the files are."""
    return cache_directory() / "test-deployments"


def hold(name: str) -> TextIO:
    """Say that this process has a deployment; until it ends, or `release`."""
    directory().mkdir(parents=True, exist_ok=True)
    held = (directory() / name).open("w")
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return held


def release(held: TextIO) -> None:
    """Say that the deployment is deleted."""
    Path(held.name).unlink(missing_ok=True)
    held.close()


def is_held(path: Path) -> bool:
    """Whether the worker of a deployment lives."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def delete(stack: str) -> None:
    """Delete the containers, networks and disks of a stack."""
    kinds = (
        ("/instances", api.delete_instance),
        ("/networks", lambda name: api.remove(api.network_path(name))),
        (f"/storage-pools/{api.POOL}/volumes/custom", lambda name: api.remove(api.volume_path(name))),
    )
    for collection, remove in kinds:
        for found in api.list_objects(collection):
            if found["config"].get("user.webitel.stack") == stack:
                remove(found["name"])


def sweep() -> None:
    """Delete the deployments of workers that are dead."""
    for path in sorted(directory().glob("*")):
        if is_answering() and not is_held(path):
            print(f"deleting {path.name}, which an ended test run left behind", file=sys.stderr)
            delete(path.name)
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sweep()
