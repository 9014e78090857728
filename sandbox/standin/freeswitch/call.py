"""One call: its dialog, and the requests that FreeSWITCH sends in it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from . import sip
from .media import Media

Send = Callable[[bytes], None]


@dataclass
class Call:
    """A call in progress.

    `invite` is the last INVITE of either side, `local` and `remote` are From and To of our requests, `target` and `routes`
    (in the order in which they are passed) say where those go; `answered` holds our 200 until its ACK came.
    """

    invite: sip.Message
    send: Send
    tag: str
    number: str
    local: str
    remote: str
    target: str
    routes: list[str]
    media: Media | None = None
    port: int = 0
    answered: bytes = b""
    sequence: int = 0
    version: int = 1
    confirmed: bool = False
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Call-ID."""
        return self.invite.one("call-id")

    def next_hop(self) -> tuple[str, int]:
        """Where a request inside the call is sent."""
        return sip.host_port(sip.uri(self.routes[0]) if self.routes else self.target)

    def request(self, method: str, sequence: int, here: str, body: str = "") -> bytes:
        """A request inside the call from `here`, an address with its port."""
        return sip.finish([
            f"{method} {self.target} SIP/2.0", f"Via: SIP/2.0/UDP {here};rport;branch={sip.branch()}", "Max-Forwards: 70",
            f"From: {self.local}", f"To: {self.remote}", f"Call-ID: {self.id}", f"CSeq: {sequence} {method}",
            f"Contact: <sip:mod_sofia@{here}>", *(f"Route: {route}" for route in self.routes), "User-Agent: Webitel",
        ], body)


def incoming(message: sip.Message, send: Send) -> Call:
    """A call that an INVITE begins."""
    tag = sip.branch()[7:]
    return Call(
        message, send, tag, sip.user_of(message.start.split(" ")[1]), f"{message.one('to')};tag={tag}", message.one("from"),
        sip.uri(message.one("contact")), read_routes(message))


def read_routes(message: sip.Message) -> list[str]:
    """The recorded route, from the nearest proxy of whoever got the message as a request."""
    return [part.strip() for line in message.all("record-route") for part in line.split(",")]
