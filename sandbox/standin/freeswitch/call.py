"""One call: its dialog, and the requests that FreeSWITCH sends in it."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from . import sip
from .media import Media

Send = Callable[[bytes], None]


@dataclass
class Call:
    """A call in progress.

    `invite` is the last INVITE of either side, `local` and `remote` are From and To of our requests, `target` and `routes`
    (in the order in which they are passed) say where those go, `contact` where those to us go; `answered` holds our 200 until
    its ACK came, `offers` says that this 200 was an offer, so that the ACK brings the answer. `ended` is set at the end.
    """

    invite: sip.Message
    send: Send
    tag: str
    number: str
    local: str
    remote: str
    target: str
    routes: list[str]
    contact: str
    media: Media | None = None
    port: int = 0
    answered: bytes = b""
    sequence: int = 0
    version: int = 1
    confirmed: bool = False
    offers: bool = False
    is_inbound: bool = True
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    variables: dict[str, str] = field(default_factory=dict)
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Call-ID."""
        return self.invite.one("call-id")

    @property
    def direction(self) -> str:
        """As `show channels` has it."""
        return "inbound" if self.is_inbound else "outbound"

    def next_hop(self) -> tuple[str, int]:
        """Where a request inside the call is sent."""
        return sip.host_port(sip.uri(self.routes[0]) if self.routes else self.target)

    def request(self, method: str, sequence: int, here: str, body: str = "", more: tuple[str, ...] = ()) -> bytes:
        """A request inside the call from `here`, an address with its port."""
        return sip.finish(
            [
                f"{method} {self.target} SIP/2.0",
                f"Via: SIP/2.0/UDP {here};rport;branch={sip.branch()}",
                "Max-Forwards: 70",
                f"From: {self.local}",
                f"To: {self.remote}",
                f"Call-ID: {self.id}",
                f"CSeq: {sequence} {method}",
                f"Contact: {self.contact}",
                *(f"Route: {route}" for route in self.routes),
                "User-Agent: Webitel",
                *more,
            ],
            body,
        )


def incoming(message: sip.Message, send: Send, here: str) -> Call:
    """A call that an INVITE begins. Its contact carries the number that was called, as the real one's does."""
    tag = sip.branch()[7:]
    number = sip.user_of(message.start.split(" ")[1])
    return Call(
        message,
        send,
        tag,
        number,
        f"{message.one('to')};tag={tag}",
        message.one("from"),
        sip.uri(message.one("contact")),
        read_routes(message),
        f"<sip:{number}@{here};transport=udp>",
    )


def read_routes(message: sip.Message) -> list[str]:
    """The recorded route, from the nearest proxy of whoever got the message as a request."""
    return [part.strip() for line in message.all("record-route") for part in line.split(",")]
