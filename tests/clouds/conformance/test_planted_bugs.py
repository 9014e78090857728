"""Every planted bug is found: by the simulated cloud, which refuses it, or by the comparison with the plan.

`WEBITEL_TEST_LONG=1` plants all of them on each cloud. Without it those of every adapter, which the same checks find everywhere,
are planted on one cloud each, and of a cloud's own some that are drawn.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cloud_init import boot
from components.clouds.registry import CLOUDS
from components.model.plan import Node, Plan
from stacks import deployment
from tests.clouds.conformance import checks
from tests.clouds.conformance.bugs import common
from tests.clouds.conformance.checks import find_option_problems, find_world_problems
from tests.clouds.conformance.given import prepare
from tests.clouds.conformance.program import ProgramError
from tests.clouds.conformance.sample import HYPERVISORS
from tests.clouds.conformance.test_conformance import APART, WIDE, build, plan_of
from tests.long_form import LONG
from tests.simulator.bugs import Bug, Draft
from tests.simulator.case import load_case
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module", autouse=True)
def composed_once() -> Iterator[None]:
    """No bug is planted in texts, so each is composed for one run only."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((boot, "compose_user_data"), (checks, "compose_user_data"), (deployment, "compose_configuration")):
            patch.setattr(module, name, remember(getattr(module, name)))
        yield


def remember(compose: Callable[..., Any]) -> Callable[..., Any]:
    """The function, called once for each node of a stack."""
    known: dict[tuple[str, str], Any] = {}

    def remembered(plan: Plan, node: Node, *more: Any) -> Any:
        key = plan.stack, node.key
        if key not in known:
            known[key] = compose(plan, node, *more)
        return known[key]

    return remembered


BUGS = {name: load_case(name).bugs for name, cloud in CLOUDS.items() if cloud.real}
OF_A_SELLER, OF_A_HYPERVISOR = 14, 7
"""Bugs of its own that are drawn."""


def choose_bugs(cloud: str) -> list[Bug]:
    """A cloud's bugs, or those that the short form has."""
    own, shared = [*BUGS[cloud]], common(cloud)
    if LONG:
        return [*own, *shared]
    number = OF_A_HYPERVISOR if cloud in HYPERVISORS else OF_A_SELLER
    own = random.Random(cloud).sample(own, min(number, len(own)))
    having = {bug.title: [other for other in BUGS if bug.title in {one.title for one in common(other)}] for bug in shared}
    return [*own, *(bug for bug in shared if random.Random(bug.title).choice(having[bug.title]) == cloud)]


ALL = [(cloud, bug) for cloud in BUGS for bug in choose_bugs(cloud)]


@pytest.mark.parametrize(("cloud", "bug"), ALL, ids=[f"{cloud}-{bug.title}" for cloud, bug in ALL])
def test_is_found(cloud: str, bug: Bug, tmp_path: Path) -> None:
    stack, changes = f"{cloud}-basic", APART[cloud] if bug.zones else WIDE
    if bug.given:
        changes = {**APART[cloud], "existing_network": prepare(cloud, World(tmp_path / "world.jsonl"))[0]}
    plan, settings = plan_of(stack, changes)
    planted: list[str] = []

    def plant(draft: Draft) -> None:
        if bug.fits(draft):
            bug.change(draft)
            planted.append(draft.name)

    try:
        world, registrations = build(stack, tmp_path, changes, tamper=plant)
    except ProgramError as refused:
        assert planted, f"refused before the bug was planted: {refused}"
        return
    assert planted, "nothing to plant the bug in"
    assert next(chain(find_option_problems(plan, registrations), find_world_problems(plan, settings, world)), None)


def test_each_adapter_has_at_least_ten_of_its_own() -> None:
    assert all(len({bug.title for bug in bugs}) >= 10 for bugs in BUGS.values())
