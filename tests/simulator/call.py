"""One call of a simulated cloud's API, and the account that it is made in. What is referred to has to exist on every cloud
(`facts/schemas/README.md` 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provider.server import Properties, Request
from tests.simulator.faults import Faults
from tests.simulator.schema import Schema, load_schema, resolve
from tests.simulator.world import Refused, Thing, World, address_token

ERRORS: Mapping[str, str] = {
    "capacity": "no capacity",
    "quota": "quota exceeded",
    "rate": "429 too many requests",
    "error": "500 internal error",
}


@dataclass
class Account:
    """One cloud, and the account that the provider was configured for."""

    package: str
    world: World
    faults: Faults
    errors: Mapping[str, str] = field(default_factory=lambda: ERRORS)
    settings: Properties = field(default_factory=dict)

    @property
    def schema(self) -> Schema:
        """The inputs of its resources."""
        return load_schema(self.package)


@dataclass
class Call:
    """One call of the cloud's API, about one thing; `old` are the inputs before an update, None at creation."""

    account: Account
    request: Request
    inputs: Properties
    id: str = ""
    old: Properties | None = None
    outputs: Properties = field(default_factory=dict)
    uses: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)

    @property
    def world(self) -> World:
        """What exists."""
        return self.account.world

    def find(self, type: str, id: Any, path: str = "") -> Thing:
        """A thing that has to exist; refused otherwise."""
        found = self.world.find(type, str(id))
        if found is None:
            raise Refused(f"{path or 'reference'}: {type} {id} not found")
        return found

    def use(self, thing: Thing) -> None:
        """Keeps a thing from being deleted while this one exists."""
        self.uses.append(thing.key)

    def hold(self, token: str) -> None:
        """Holds a token that nothing else may hold."""
        self.holds.append(token)

    def take_address(self, scope: str, network: str, *, first: int, last: int, wanted: str | None = None) -> str:
        """Holds and returns an address of a network: the wanted one, else the one held before, else a free one."""
        before = self.world.find(self.request.type, self.id)
        mine = before.holds if before else []
        if wanted is not None and address_token(scope, wanted) in mine:
            address = wanted
        else:
            address = self.world.allocate(scope, network, first=first, last=last, wanted=wanted)
        self.hold(address_token(scope, address))
        return address

    def number(self) -> int:
        """A number never used before."""
        return self.world.next_number()

    def lasting(self, output: str, form: Callable[[int], str]) -> str:
        """What a thing is given once and keeps in every update: its output, else one formed of a number never used before."""
        return str(self.outputs.get(output) or form(self.number()))

    def is_changed(self, *paths: str) -> bool:
        """Whether an update changes one of the inputs."""
        return self.old is not None and any(resolve(self.old, path) != resolve(self.inputs, path) for path in paths)
