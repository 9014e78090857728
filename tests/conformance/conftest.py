"""Stacks that are up on simulated clouds, one for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.engine import Deployment
from tests.simulator.simulators import Simulators
from tests.simulator.world import World
from tools.engine.find import find_engine


@dataclass
class Live:
    """A deployment and the simulated world it stands in."""

    deployment: Deployment
    world: World


Start = Callable[[str], Live]


@pytest.fixture(scope="session")
def engine() -> Path:
    return find_engine(print)


@pytest.fixture(scope="module")
def start(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Makes a committed stack of its own, with its own simulated cloud; nothing is up yet."""
    running: list[Simulators] = []

    def start_stack(stack: str) -> Live:
        folder = tmp_path_factory.mktemp(stack)
        simulators = Simulators(folder / "world", [stack.partition("-")[0]])
        running.append(simulators)
        return Live(Deployment(engine, folder / "project", stack, simulators.attached), simulators.world)

    yield start_stack
    for simulators in running:
        simulators.stop()
