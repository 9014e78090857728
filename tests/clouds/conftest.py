"""The program of a stack against providers that know the schemas and no cloud: what is asked for, not what is made of it.

The simulated clouds of tests/simulator are stricter; what they compute from is shown here as it left the adapter.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from components.clouds.registry import CLOUDS
from provider.server import Properties, Provider, Request
from tests.clouds.conformance.program import CLOUD_CONFIG, Registration, run_program
from tests.simulator import webitel
from tests.simulator.call import Account, Call
from tests.simulator.case import load_case
from tests.simulator.faults import Faults
from tests.simulator.resource import Simulated
from tests.simulator.simulators import Simulators
from tests.simulator.world import World
from tools.engine.find import cache_folder

pytest.register_assert_rewrite("tests.clouds.budgets")

TEXTS = {"address", "allocationId", "instanceId", "ipAddress", "keyName", "publicIp", "selfLink", "vmId"}
"""Outputs that adapters use."""


Attach = Callable[[str], Simulators]

LONG = 120.0
"""Seconds, for a machine with much else to do."""


@pytest.fixture
def attach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attach]:
    """Makes a simulated cloud and the environment of somebody who has its credentials."""
    running: list[Simulators] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_folder().parent))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)

    def start(cloud: str) -> Simulators:
        running.append(Simulators(tmp_path / "world", [cloud]))
        monkeypatch.setenv("PULUMI_DEBUG_PROVIDERS", running[-1].attached)
        for name, value in {**running[-1].environment, **load_case(cloud).variables}.items():
            monkeypatch.setenv(name, value)
        return running[-1]

    yield start
    for simulators in running:
        simulators.stop()


class Recorded(Simulated):
    """A resource of the schema without rules: its texts say what they are."""

    # The SDK's list is older than the cloud's machines.
    values: ClassVar[Mapping[str, set[str]]] = {
        "hardwareProfile.vmSize": {machine.name for machine in CLOUDS["azure"].machine_types}
    }

    def make(self, call: Call) -> Properties:
        names = self.account.schema.output_names(self.type) - call.inputs.keys()
        given = {key.lower(): value for key, value in call.inputs.items()}
        called = given.get(f"{self.type.rpartition(':')[2].lower()}name")  # as Azure spells an input for its output `name`
        return {**{name: f"{name} of {call.request.name}" for name in names & TEXTS}, **({"name": called} if called else {})}


class Asked:
    """What a program asked for."""

    def __init__(self, registrations: list[Registration], outputs: Properties) -> None:
        self.registrations = registrations
        self.outputs = outputs

    def all(self, type: str) -> dict[str, Registration]:
        """The resources whose type ends so, by name."""
        return {one.name: one for one in self.registrations if one.type.endswith(f":{type}")}

    def one(self, type: str, name: str) -> Properties:
        """The inputs of a resource."""
        return self.all(type)[name].inputs

    def id(self, type: str, name: str) -> str:
        """What others name it by."""
        return self.all(type)[name].id


Ask = Callable[..., Asked]


@pytest.fixture(scope="session")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Runs the program of a committed stack with changed settings, once for equal ones."""
    asked: dict[str, Asked] = {}

    def run(stack: str, functions: Mapping[str, Properties] | None = None, **changes: Any) -> Asked:
        key = json.dumps([stack, functions, changes])
        if key not in asked:
            asked[key] = run_stack(tmp_path_factory.mktemp(stack), stack, functions or {}, changes)
        return asked[key]

    return run


def run_stack(
    folder: Path,
    stack: str,
    functions: Mapping[str, Properties],
    changes: Mapping[str, Any],
    cloud_config: Mapping[str, Mapping[str, str]] = CLOUD_CONFIG,
) -> Asked:
    """What the program of a stack asks for; `functions` are the answers of the cloud's functions."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    account = Account(CLOUDS[stack.partition("-")[0]].package, world, faults)
    handlers = [type("One", (Recorded,), {"type": name})(account) for name in account.schema.resources]

    def invoke(request: Request, token: str, arguments: Properties) -> Properties:
        return {**arguments, **functions[token]}

    cloud = Provider(account.package, account.schema.version, handlers, configure=lambda _: None, invoke=invoke)
    providers = [cloud, webitel.make_provider(world, faults)]
    return Asked(*run_program(stack, providers, changes, cloud_config=cloud_config))
