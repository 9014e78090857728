"""Simulated clouds called directly, without the engine between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provider.server import Changes, Failure, Properties, Request
from tests.simulator.case import load_case
from tests.simulator.faults import Faults
from tests.simulator.project import Project
from tests.simulator.simulators import Simulators, make_provider
from tests.simulator.world import World
from tools.engine.find import find_engine

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJXn0mR8qV7rY1l2k3m4n5o6p7q8r9s0t1u2v3w4x5y6 test"

ANYBODY, OFFICE = "192.0.2.77", "203.0.113.9"
"""Addresses of the internet, the second one of the operators' network."""

ALL = {"tcp": ((1, 65535),), "udp": ((1, 65535),), "icmp": ((0, 0),)}
"""Everything that may be open."""


class CheckFailed(Exception):
    """What the provider refuses before anything is created."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__("; ".join(f"{failure.property}: {failure.reason}" for failure in failures))


@dataclass
class Made:
    """A resource as the engine would remember it; `given` is what the program says."""

    type: str
    name: str
    id: str
    inputs: Properties
    outputs: Properties
    given: Properties

    @property
    def number(self) -> int:
        """The id as a reference to a thing with a numeric one."""
        return int(self.id)


class Driver:
    """Calls one cloud as the engine does: check, then create, diff and update or replace, delete."""

    def __init__(self, cloud: str, folder: Path, settings: Mapping[str, Any]) -> None:
        self.world = World(folder / "world.jsonl")
        self.faults_file = folder / "faults.json"
        self.provider = make_provider(cloud, self.world, Faults(self.faults_file))
        if self.provider.configure:
            self.provider.configure(dict(settings))

    def find_type(self, short: str) -> str:
        """The token that ends with `/short:Short` or `:Short`; `x/Short` names its module."""
        module, _, name = short.rpartition("/")
        found = [t for t in self.provider.handlers if t.endswith(f":{name}") and f":{module}" in t]
        assert len(found) == 1, (short, found)
        return found[0]

    def request(self, type: str, name: str, preview: bool = False) -> Request:
        return Request(f"urn:pulumi:test::test::{type}::{name}", preview=preview)

    def check(self, short: str, name: str = "x", old: Properties | None = None, /, **inputs: Any) -> Properties:
        type = self.find_type(short)
        checked, failures = self.provider.handlers[type].check(self.request(type, name), old, inputs)
        if failures:
            raise CheckFailed(failures)
        return checked

    def create(self, short: str, resource: str = "x", /, **inputs: Any) -> Made:
        type = self.find_type(short)
        checked = self.check(short, resource, **inputs)
        id, outputs = self.provider.handlers[type].create(self.request(type, resource), checked)
        return Made(type, resource, id, checked, outputs, inputs)

    def preview(self, short: str, resource: str = "x", /, **inputs: Any) -> Properties:
        type = self.find_type(short)
        return self.provider.handlers[type].preview_create(
            self.request(type, resource, True), self.check(short, resource, **inputs)
        )

    def diff(self, made: Made, /, **inputs: Any) -> Changes:
        handler = self.provider.handlers[made.type]
        request = self.request(made.type, made.name)
        new, failures = handler.check(request, made.inputs, {**made.given, **inputs})
        if failures:
            raise CheckFailed(failures)
        return handler.diff(request, made.id, made.inputs, made.outputs, new)

    def update(self, made: Made, /, **inputs: Any) -> Made:
        assert not self.diff(made, **inputs).replaces
        handler = self.provider.handlers[made.type]
        request = self.request(made.type, made.name)
        given = {**made.given, **inputs}
        new, _ = handler.check(request, made.inputs, given)
        outputs = handler.update(request, made.id, made.inputs, made.outputs, new)
        return Made(made.type, made.name, made.id, new, outputs, given)

    def read(self, made: Made) -> tuple[Properties, Properties] | None:
        return self.provider.handlers[made.type].read(self.request(made.type, made.name), made.id, made.inputs, made.outputs)

    def delete(self, made: Made) -> None:
        self.provider.handlers[made.type].delete(self.request(made.type, made.name), made.id, made.inputs, made.outputs)

    def break_(self, **rule: Any) -> None:
        """Writes one rule of failure."""
        self.faults_file.write_text(json.dumps([rule]))


@pytest.fixture
def make_driver(tmp_path: Path) -> Callable[[str], Driver]:
    return lambda cloud: Driver(cloud, tmp_path, load_case(cloud).settings)


StartProject = Callable[[str, Mapping[str, str]], Project]


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Simulators]:
    made = Simulators(tmp_path / "clouds")
    yield made
    made.stop()


@pytest.fixture
def start_project(tmp_path: Path, simulators: Simulators) -> Iterator[StartProject]:
    """Makes a project with a program and configuration on the simulated clouds."""
    made: list[Project] = []

    def start(program: str, config: Mapping[str, str]) -> Project:
        made.append(Project(find_engine(print), tmp_path, simulators, program, config))
        return made[-1]

    yield start
    for project in made:
        project.kill_all()
