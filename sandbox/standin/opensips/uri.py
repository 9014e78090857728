"""SIP addresses in pieces."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

PATTERN = re.compile(r"(sips?|tel|urn):(?:([^@]*)@)?(\[[^\]]*\]|[^:;?@]*)(?::(\d+))?(;[^?]*)?(\?.*)?$", re.IGNORECASE | re.DOTALL)
DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Uri:
    """A parsed URI; `port` is 0 where none is said, `parameters` keeps the text of each."""

    scheme: str
    user: str
    password: str
    host: str
    port: int
    parameters: dict[str, str] = field(default_factory=dict)
    headers: str = ""

    @property
    def transport(self) -> str:
        """The protocol it asks for."""
        said = self.parameters.get("transport", "").lower()
        return said or ("tls" if self.scheme == "sips" else "udp")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, the protocol's own where none is said."""
        return self.host, self.port or DEFAULT_PORTS.get(self.transport, 5060)


@lru_cache(maxsize=4096)
def parse_uri(text: str) -> Uri | None:
    """None for what is no URI."""
    match = PATTERN.match(text.strip())
    if match is None:
        return None
    user, _, password = (match[2] or "").partition(":")
    parameters = {}
    for part in (match[5] or "").split(";")[1:]:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip()
    return Uri(match[1].lower(), user, password, match[3], int(match[4] or 0), parameters, match[6] or "")


def parse_address(text: str) -> tuple[str, str, dict[str, str]]:
    """Display name, URI and header parameters of `"name" <uri>;tag=x`."""
    text = text.strip()
    name = ""
    if text.startswith('"'):
        end = re.match(r'"(?:\\.|[^"\\])*"', text)
        if end:
            name, text = end[0], text[end.end() :].strip()
    if "<" in text:
        before, _, rest = text.partition("<")
        name = name or before.strip()
        uri, _, tail = rest.partition(">")
    else:
        uri, _, tail = text.partition(";")
    return name, uri.strip(), parse_parameters(tail)


def parse_parameters(text: str) -> dict[str, str]:
    """Name -> value of `;a=b;c`; a quoted value keeps its semicolons."""
    found = {}
    for part in re.findall(r';?\s*([^;=\s]+\s*(?:=\s*(?:"[^"]*"|[^;]*))?)', text):
        name, _, value = part.partition("=")
        found[name.strip().lower()] = value.strip()
    return found


def split_list(text: str) -> list[str]:
    """The values of a header with commas between them."""
    parts, depth, quoted, start = [], 0, False, 0
    for place, sign in enumerate(text):
        if sign == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        elif not quoted and sign == "<":
            depth += 1
        elif not quoted and sign == ">":
            depth -= 1
        elif sign == "," and not quoted and depth <= 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [part for part in (*parts, text[start:].strip()) if part]
