"""Waiting for what is seen from outside only."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Return the first true result of `condition`; AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.05)
