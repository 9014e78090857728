"""One way on which a request was sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from .message import Edits, Message
from .timers import Timer
from .transport import Connection, Listener
from .uri import split_list

LOCAL_TIMEOUT = 408
COOKIE = "z9hG4bK"


@dataclass(eq=False)
class Branch:
    """One way on which a request was sent."""

    number: int
    identifier: str
    uri: str
    listener: Listener | None = None
    address: str = ""
    port: int = 0
    connection: Connection | None = None
    data: bytes = b""
    flags: set[str] = field(default_factory=set)
    last: int = 0
    reply: Message | None = None
    received: bool = False
    sent: bool = False
    cancelled: bool = False
    timers: dict[str, Timer] = field(default_factory=dict)

    def stop(self, *names: str) -> None:
        """Ends timers."""
        for name in names:
            timer = self.timers.pop(name, None)
            if timer:
                timer.cancel()


def priority(status: int) -> int:
    """The lower, the better: 6xx first, then 3xx, then by class; challenges before other 4xx, 503 last of its class."""
    if status >= 600:
        return status - 600
    if status in (401, 407, 415, 420, 484):
        return 400
    return 599 if status == 503 else 408 + 90 if status == LOCAL_TIMEOUT else status


def drop_own_via(reply: Message, edits: Edits) -> None:
    """Takes the first Via off a reply."""
    places = reply.places("via")
    if not places:
        return
    values = split_list(reply.headers[places[0]].value)
    if len(values) > 1:
        edits.replaced[places[0]] = ", ".join(values[1:])
    else:
        edits.removed.add(places[0])
