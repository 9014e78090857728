"""Lines about a long work: each step once at once, then at most every ten seconds with its count."""

import time
from collections.abc import Callable

INTERVAL_SECONDS = 10.0


class Pace:
    """Hands on the first line about a step and few of those that follow, none of them twice."""

    def __init__(
        self, progress: Callable[[str], None], interval: float | None = None, clock: Callable[[], float] | None = None
    ) -> None:
        self._progress = progress
        self._interval = INTERVAL_SECONDS if interval is None else interval
        self._clock = clock or time.monotonic
        self._said: dict[str, tuple[float, str]] = {}

    def say(self, step: str, count: str = "") -> None:
        """Tell how far a step is."""
        if self.is_due(step, count):
            self._progress(f"{step}: {count}" if count else step)

    def is_due(self, step: str, count: str = "") -> bool:
        """Whether this is to be shown now, which then counts as shown."""
        now = self._clock()
        when, before = self._said.get(step, (None, ""))
        if when is not None and (count == before or now - when < self._interval):
            return False
        self._said[step] = now, count
        return True
