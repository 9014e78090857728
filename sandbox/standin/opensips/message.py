"""SIP messages: read, changed as OpenSIPS changes them (at sending, not at once), and written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .uri import Uri, parse_address, parse_parameters, parse_uri, split_list

if TYPE_CHECKING:
    from .transport import Connection, Listener

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "k": "supported",
    "s": "subject",
    "e": "content-encoding",
    "o": "event",
    "r": "refer-to",
    "b": "referred-by",
    "x": "session-expires",
}
MAX_SIZE = 65535


class Source(NamedTuple):
    """Where a message came from and by which of our sockets."""

    address: str
    port: int
    listener: Listener
    connection: Connection | None = None

    @property
    def protocol(self) -> str:
        """udp, tcp, tls, ws or wss."""
        return self.listener.protocol


@dataclass
class Header:
    """One header line; `key` is its full name in small letters."""

    name: str
    value: str
    key: str


@dataclass
class Edits:
    """What is to be changed when the message is sent."""

    removed: set[int] = field(default_factory=set)
    replaced: dict[int, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    body: str | None = None
    record_parameters: str = ""

    def copy(self) -> Edits:
        """For one branch."""
        return Edits(
            set(self.removed), dict(self.replaced), list(self.before), list(self.after), self.body, self.record_parameters
        )


@dataclass
class Message:
    """A request (`method`) or a reply (`status`); texts are latin-1, so that every byte survives."""

    method: str = ""
    uri: str = ""
    status: int = 0
    reason: str = ""
    headers: list[Header] = field(default_factory=list)
    body: str = ""
    source: Source | None = None
    edits: Edits = field(default_factory=Edits)
    new_uri: str = ""
    destination: str = ""
    socket: Listener | None = None
    branches: list[tuple[str, str, set[str], Listener | None, str]] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    branch_flags: set[str] = field(default_factory=set)
    force_rport: bool = False
    path: str = ""
    routing: str = ""
    reply_headers: list[str] = field(default_factory=list)

    @property
    def here(self) -> Source:
        """Where it came from."""
        assert self.source
        return self.source

    @property
    def target(self) -> str:
        """The request's URI as it is now."""
        return self.new_uri or self.uri

    def places(self, key: str) -> list[int]:
        """Where the headers of a name stand, removed ones too."""
        return [place for place, header in enumerate(self.headers) if header.key == key]

    def one(self, key: str) -> str:
        """The first value of a header, as it came in."""
        return next((header.value for header in self.headers if header.key == key), "")

    def values(self, key: str) -> list[str]:
        """Every value of a header that is a list."""
        return [value for header in self.headers if header.key == key for value in split_list(header.value)]

    def address(self, key: str) -> tuple[str, Uri | None, dict[str, str]]:
        """URI, its pieces and the parameters of From, To or Contact."""
        _, uri, parameters = parse_address(self.one(key))
        return uri, parse_uri(uri), parameters

    @property
    def sequence(self) -> tuple[int, str]:
        """Number and method of CSeq."""
        number, _, method = self.one("cseq").partition(" ")
        return int(number) if number.isdigit() else 0, method.strip()

    def tag(self, key: str) -> str:
        """The tag of From or To."""
        return parse_address(self.one(key))[2].get("tag", "")

    def via(self, number: int = 0) -> tuple[str, str, dict[str, str]]:
        """Protocol, sent-by and parameters of a Via."""
        values = self.values("via")
        if number >= len(values):
            return "", "", {}
        head, _, tail = values[number].partition(";")
        protocol, _, sent_by = head.strip().partition(" ")
        return protocol.rpartition("/")[2].lower(), sent_by.strip(), parse_parameters(tail)

    def set_header(self, place: int, value: str) -> None:
        """Another value for a header line."""
        self.edits.replaced[place] = value

    def current(self, place: int) -> str:
        """A header line's value with what was changed."""
        return self.edits.replaced.get(place, self.headers[place].value)

    @property
    def current_body(self) -> str:
        """The body with what was changed."""
        return self.body if self.edits.body is None else self.edits.body


def parse(data: bytes) -> Message | None:
    """None for anything that is no SIP message or lacks what every one has."""
    head, _, body = data.decode("latin-1").partition("\r\n\r\n")
    if not _:
        head, _, body = data.decode("latin-1").partition("\n\n")
    lines = head.lstrip("\r\n").replace("\r\n", "\n").split("\n")
    message = Message()
    first = lines[0].split(" ", 2)
    if len(first) < 2:
        return None
    if first[0] == "SIP/2.0":
        if not first[1].isdigit():
            return None
        message.status, message.reason = int(first[1]), first[2] if len(first) > 2 else ""
    elif len(first) == 3 and first[2].strip() == "SIP/2.0":
        message.method, message.uri = first[0], first[1]
    else:
        return None
    for line in lines[1:]:
        if line[:1] in (" ", "\t") and message.headers:
            message.headers[-1].value += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            return None
        key = name.strip().lower()
        message.headers.append(Header(name.strip(), value.strip(), COMPACT.get(key, key)))
    length = message.one("content-length")
    message.body = body[: int(length)] if length.isdigit() else body
    if not (message.one("via") and message.one("call-id") and message.one("cseq") and message.one("from") and message.one("to")):
        return None
    return message


def write(first: str, message: Message, edits: Edits, before: list[str], skip: set[int] | None = None) -> bytes:
    """The bytes of a changed message: `before` and what was inserted stand first."""
    lines = [first, *before]
    for place, header in enumerate(message.headers):
        if place in edits.removed or (skip and place in skip) or header.key == "content-length":
            continue
        lines.append(f"{header.name}: {edits.replaced.get(place, header.value)}")
    lines += [line.rstrip("\r\n") for line in edits.after]
    body = message.body if edits.body is None else edits.body
    lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1", "replace")


def write_reply(request: Message, status: int, reason: str, tag: str, server: str, more: list[str], contact: str = "") -> bytes:
    """An answer of our own to a request."""
    lines = [f"SIP/2.0 {status} {reason}"]
    for place in request.places("via"):
        lines.append(f"Via: {request.current(place)}")
    if status < 300 or status == 401:
        lines += [f"Record-Route: {header.value}" for header in request.headers if header.key == "record-route" and status > 100]
    lines.append(f"From: {request.one('from')}")
    to = request.one("to")
    lines.append(f"To: {to}" if not tag or request.tag("to") else f"To: {to};tag={tag}")
    lines += [f"Call-ID: {request.one('call-id')}", f"CSeq: {request.one('cseq')}"]
    if contact:
        lines.append(contact)
    lines += [line.rstrip("\r\n") for line in more]
    if server:
        lines.append(server)
    return ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode("latin-1", "replace")
