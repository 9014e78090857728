"""Timers of all modules: one clock, and a few threads that run what is due, as the real program's workers do."""

from __future__ import annotations

import heapq
import itertools
import queue
import threading
import time
from collections.abc import Callable


class Timer:
    """Something to be done later, unless it is cancelled."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action
        self.cancelled = False

    def cancel(self) -> None:
        """It will not happen."""
        self.cancelled = True


class Timers:
    """`at` once, `every` again and again."""

    def __init__(self, prepare: Callable[[str], None], say: Callable[[str], None], workers: int = 3) -> None:
        self.prepare, self.say = prepare, say
        self.heap: list[tuple[float, int, Timer]] = []
        self.count = itertools.count()
        self.changed = threading.Condition()
        self.due: queue.SimpleQueue[Timer] = queue.SimpleQueue()
        self.workers = workers

    def start(self) -> None:
        """Begins; what was asked for before is done as well."""
        for number in range(self.workers):
            threading.Thread(target=self.work, args=(f"timer-{number}",), daemon=True, name=f"timer-{number}").start()
        threading.Thread(target=self.run, daemon=True, name="clock").start()

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Once, in some seconds."""
        timer = Timer(action)
        with self.changed:
            heapq.heappush(self.heap, (time.monotonic() + seconds, next(self.count), timer))
            self.changed.notify()
        return timer

    def every(self, seconds: float, action: Callable[[], None]) -> None:
        """Again and again."""

        def again() -> None:
            self.after(seconds, again)
            action()

        self.after(seconds, again)

    def run(self) -> None:
        """The clock."""
        while True:
            with self.changed:
                now = time.monotonic()
                if not self.heap:
                    self.changed.wait(1.0)
                    continue
                if self.heap[0][0] > now:
                    self.changed.wait(self.heap[0][0] - now)
                    continue
                timer = heapq.heappop(self.heap)[2]
            if not timer.cancelled:
                self.due.put(timer)

    def work(self, name: str) -> None:
        """One thread that runs what is due."""
        self.prepare(name)
        while True:
            timer = self.due.get()
            if timer.cancelled:
                continue
            try:
                timer.action()
            except Exception as error:
                # One job's fault must not end the others; the journal names it.
                self.say(f"CRITICAL: {type(error).__name__} in a timer of the stand-in: {error}")
