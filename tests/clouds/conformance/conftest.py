"""Stacks on simulated clouds: one that is up for all tests that look at it, copies of it for those that change it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pytest

from tests.clouds.conformance.engine import Deployment
from tests.clouds.conformance.program import Config
from tests.clouds.conformance.quick_hosts import quick_engine
from tests.simulator.simulators import Simulators
from tests.simulator.world import World
from tools.engine.find import find_engine

pytest.register_assert_rewrite("tests.clouds.conformance.killing")


@dataclass
class Live:
    """A deployment and the simulated cloud it stands in."""

    deployment: Deployment
    simulators: Simulators

    @property
    def world(self) -> World:
        """What exists there."""
        return self.simulators.world


class Start(Protocol):
    """Makes a committed stack of its own, with its own simulated cloud: nothing is up, or all that was in `like`, whose settings
    it has to be given where they are others than the committed ones."""

    def __call__(self, stack: str, like: Live | None = None) -> Live: ...


COMMITTED: Config = MappingProxyType({})
"""No change of a committed stack."""


class Standing(Protocol):
    """A committed stack that is up, one a session: to be looked at and copied, never changed."""

    def __call__(self, stack: str, changes: Config = COMMITTED) -> Live: ...


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The engine, whose language hosts have imported everything already."""
    folder = tmp_path_factory.mktemp("engine") / "bin"
    with quick_engine(find_engine(print), folder) as quick, pytest.MonkeyPatch.context() as patch:
        # The command line finds it by itself.
        patch.setattr("tools.engine.find.find_engine", lambda progress: quick)
        yield quick


@pytest.fixture(scope="module")
def start(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    yield from make_start(engine, tmp_path_factory)


@pytest.fixture(scope="session")
def standing(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    known: dict[tuple[str, str], Live] = {}
    starts = make_start(engine, tmp_path_factory)
    start = next(starts)

    def stand(stack: str, changes: Config = COMMITTED) -> Live:
        key = stack, json.dumps(dict(changes), sort_keys=True)
        if key not in known:
            live = start(stack)
            live.deployment.configure(changes)
            live.deployment.up()
            known[key] = live
        return known[key]

    yield stand
    for _ in starts:
        """Its end."""


def make_start(engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A `Start` whose simulated clouds live as long as this."""
    running: list[Simulators] = []

    def start(stack: str, like: Live | None = None) -> Live:
        folder = tmp_path_factory.mktemp(stack)
        if like:
            (folder / "world").mkdir()
            shutil.copy(like.world.file, folder / "world")
        simulators = Simulators(folder / "world", [stack.partition("-")[0]])
        running.append(simulators)
        deployment = Deployment(engine, folder / "project", stack, simulators.attached, like.deployment if like else None)
        return Live(deployment, simulators)

    yield start
    for simulators in running:
        simulators.stop()
