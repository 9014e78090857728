"""Locks between the processes of this program on one node."""

import fcntl
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager

WRITING = pathlib.Path("/run/webitel/access.lock")
"""Held by who writes, or compares, files in which this program goes on by itself: those with tokens, trust and encryption in
them."""


@contextmanager
def held(lock_file: pathlib.Path, wait: bool = True) -> Iterator[bool]:
    """Hold a lock of this node; yield false where somebody else does, and that was not to be waited for."""
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            yield False
        else:
            yield True
