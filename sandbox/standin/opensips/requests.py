"""Requests of our own: pings, registrations, the end of a call."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from .evaluate import run_route
from .message import Message, Source, parse
from .transactions import Transaction
from .transport import Listener

if TYPE_CHECKING:
    from .core import Core


def send_request(
    core: Core,
    method: str,
    uri: str,
    sender: str,
    to: str,
    *,
    callback: Callable[[int, Message | None], None],
    socket: Listener | None = None,
    destination: str = "",
    headers: tuple[str, ...] = (),
    call_id: str = "",
    sequence: int = 0,
    tags: tuple[str, str] = ("", ""),
    routes: tuple[str, ...] = (),
    body: str = "",
) -> Transaction | None:
    """Sends one; `callback` is told how it ended. None when it could not be sent."""
    origin = socket or next((row for row in core.transport.listeners if row.protocol == "udp"), core.transport.listeners[0])
    mine, theirs = tags
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {origin.host}:{origin.port};branch=none",
        *(f"Route: {route}" for route in routes),
        f"To: {wrap(to)}{f';tag={theirs}' if theirs else ''}",
        f"From: {wrap(sender)};tag={mine or secrets.token_hex(16)}",
        f"CSeq: {sequence or 10} {method}",
        f"Call-ID: {call_id or secrets.token_hex(8) + '@' + origin.address}",
        *headers,
        *([] if any(line.lower().startswith("max-forwards") for line in headers) else ["Max-Forwards: 70"]),
        *([core.user_agent] if core.user_agent else []),
        f"Content-Length: {len(body)}",
    ]
    message = parse(("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1", "replace"))
    assert message
    # Nobody sent it: only our own Via is in it.
    message.headers = [header for header in message.headers if header.key != "via"]
    message.source = Source(origin.address, origin.port, origin)
    message.socket = socket
    message.destination = destination
    transaction = Transaction(core, f"local|{secrets.token_hex(8)}", message, callback=callback)
    core.transactions.add(transaction)
    run_route(transaction.context("local"), "local_route", "")
    with transaction.lock:
        sent = transaction.forward(transaction.context("local"))
    if sent <= 0:
        transaction.finish(477, None)
        return None
    return transaction


def wrap(uri: str) -> str:
    """In angle brackets, unless it has them."""
    return uri if "<" in uri else f"<{uri}>"
