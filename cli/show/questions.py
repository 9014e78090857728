"""What `init` asks in a terminal, and how an answer is taken."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Any, get_args

import typer

from cli.console import out
from components.clouds.registry import CLOUDS
from components.model.catalogue.tiers import TIERS
from components.model.clouds.facts import CloudFacts
from components.model.settings import TierName

NOBODY = "none"
"""The answer that leaves a list empty."""


@dataclass(frozen=True)
class Question:
    """A setting to ask for. `says` stands before the prompt, `real`: only on a cloud that is one; `needed`: no file without it;
    `many`: a list; `example` for who has no terminal."""

    setting: str
    title: str
    example: str
    says: Callable[[CloudFacts | None], str]
    default: Callable[[CloudFacts | None], str] = lambda _: ""
    real: bool = True
    needed: bool = True
    many: bool = False


def list_clouds(facts: CloudFacts | None) -> str:
    """Say which clouds there are."""
    return "\n".join(f"  {one.name}: {one.title}" for one in CLOUDS.values())


def list_tiers(facts: CloudFacts | None) -> str:
    """Say which tiers there are."""
    return "\n".join(f"  {name}: about {TIERS[name].calls_per_day:,} calls a day" for name in get_args(TierName))


def list_regions(facts: CloudFacts | None) -> str:
    """Say for which regions there are prices; another one may be taken as well."""
    assert facts
    priced = sorted({region for machine in facts.machine_types for region in machine.monthly} - {"any"})
    return f"  Any region of {facts.title}" + (f"; with prices: {', '.join(priced)}" if priced else "")


def explain_operators(facts: CloudFacts | None) -> str:
    """Say what an operators' network is, and whose address is offered."""
    told = "  Networks that may use SSH, with a blank between two. This machine, from which nodes are set up, has to be in one."
    address = read_own_address()
    return told + (f"\n  {address}/32 is where you come from (SSH_CLIENT)." if address else "")


def read_own_address(environ: Mapping[str, str] = os.environ) -> str:
    """Return the public address of who has logged in here over SSH, "" where nobody outside is asked and so nobody knows."""
    try:
        address = IPv4Address((environ.get("SSH_CLIENT") or " ").split(" ")[0])
    except AddressValueError:
        return ""
    return str(address) if address.is_global else ""


def offer_operators(facts: CloudFacts | None) -> str:
    """Return one's own address as a network."""
    address = read_own_address()
    return f"{address}/32" if address else ""


QUESTIONS = (
    Question("cloud", "Cloud", "hetzner", list_clouds, lambda _: "local", real=False),
    Question("tier", "Tier", "basic", list_tiers, lambda _: "single", real=False),
    Question("region", "Region", "nbg1", list_regions, lambda facts: facts.best_region if facts else "", needed=False),
    Question("domain", "Public host name", "voice.your-company.com", lambda _: "  Such as voice.your-company.com."),
    Question("operators", "Operators", "YOUR-NETWORK", explain_operators, offer_operators, many=True),
    Question(
        "carriers",
        "Carriers",
        "NETWORK-OF-TRUNKS",
        lambda _: f"  Networks of SIP trunks, with a blank between two; {NOBODY} = nobody yet.",
        lambda _: NOBODY,
        needed=False,
        many=True,
    ),
)
"""In the order in which they are asked."""


def ask(question: Question, facts: CloudFacts | None, find_problem: Callable[[Any], str]) -> str | list[str]:
    """Ask until nothing is wrong with the answer; `find_problem` says what is."""
    out.print(question.says(facts))
    while True:
        said: str = typer.prompt(question.title, default=question.default(facts) or None).strip()
        answer: str | list[str] = [part for part in said.replace(",", " ").split() if part != NOBODY] if question.many else said
        if not answer and not question.needed:
            return answer
        if not (problem := find_problem(answer) if answer else "an answer is needed"):
            return answer
        out.print(f"  {problem}")
