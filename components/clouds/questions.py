"""Questions to a cloud's own interfaces, asked at the same time, each answer written down as it comes.

A cloud's questions stand in a file of its own beside this one: `make_questions(asked)`. They go through Pulumi's
provider of the cloud, so with the very credentials that `up` uses and without a library more; where a provider has no
function for one, its own access token opens the cloud's documented REST interface.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pulumi

from components.model.clouds.offers import Finding, Offers, Quota
from components.model.plan import Node, Plan
from components.model.site import Site

SECONDS = 15.0
"""For one answer."""

END = "end"
T = TypeVar("T")


class UnreachableError(OSError):
    """Nobody was there to answer: no refusal of the cloud's."""


@dataclass(frozen=True)
class Asked:
    """What is asked for: a plan, what is there of it already (`TYPE::NAME` of the program's resources), where the REST
    interface answers (empty: the cloud's own address), the image that the settings name (empty: the cloud's own
    Debian), the place on a hypervisor, and the buckets that the deployment makes."""

    plan: Plan
    made: Collection[str] = ()
    rest: str = ""
    image: str = ""
    site: Site = field(default_factory=Site)
    buckets: Collection[str] = ()

    @property
    def missing(self) -> list[Node]:
        """The nodes without a machine."""
        return [node for node in self.plan.nodes if not self.has(self.plan.facts.machine_resource, node.key)]

    def has(self, type: str, name: str) -> bool:
        """Whether a resource of the program is there."""
        return f"{type}::{name}" in self.made

    def count(self, type: str) -> int:
        """How many resources of a type are there."""
        return sum(one.rpartition("::")[0] == type for one in self.made)


@dataclass(frozen=True)
class Questions:
    """`account`: whose credentials these are. `offers`: which machine types there are where, None where
    machines are made to measure. `quotas`: how much the
    account may have, None where the cloud does not tell. `others`: what else it may refuse, by what it is about."""

    account: Callable[[], Awaitable[str]]
    offers: Callable[[], Awaitable[Offers]] | None = None
    quotas: Callable[[], Awaitable[list[Quota]]] | None = None
    others: Mapping[str, Callable[[], Awaitable[list[Finding]]]] = field(default_factory=dict)

    @property
    def all(self) -> Mapping[str, Callable[[], Awaitable[Any]]]:
        """Every question by its name."""
        own = {"account": self.account, "offers": self.offers, "quotas": self.quotas}
        return {name: question for name, question in own.items() if question} | dict(self.others)


async def ask_all(questions: Questions, file: Path, seconds: float = SECONDS) -> None:
    """Ask everything; every answer becomes a line of JSON in `file`: {"what": ..., "answer": ...} or "error", with "late" where
    that is no refusal but nobody's answer; `END` is the last one."""

    def write(line: Mapping[str, Any]) -> None:
        with file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    async def ask(what: str, question: Callable[[], Awaitable[Any]]) -> None:
        line: dict[str, Any]
        try:
            line = {"answer": to_json(await asyncio.wait_for(question(), seconds))}
        except TimeoutError:
            line = {"error": f"no answer within {seconds:.0f} s", "late": True}
        except UnreachableError as error:
            line = {"error": str(error), "late": True}
        except Exception as error:  # a provider's refusal has no class of its own, and its words are what helps
            line = {"error": str(error) or type(error).__name__}
        write({"what": what, **line})

    await asyncio.gather(*(ask(what, question) for what, question in questions.all.items()))
    write({"what": END})


def to_json(answer: Any) -> Any:
    """Return an answer as plain values."""
    if isinstance(answer, list):
        return [asdict(one) for one in answer]
    return answer if isinstance(answer, str) else asdict(answer)


async def known(output: pulumi.Output[T]) -> T:
    """Return what a provider's function answered. Raises what it raised."""
    answer = await output.future()
    if answer is None:
        raise ValueError("the provider gave no answer")
    return answer


def once(question: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """Ask a question that several others wait for at most once; one of them that gives up leaves it to the others."""
    asked: list[asyncio.Future[T]] = []

    async def ask() -> T:
        if not asked:
            asked.append(asyncio.ensure_future(question()))
        return await asyncio.shield(asked[0])

    return ask


async def find_image(image: str, example: str, answer: Awaitable[Any], nothing: str) -> list[Finding]:
    """Return what is to be said of an image: `answer` tells it, or raises an error with `nothing`, a regular expression,
    where there is none. Raises every other error."""
    try:
        await answer
    except Exception as error:  # a provider's refusal has no class of its own
        if not re.search(nothing, str(error)):
            raise
        return [Finding("image", f"webitel:image = {image}: it does not exist ({error})", f"take one such as {example}, or none")]
    return [Finding("image", image)]


async def find_bucket(name: str, answer: Awaitable[Any], free: str, others: str) -> Finding:
    """Return whether a bucket's name, which is one bucket's in the world, can be taken: `answer` tells of it, or raises an error
    with `free` or `others`, regular expressions, where nobody or somebody else has it. Raises every other error."""
    setting, another = f"webitel:backup.bucket = {name}", "take another name, such as one that begins with your company's"
    try:
        await answer
    except Exception as error:  # a provider's refusal has no class of its own
        if re.search(free, str(error)):
            return Finding("bucket", f"{name} is free")
        if re.search(others, str(error)):
            return Finding("bucket", f"{setting}: somebody else has it", another)
        raise
    return Finding("bucket", f"{setting}: the account has it already, and this deployment's state does not know it", another)


@dataclass(frozen=True)
class SubnetFound:
    """What the cloud tells of a subnet: its ranges, and where it is. `wrong` is what else does not fit, `doubt` what may not."""

    ranges: Collection[str]
    wrong: str = ""
    doubt: str = ""


async def find_given(plan: Plan, tell: Callable[[str], Awaitable[SubnetFound]], nothing: str) -> list[Finding]:
    """Return what is to be said of the company's network: `tell` tells of a subnet by its id, or raises an error with
    `nothing`, a regular expression, where there is none. Raises every other error."""
    assert plan.existing
    found = []
    for id, subnet in plan.existing.subnets.items():
        setting = f"webitel:existing_network.subnets.{id}"
        try:
            told = await tell(id)
        except Exception as error:  # a provider's refusal has no class of its own
            if not re.search(nothing, str(error)):
                raise
            found.append(Finding("network", f"{setting}: it does not exist ({error})", "name one that the account has"))
            continue
        if str(subnet.range) not in told.ranges:
            ranges = ", ".join(told.ranges)
            found.append(Finding("network", f"{setting}.range = {subnet.range}: it has {ranges}", f"write range: {ranges}"))
        if told.wrong:
            found.append(Finding("network", f"{setting}: {told.wrong}", "name another subnet, or mend this one"))
        elif told.doubt:
            found.append(Finding("network", f"{setting}: {told.doubt}", "look whether that is so", waits=True))
    return found or [Finding("network", f"{plan.existing.id} with its subnets")]


async def fetch(address: str, token: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """Fetch a JSON document of a REST interface; `body` is posted where the interface wants that of a question. Raises
    OSError with the interface's own words, UnreachableError where it has none."""
    return await asyncio.to_thread(_fetch, address, token, body)


def _fetch(address: str, token: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
    wanted = urllib.request.Request(
        address,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Accept": "application/json", "Content-Type": "application/json"},
    )
    place = address.partition("?")[0]
    try:
        with urllib.request.urlopen(wanted, timeout=SECONDS) as answer:
            document: Mapping[str, Any] = json.load(answer)
            return document
    except urllib.error.HTTPError as error:
        raise OSError(f"{place}: {error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()) from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise UnreachableError(f"{place}: {getattr(error, 'reason', error)}") from error
