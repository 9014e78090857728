"""How a new machine proves at the first contact that it is the one that was made: by a throw-away host key in its user data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pulumi import Input, Output

from cloud_init.sent import add_host_key
from components.host_keys import throw_away_key
from components.model.plan import Plan
from components.model.user_data import BootTexts

OUTPUT = "boot_key"
"""The field of a node in the stack's outputs that says with which node's throw-away key its machines boot."""


def find_boot_keys(plan: Plan, running: Mapping[str, Any]) -> frozenset[str]:
    """Return the nodes whose machines boot with a throw-away key: new ones, and those that have from their beginning.

    What a machine boots with counts when it is made, and is ignored after, even where another one takes its place: the node of
    an earlier version never has one.
    """
    return frozenset(node.key for node in plan.nodes if node.key not in running or running[node.key].get(OUTPUT))


def make_user_data(
    plan: Plan, boot: BootTexts, keys: Collection[str], seed: Output[str], login_key: Output[str]
) -> dict[str, Input[str]]:
    """Return what every node boots with, as sent: as it was composed, and where the node has one, with its throw-away key."""
    return {
        node.key: add_key(plan, boot, node.key, seed, login_key) if node.key in keys else boot.nodes[node.key].sent
        for node in plan.nodes
    }


def add_key(plan: Plan, boot: BootTexts, node: str, seed: Output[str], login_key: Output[str]) -> Output[str]:
    """Return a node's user data with its throw-away key, and with our SSH key where the cloud tells it to no machine.

    No secret for the engine: it would leave the text out of its events, of which a machine whose answer got lost is adopted
    (`cli/engine/lost.py`), and which that machine's replacement boots with. The cloud shows the key to whoever may read the
    machine's user data, and after the first contact it opens nothing.
    """

    def add(seed: str, login_key: str = "") -> str:
        return add_host_key(boot.nodes[node], *throw_away_key(seed, node), plan.facts, login_key)

    if plan.facts.key_in_user_data:
        return Output.unsecret(Output.all(seed, login_key).apply(lambda known: add(*known)))
    return Output.unsecret(seed.apply(add))
