"""The journals of nodes, read by their own program: of one, or of all in the order of time."""

from __future__ import annotations

import asyncio
import datetime
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from cli.console import Failure, err, out
from cli.nodes.access import Access, NodeAccess, ask_nodes
from cloud_init.node_command import node_command

LOG_SECONDS = 60
AGO = re.compile(r"\d+[smhd]")
DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")
STAMPED = re.compile(r"(\d+\.\d+) \S+ (.*)")
"""A line of journalctl's `short-unix`: seconds, host, and the rest."""
OTHER_IDENTIFIER = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
"""What FreeSWITCH and Webitel's services call a call where they do not call it by its Call-ID."""
MOST_IDENTIFIERS = 20
CALL_LINES = 10_000
OLD = re.compile(r"unrecognized arguments|invalid choice")


@dataclass(frozen=True)
class Asked:
    """What is wanted of a journal: of a service ("" = all), lines at most, since when, and what matches."""

    service: str
    lines: int
    since: str
    grep: str

    def command(self, *more: str) -> str:
        """Return the node's command."""
        words = ["logs", "--lines", str(self.lines)]
        words += [f"--since={self.since}"] if self.since else []
        words += [f"--grep={self.grep}"] if self.grep else []
        return node_command(*words, *more, *([self.service] if self.service else []))


@dataclass(frozen=True, order=True)
class Line:
    """A line of a journal."""

    at: float
    node: str
    text: str

    def __str__(self) -> str:
        moment = datetime.datetime.fromtimestamp(self.at).astimezone()
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d} {self.node} {self.text}"


def read_since(text: str) -> str:
    """Return a time as journalctl takes it."""
    if AGO.fullmatch(text):
        return f"-{text}"
    if text and not DATE.fullmatch(text):
        raise Failure(f"--since {text}: write such as --since 10m, or --since '2026-01-31 12:00'")
    return text


def show_one(access: Access, node: NodeAccess, asked: Asked) -> int:
    """Print what one node says, as it says it; its exit status."""
    answer = asyncio.run(ask_nodes(access, [node], asked.command(), LOG_SECONDS))[node.key]
    if answer.problem:
        raise Failure(f"{node.key}: {answer.problem}")
    out.print(answer.output, end="", soft_wrap=True)
    if answer.status:
        err.print(explain(answer.errors), end="")
    return 1 if answer.status else 0


def explain(errors: str) -> str:
    """Say what a node's program said against it."""
    return "its program is older than this option. Next: ./webitel up\n" if OLD.search(errors) else errors


def show_every(access: Access, nodes: Sequence[NodeAccess], asked: Asked) -> int:
    """Print what all nodes say in the order of time; 1 where one could not be asked."""
    lines, problems = ask_every(access, nodes, asked)
    show(lines, problems)
    return 1 if problems else 0


def show_call(access: Access, nodes: Sequence[NodeAccess], asked: Asked, call: str) -> int:
    """Print what all programs say of one call; 1 where nobody says anything, or one could not be asked."""
    wide = replace(asked, lines=max(asked.lines, CALL_LINES))
    known = {call}
    lines, problems = ask_every(access, nodes, replace(wide, grep=match_any(known)))
    if beside := find_beside(lines, known):
        known |= beside
        lines, problems = ask_every(access, nodes, replace(wide, grep=match_any(known)))
    show(lines, problems)
    if not lines:
        err.print(
            f"No line of {call}: programs write of a call where something goes wrong with it. ./webitel trace shows the SIP of "
            "one that works; --since reaches further back."
        )
    return 1 if problems or not lines else 0


def match_any(identifiers: Collection[str]) -> str:
    """Return a pattern that matches each of these words."""
    return "|".join(re.escape(one) for one in sorted(identifiers))


def find_beside(lines: Iterable[Line], known: Collection[str]) -> set[str]:
    """Find what else the call is called: identifiers on the lines that name it, unless these are of many calls."""
    found = {one for line in lines for one in OTHER_IDENTIFIER.findall(line.text)} - set(known)
    return found if len(found) <= MOST_IDENTIFIERS else set()


def show(lines: Iterable[Line], problems: Iterable[str]) -> None:
    """Print lines, and what could not be asked."""
    for line in lines:
        out.print(str(line), soft_wrap=True)
    for problem in problems:
        err.print(problem)


def ask_every(access: Access, nodes: Sequence[NodeAccess], asked: Asked) -> tuple[list[Line], list[str]]:
    """Ask all nodes at the same time: lines in the order of time, and why a node has none."""
    answers = asyncio.run(ask_nodes(access, nodes, asked.command("--stamped"), LOG_SECONDS))
    lines: list[Line] = []
    problems = []
    for key, answer in answers.items():
        if answer.problem:
            problems.append(f"{key}: {answer.problem}")
        elif answer.status and answer.errors.strip() and not answer.errors.startswith("no service "):
            problems.append(f"{key}: {explain(answer.errors).strip()}")
        lines += read_lines(key, answer.output)
    if answers and not lines and asked.service and all(one.errors.startswith("no service ") for one in answers.values()):
        problems.append(f"no node has a service {asked.service}")
    return sorted(lines, key=lambda line: line.at), problems


def read_lines(key: str, text: str) -> Iterable[Line]:
    """Read what `short-unix` shows; what continues a line belongs to it."""
    last: Line | None = None
    for row in text.splitlines():
        if found := STAMPED.match(row):
            if last:
                yield last
            last = Line(float(found[1]), key, found[2])
        elif last and not row.startswith("-- "):
            last = replace(last, text=f"{last.text}\n{row}")
    if last:
        yield last
