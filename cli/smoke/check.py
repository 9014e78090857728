"""A check of the smoke test, what it found, and how all of them are run at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address, ip_network
from threading import BoundedSemaphore, Thread
from typing import Literal, TypeVar

from cli.console import Failure
from cli.nodes.access import Access
from components.model.catalogue.service import Listener
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import WITH_ADDRESS
from components.model.machine import Public
from components.model.plan import Node, Plan
from components.model.planning.firewall import ANYWHERE
from components.model.settings import Settings

Target = TypeVar("Target")
Told = TypeVar("Told")

State = Literal["pass", "fail", "skipped"]

LIMIT_SECONDS = 55.0
"""For all checks, which run at the same time: `smoke` promises an end within 60 s."""

AGENT = "webitel-smoke"
"""What it calls itself, in the logs of whatever it asks."""

AT_ONCE = 24
"""Questions of one check under way at the same time."""


@dataclass(frozen=True)
class Finding:
    """What one question found. `right` is None where it cannot be asked from here, and `remedy` is "" where the check's holds."""

    target: str
    right: bool | None
    found: str
    remedy: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    check: str
    target: str
    state: State
    found: str
    remedy: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Account:
    """A phone that `smoke` may register and call with."""

    user: str
    domain: str
    password: str = field(repr=False)
    number: str = ""


@dataclass(frozen=True)
class World:
    """A deployment as this machine sees it. `seen_as` is the address that nodes see this machine by, "" where it is not known;
    `name` the domain that leads to the web, "" where its address is asked for; `authority` the certificate of the deployment's
    own authority."""

    plan: Plan
    settings: Settings
    access: Access
    seen_as: str
    name: str = ""
    authority: str = ""
    account: Account | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    """Where a listener (`service.listener`) is not at the catalogue's port: in tests."""

    def port(self, service: str, listener: str) -> int:
        """Return the port of a listener."""
        return self.ports.get(f"{service}.{listener}", CATALOGUE[service].listener(listener).port)

    def outside(self, service: str) -> list[tuple[Node, str]]:
        """Return the nodes with a service that are reached from outside, with their addresses; of two that take turns the first,
        with the address that whichever has."""
        if self.plan.sip_address and service in WITH_ADDRESS:
            return [(self.plan.serving(service)[0], self.plan.sip_outside or self.access.sip_outside)]
        return [
            (node, self.access.nodes[node.key].address)
            for node in self.plan.serving(service)
            if node.public is Public.SERVICE and node.key in self.access.nodes
        ]

    def admits(self, node: Node, service: str, listener: Listener) -> bool | None:
        """Tell whether the plan opens a listener to this machine; None where that hangs on an address that is not known."""
        networks = [
            network
            for opening in self.plan.openings
            if (opening.role, opening.service, opening.listener) == (node.role, service, listener.name)
            for network in opening.networks
        ]
        return self.is_among(networks)

    def is_among(self, networks: Sequence[str]) -> bool | None:
        """Tell whether this machine's address is in one of the networks."""
        if ANYWHERE in networks or not networks:
            return bool(networks)
        return any(ip_address(self.seen_as) in ip_network(network) for network in networks) if self.seen_as else None


@dataclass(frozen=True)
class Check:
    """A check: `asks` and `remedy` are sentences of the page for operators."""

    name: str
    asks: str
    remedy: str
    run: Callable[[World], Iterable[Finding]]


def start(task: Callable[[], Told]) -> Future[Told]:
    """Run it beside. The program ends without waiting for it, which no executor's thread lets it."""
    future: Future[Told] = Future()

    def run() -> None:
        try:
            future.set_result(task())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, name="smoke", daemon=True).start()
    return future


def run_checks(world: World, checks: Sequence[Check], seconds: float = LIMIT_SECONDS) -> list[Row]:
    """Run all checks at the same time; one that is not through by then has failed."""
    running = [start(partial(_run, check, world)) for check in checks]
    wait(running, timeout=seconds)
    return [row for check, future in zip(checks, running, strict=True) for row in _rows(check, future, seconds)]


def _run(check: Check, world: World) -> list[Finding]:
    return list(check.run(world))


def _rows(check: Check, future: Future[list[Finding]], seconds: float) -> Iterable[Row]:
    if not future.done():
        findings = [Finding("", False, f"no answer within {seconds:.0f} s")]
    elif error := future.exception():
        # Whatever one check breaks by, the others' lines are shown.
        findings = [Finding("", False, explain(error))]
    else:
        findings = future.result()
    for one in findings:
        state: State = "skipped" if one.right is None else "pass" if one.right else "fail"
        yield Row(check.name, one.target, state, one.found, (one.remedy or check.remedy) if state == "fail" else "", one.figures)


def explain(error: BaseException) -> str:
    """Say what went wrong with a question."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError | Failure):
        return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def ask_many(ask: Callable[[Target], Told], targets: Iterable[Target]) -> list[Told]:
    """Ask the same of many targets at the same time; the answers in their order."""
    gate = BoundedSemaphore(AT_ONCE)

    def ask_one(target: Target) -> Told:
        with gate:
            return ask(target)

    return [future.result() for future in [start(partial(ask_one, target)) for target in targets]]


def passed(rows: Iterable[Row]) -> bool:
    """Return whether something was asked and nothing failed."""
    states = [row.state for row in rows]
    return "pass" in states and "fail" not in states
