"""A provider's life as a child process of the engine."""

import os
import select
import signal
import socket
from collections.abc import Callable
from typing import NoReturn

_WATCH_SECONDS = 0.5


def run_until_engine_gone(start: Callable[[], int], stop: Callable[[], None], engine_address: str | None) -> NoReturn:
    """Print the port that `start` returns, wait until the engine says stop or is gone, and end the process.

    The engine says stop by SIGINT, which it sends at the end of every run, and kills what is still there 5 s later
    (pulumi/sdk/go/common/resource/plugin/plugin.go). The user's Ctrl-C is not that: a provider has a process group of
    its own, and learns of it by the call Cancel.
    """
    parent = os.getppid()
    wake, write = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Only a write: a handler that took a lock could wait for the very thread it interrupted.
        signal.signal(number, lambda *_: os.write(write, b"."))
    print(start(), flush=True)
    while not select.select([wake], [], [], _WATCH_SECONDS)[0]:
        if os.getppid() != parent or (engine_address and not _answers(engine_address)):
            break
    stop()
    # Not sys.exit: that would wait for threads which a handler may have left in a call that nothing interrupts.
    os._exit(0)


def _answers(address: str) -> bool:
    """Tell whether anything listens there; a busy engine that is merely slow to accept counts as there."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_WATCH_SECONDS).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return True
