"""What the site publishes, read from the files that nginx gets: a path for each of its locations, and what is right there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from components.model.catalogue.service import Service
from components.model.catalogue.services import CATALOGUE

SITE = "/etc/nginx/sites-enabled/default"
LOCATION = re.compile(r"^\s*location (?:(?P<how>=|~\*?|\^~) )?(?P<what>\S+) \{(?P<rest>.*)$")
INCLUDE = re.compile(r"^\s*include /usr/share/webitel/bundles/nginx/(\S+);")
UPSTREAM = re.compile(r"^upstream (\S+) \{\s*server \S+?:(\d+) ", re.MULTILINE)
PASSED = re.compile(r"proxy_pass http://([\w$]+);")
GUARD = "$foreign_origin"
"""What the site asks at the doors that take nothing but a web socket: whose page it is that opens it."""


@dataclass(frozen=True)
class Location:
    """A place of the site. `path` is one that leads there; `networks` may ask for it, everybody where there are none.

    `proxied`: a program behind nginx answers. `page`: a file that every application has. `moved`: it only leads elsewhere.
    `socket` is the path of a door that takes nothing but web sockets, "" of any other place. `service` answers behind nginx,
    `rewritten` tells whether it is asked for what follows the path.
    """

    path: str
    proxied: bool
    page: bool
    moved: bool
    socket: str = ""
    service: str = ""
    rewritten: bool = False
    networks: tuple[str, ...] = ()


def read_site(text: str, parts: Mapping[str, str]) -> list[Location]:
    """Read the locations of the site that answers by https; `parts` are the files that it includes, by name."""
    ports = {listener.port: service for service in CATALOGUE.values() for listener in service.listeners}
    upstreams = {name: ports[int(port)] for name, port in UPSTREAM.findall(text)}
    site = text[text.rindex("server_name ") :]
    found: dict[str, Location] = {}
    for how, what, body in _blocks(_unfold(site, parts)):
        path = make_path(what) if how.startswith("~") else what
        passed = PASSED.search(body)
        found.setdefault(path, _judge(path, body, upstreams.get(passed[1]) if passed else None))
    return list(found.values())


def _unfold(text: str, parts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines with those of the included files, whose names stay as lines."""
    for line in text.splitlines():
        yield line
        included = INCLUDE.match(line)
        if included and "location" in parts.get(included[1], ""):
            yield from _unfold(parts[included[1]], parts)


def _blocks(lines: Iterator[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the locations: how they are matched, what with, and their lines."""
    for line in lines:
        begun = LOCATION.match(line)
        if not begun:
            continue
        body = [begun["rest"]]
        depth = 1 + body[0].count("{") - body[0].count("}")
        while depth > 0:
            body.append(next(lines))
            depth += body[-1].count("{") - body[-1].count("}")
        yield begun["how"] or "", begun["what"], "\n".join(body)


def _judge(path: str, body: str, service: Service | None) -> Location:
    proxied = "proxy_pass " in body
    networks = tuple(re.findall(r"\ballow (\S+);", body)) if "deny all;" in body and "limit_except" not in body else ()
    page = not proxied and ("try_files " in body or PurePath(path).suffix == ".html")
    socket = ""
    if service and GUARD in body:
        # Where nothing is rewritten, the service is asked for the site's own path.
        socket = path.rstrip("/") + service.web_socket if "rewrite " in body else path
    return Location(
        path, proxied, page, "return 301 " in body, socket, service.name if service else "", "rewrite " in body, networks
    )


def make_path(pattern: str) -> str:
    """Make the shortest text that a pattern matches."""
    text = "".join(_letters(_parser.parse(pattern.replace("(?<", "(?P<"))))
    assert re.match(pattern.replace("(?<", "(?P<"), text), (pattern, text)
    return text


def _letters(tree: Any) -> Iterator[str]:
    """Yield the least that each part of a parsed pattern needs."""
    for kind, value in tree:
        if kind is _constants.LITERAL:
            yield chr(value)
        elif kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            least, _, part = value
            yield from least * list(_letters(part))
        elif kind is _constants.SUBPATTERN:
            yield from _letters(value[-1])
        elif kind is _constants.BRANCH:
            # The first one that has letters: the other one is the end of the path.
            yield from min((list(_letters(part)) for part in value[1]), key=lambda letters: not letters)
        elif kind is _constants.IN:
            first, what = value[0]
            yield "0" if what is _constants.CATEGORY_DIGIT else chr(what if first is _constants.LITERAL else what[0])
        elif kind is _constants.ANY:
            yield "x"
        else:
            assert kind is _constants.AT, kind
