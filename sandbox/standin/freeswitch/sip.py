"""SIP messages: reading, answering, and the few requests that FreeSWITCH sends by itself."""

import re
import secrets
from typing import NamedTuple

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
    "k": "supported",
}


NAMES = {0: "PCMU", 8: "PCMA", 9: "G722"}
"""Static payload types of RFC 3551."""


class Message(NamedTuple):
    """A request or an answer. `start` is its first line; `headers` in order with lower-case names."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @property
    def method(self) -> str:
        """The method of a request, empty for an answer."""
        return "" if self.start.startswith("SIP/2.0") else self.start.partition(" ")[0]

    @property
    def status(self) -> int:
        """The status of an answer, 0 for a request."""
        return int(self.start[8:11]) if self.start.startswith("SIP/2.0 ") else 0

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    def one(self, name: str) -> str:
        """The first value of a header, empty without one."""
        return next((value for key, value in self.headers if key == name), "")

    @property
    def key(self) -> tuple[str, str]:
        """Call-ID and tag of From: what names a call."""
        return self.one("call-id"), parameter(self.one("from"), "tag")


def parse(data: bytes) -> Message | None:
    """The message in a datagram; None for keep-alives and anything else."""
    text = data.decode("utf-8", "replace")
    head, _, body = text.partition("\r\n\r\n")
    lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
    if not re.fullmatch(r"SIP/2\.0 \d{3} .*|[A-Z]+ \S+ SIP/2\.0", lines[0]):
        return None
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        key = name.strip().lower()
        headers.append((COMPACT.get(key, key), value.strip()))
    return Message(lines[0], tuple(headers), body)


def parameter(value: str, name: str) -> str:
    """`;name=value` of a header."""
    match = re.search(rf";\s*{name}=([^;>\s]+)", value)
    return match[1] if match else ""


def uri(value: str) -> str:
    """The URI in a header with or without angle brackets."""
    match = re.search(r"<([^>]*)>", value)
    return match[1] if match else value.partition(";")[0].strip()


def user_of(address: str) -> str:
    """The part before `@`."""
    match = re.match(r"sips?:([^@;]*)@", address)
    return match[1] if match else ""


def host_port(address: str) -> tuple[str, int]:
    """Where a URI leads; only numbers are expected here."""
    match = re.match(r"sips?:(?:[^@]*@)?([0-9.]+)(?::(\d+))?", address)
    if match is None:
        raise ValueError(f"no numeric address in {address}")
    return match[1], int(match[2] or 5060)


def answer(request: Message, status: int, reason: str, tag: str = "", more: tuple[str, ...] = (), body: str = "") -> bytes:
    """An answer with the headers of its request."""
    lines = [f"SIP/2.0 {status} {reason}", *(f"Via: {value}" for value in request.all("via"))]
    if request.method == "INVITE" and status > 100:
        lines += [f"Record-Route: {value}" for value in request.all("record-route")]
    to = request.one("to")
    if tag and not parameter(to, "tag"):
        to += f";tag={tag}"
    lines += [
        f"From: {request.one('from')}",
        f"To: {to}",
        f"Call-ID: {request.one('call-id')}",
        f"CSeq: {request.one('cseq')}",
        "User-Agent: Webitel",
        *more,
    ]
    return finish(lines, body)


def finish(lines: list[str], body: str) -> bytes:
    """The bytes of a message."""
    if body:
        lines = [*lines, "Content-Type: application/sdp"]
    return ("\r\n".join([*lines, f"Content-Length: {len(body.encode())}"]) + "\r\n\r\n" + body).encode()


def branch() -> str:
    """A fresh branch."""
    return "z9hG4bK" + secrets.token_hex(8)


class Offer(NamedTuple):
    """Where audio goes, and the payload types that are offered."""

    address: str
    port: int
    codecs: tuple[int, ...]


def parse_sdp(body: str) -> Offer | None:
    """The first audio stream of an SDP."""
    media = re.search(r"^m=audio (\d+) \S+ ([\d ]+)\r?$", body, re.MULTILINE)
    if media is None:
        return None
    own = body[media.end() :].partition("\nm=")[0]
    found = (re.search(r"^c=IN IP4 ([0-9.]+)", text, re.MULTILINE) for text in (own, body))
    connection = next((match for match in found if match), None)
    if connection is None:
        return None
    return Offer(connection[1], int(media[1]), tuple(int(number) for number in media[2].split()))


def is_on_hold(body: str) -> bool:
    """Whether an SDP says that its side does not listen."""
    return re.search(r"^a=(sendonly|inactive)\r?$", body, re.MULTILINE) is not None


def write_sdp(address: str, port: int, version: int, telephone_event: bool, codecs: tuple[int, ...] = (8,)) -> str:
    """Audio at an address and port, PCMA where nothing else is said."""
    formats = " ".join(str(number) for number in codecs)
    lines = [f"a=rtpmap:{number} {NAMES[number]}/8000" for number in codecs]
    if telephone_event:
        formats, lines = f"{formats} 101", [*lines, "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15"]
    return "\r\n".join(
        [
            "v=0",
            f"o=FreeSWITCH 1 {version} IN IP4 {address}",
            "s=FreeSWITCH",
            f"c=IN IP4 {address}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {formats}",
            *lines,
            "a=ptime:20",
            "a=sendrecv",
            "",
        ]
    )
