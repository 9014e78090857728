"""A provider that the engine attaches to, instead of starting a process of its own for every use of it."""

from __future__ import annotations

from provider.server import Provider

ATTACHMENTS = 2
"""Times that the engine attaches for one use: to ask what it is, and to work with it (seen with 3.259)."""


class Attached(Provider):
    """One for several uses of one engine: `up --refresh` refreshes with one, changes with the next, and then ends the first.
    Whatever ends before the last of them must not cancel the others, which are processes of their own elsewhere."""

    _address = ""
    _attached = 0
    _ended = 0

    def attach(self, engine_address: str) -> None:
        if engine_address != self._address:
            self._address, self._attached, self._ended = engine_address, 0, 0
        self._attached += 1
        super().attach(engine_address)

    def cancel(self) -> None:
        self._ended += 1
        if self._ended * ATTACHMENTS >= self._attached:
            super().cancel()

    def stop(self, grace: float = 1.0) -> None:
        self._attached = 0
        super().stop(grace)
