"""Questions to a cloud's own interfaces, asked at the same time, each answer written down as it comes.

A cloud's questions stand in a file of its own beside this one: `make_questions(asked)`. They go through Pulumi's
provider of the cloud, so with the very credentials that `up` uses and without a library more; where a provider has no
function for one, its own access token opens the cloud's documented REST interface.
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import pulumi

from components.model.clouds.offers import Offers, Quota
from components.model.plan import Node, Plan

SECONDS = 15.0
"""For one answer."""

END = "end"
T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """What is asked for: a plan, the keys of its nodes that are there already, and where the REST interface answers
    (empty: the cloud's own address)."""

    plan: Plan
    there: Sequence[str] = ()
    rest: str = ""

    @property
    def missing(self) -> list[Node]:
        """The nodes still to be made."""
        return [node for node in self.plan.nodes if node.key not in self.there]


@dataclass(frozen=True)
class Questions:
    """`account`: whose credentials these are. `offers`: which machine types there are where. `quotas`: how much the
    account may have, None where the cloud does not tell."""

    account: Callable[[], Awaitable[str]]
    offers: Callable[[], Awaitable[Offers]]
    quotas: Callable[[], Awaitable[list[Quota]]] | None = None


async def ask_all(questions: Questions, file: Path, seconds: float = SECONDS) -> None:
    """Ask everything; every answer becomes a line of JSON in `file`: {"what": ..., "answer": ...} or "error"; `END`
    is the last one."""

    def write(line: Mapping[str, Any]) -> None:
        with file.open("a") as out:
            out.write(json.dumps(line) + "\n")

    async def ask(what: str, question: Callable[[], Awaitable[Any]]) -> None:
        try:
            line = {"answer": to_json(await asyncio.wait_for(question(), seconds))}
        except TimeoutError:
            line = {"error": f"no answer within {seconds:g} s"}
        except Exception as error:  # a provider's refusal has no class of its own, and its words are what helps
            line = {"error": str(error) or type(error).__name__}
        write({"what": what, **line})

    await asyncio.gather(*(ask(what, question) for what, question in vars(questions).items() if question))
    write({"what": END})


def to_json(answer: Any) -> Any:
    """An answer as plain values."""
    if isinstance(answer, list):
        return [asdict(one) for one in answer]
    return answer if isinstance(answer, str) else asdict(answer)


async def known(output: pulumi.Output[T]) -> T:
    """What a provider's function answered. Raises what it raised."""
    answer = await output.future()
    if answer is None:
        raise ValueError("the provider answered nothing")
    return answer


async def fetch(address: str, token: str) -> Mapping[str, Any]:
    """A JSON document of a REST interface. Raises OSError with the interface's own words."""
    return await asyncio.to_thread(_fetch, address, token)


def _fetch(address: str, token: str) -> Mapping[str, Any]:
    wanted = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
    place = address.partition("?")[0]
    try:
        with urllib.request.urlopen(wanted, timeout=SECONDS) as answer:
            document: Mapping[str, Any] = json.load(answer)
            return document
    except urllib.error.HTTPError as error:
        raise OSError(f"{place}: {error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()) from error
    except (urllib.error.URLError, TimeoutError) as error:
        raise OSError(f"{place}: {getattr(error, 'reason', error)}") from error
