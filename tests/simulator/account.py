"""What the clouds' functions tell of the account: who it is, which machine types there are where, how much it may have.

`tell` changes an account; what it leaves out is as it usually is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from components.model.clouds.facts import load_machine_types
from provider.server import Properties, ProviderError
from tests.simulator.call import Account
from tests.simulator.world import Thing, World

Function = Callable[[Account, Properties], Properties]


def tell(world: World, package: str, **facts: Any) -> None:
    """Changes what an account is told: `refused` (the text of a refusal), `withdrawn` (type: places without it),
    `limits` (quota: number), `fresh` (nothing was ever made there)."""
    with world.change():
        world.put(Thing(f"{package}:simulated:Account", "account", "", facts))


def read_facts(account: Account) -> Properties:
    """What the test says of the account; a ProviderError where its credentials are refused, in its words (`facts/clouds.md`)."""
    facts = facts_of(account.world, account.package)
    if facts["refused"]:
        raise ProviderError(facts["refused"])
    return facts


def facts_of(world: World, package: str) -> Properties:
    """What the test says of the account of a package."""
    facts: Properties = {"refused": "", "withdrawn": {}, "limits": {}}
    for thing in world.all(f"{package}:simulated:Account"):
        facts |= thing.inputs
    return facts


def offers(account: Account, cloud: str, places: Sequence[str]) -> dict[str, list[str]]:
    """Machine types of the price list by place."""
    withdrawn = read_facts(account)["withdrawn"]
    names = [machine.name for machine in load_machine_types(cloud)]
    return {place: [name for name in names if place not in withdrawn.get(name, ())] for place in places}


def limit(account: Account, name: str, usual: float) -> float:
    """How much of something the account may have."""
    return float(read_facts(account)["limits"].get(name, usual))
