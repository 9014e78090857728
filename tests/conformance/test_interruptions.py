"""The engine is killed in the middle of `up`, half of the time inside a creation whose answer never comes: the next `up`
finishes it, and what exists then is what an `up` without interruption makes, nothing twice and nothing left over.

`WEBITEL_TEST_LONG=1` has every type of each cloud cut and ten further places; without it a few of both.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.console import Failure
from cli.engine import Engine
from cli.leftovers import clear_leftovers
from cli.rollout import report_failure, run_engine
from components.clouds.lookups import WAYS
from components.model.clouds import CLOUDS
from tests.conformance.checks import TYPES, find_world_problems
from tests.conformance.engine import ROOT, Deployment
from tests.conformance.test_conformance import plan_of
from tests.simulator.simulators import Simulators
from tests.simulator.world import World

pytestmark = pytest.mark.clouds

LONG = bool(os.environ.get("WEBITEL_TEST_LONG"))
REAL = [cloud for cloud in CLOUDS if CLOUDS[cloud].real]
SECONDS = 240


@dataclass
class Stand:
    """A deployment with its simulated cloud, and our command line's view of it."""

    deployment: Deployment
    simulators: Simulators
    engine: Engine
    faults: Path

    @property
    def world(self) -> World:
        return self.simulators.world

    def interrupt(self, *cut: str, things: int = 0) -> bool:
        """Runs `up` and kills it: inside the first creation of one of the types, or when so many things exist; False = it
        ended before."""
        self.simulators.faults.cut.clear()
        self.faults.write_text(json.dumps([{"kind": "cut", "type": type} for type in cut]))
        arguments = ["up", "--yes", "--skip-preview", "--non-interactive", "--color", "never"]
        with (self.deployment.folder / "shown").open("w") as shown:
            process = subprocess.Popen(
                [str(self.deployment.engine), *arguments], cwd=self.deployment.folder, env=self.deployment.environment,
                stdin=subprocess.DEVNULL, stdout=shown, stderr=subprocess.STDOUT, start_new_session=True)
        until = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < until:
            if (self.simulators.faults.cut.is_set() if cut else len(self.world.all()) >= things):
                break
            time.sleep(0.002)
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.faults.unlink()
        self.settle_down()
        return alive

    def settle_down(self) -> None:
        """Waits for calls that were under way: the cloud ends them, whoever asked."""
        before = -1
        while before != (now := self.world.file.stat().st_size):
            before = now
            time.sleep(0.2)

    def pending(self) -> list[str]:
        state = self.engine.export()["deployment"]
        return [one["resource"]["type"] for one in state.get("pending_operations", [])]

    def made(self) -> Counter[tuple[str, str]]:
        """What exists, by type and name of its resource."""
        return Counter((thing.type, thing.urn.rpartition("::")[2]) for thing in self.world.all())


def make_stand(engine: Path, folder: Path, cloud: str) -> Stand:
    stack = f"{cloud}-basic"
    simulators = Simulators(folder / "world", [cloud])
    deployment = Deployment(engine, folder / "project", stack, simulators.attached)
    run = folder / "run"
    (run / "stacks").mkdir(parents=True)
    shutil.copy(ROOT / "Pulumi.yaml", run)
    view = Engine(stack, engine, deployment.environment, run)
    shutil.copy(deployment.file, view.config_file)
    return Stand(deployment, simulators, view, folder / "world/faults.json")


@pytest.fixture(scope="module", params=REAL)
def undisturbed(request: pytest.FixtureRequest, engine: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A deployment that nobody interrupted."""
    stand = make_stand(engine, tmp_path_factory.mktemp(request.param), request.param)
    stand.deployment.up()
    yield stand
    stand.simulators.stop()


@pytest.fixture
def stand(
    undisturbed: Stand, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stand]:
    made = make_stand(engine, tmp_path, undisturbed.deployment.stack.partition("-")[0])
    for name, value in made.simulators.environment.items():
        monkeypatch.setenv(name, value)
    yield made
    made.simulators.stop()


def cloud_types(stand: Stand) -> list[str]:
    """The cloud's types in the order in which the first of each was made."""
    return list(dict.fromkeys(thing.type for thing in stand.world.all() if not thing.type.startswith("webitel:")))


def check(stand: Stand, undisturbed: Stand) -> None:
    assert stand.made() == undisturbed.made()
    assert stand.pending() == []
    assert list(find_world_problems(*plan_of(stand.deployment.stack), stand.world)) == []
    assert stand.deployment.preview("--expect-no-changes") == []


def choose_cuts(cloud: str, types: list[str]) -> list[str]:
    """All types, or a machine, a disk and a third one."""
    if LONG:
        return types
    kept = [TYPES[cloud].machine, TYPES[cloud].disk]
    return [*kept, random.Random(cloud).choice([type for type in types if type not in kept])]


def test_every_type_is_found_again(undisturbed: Stand) -> None:
    assert set(cloud_types(undisturbed)) <= WAYS.keys()


def test_cut_inside_creations(undisturbed: Stand, stand: Stand) -> None:
    """One `up` after the other is cut in creations of types that were not cut before."""
    cloud = stand.deployment.stack.partition("-")[0]
    left = set(choose_cuts(cloud, cloud_types(undisturbed)))
    while left:
        assert stand.interrupt(*left), f"none of {left} was made"
        cut = left & set(stand.pending())
        assert cut
        left -= cut
        clear_leftovers(stand.engine)
        assert stand.pending() == []
    stand.deployment.up()
    check(stand, undisturbed)


@pytest.mark.parametrize("number", range(10 if LONG else 1))
def test_killed_anywhere(undisturbed: Stand, stand: Stand, number: int) -> None:
    size = len(undisturbed.world.all())
    things = random.Random(f"{stand.deployment.stack} {number}").randrange(2, size - 4)
    assert stand.interrupt(things=things)
    clear_leftovers(stand.engine)
    stand.deployment.up()
    check(stand, undisturbed)


@pytest.mark.skipif(not LONG, reason="takes minutes a cloud: WEBITEL_TEST_LONG=1")
def test_each_type_cut_alone(undisturbed: Stand, engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = undisturbed.deployment.stack.partition("-")[0]
    for number, type in enumerate(cloud_types(undisturbed)):
        stand = make_stand(engine, tmp_path / str(number), cloud)
        for name, value in stand.simulators.environment.items():
            monkeypatch.setenv(name, value)
        assert stand.interrupt(type), f"no {type} was made"
        clear_leftovers(stand.engine)
        stand.deployment.up()
        check(stand, undisturbed)
        stand.simulators.stop()


def test_two_that_fit_are_not_adopted(undisturbed: Stand, stand: Stand) -> None:
    """Only where several things can wear the same tags or name: AWS and DigitalOcean."""
    cloud = stand.deployment.stack.partition("-")[0]
    if cloud not in ("aws", "digitalocean"):
        pytest.skip(f"{cloud} lets no two of these have one name: nothing to tell apart")
    machine = TYPES[cloud].machine
    assert stand.interrupt(machine)
    twin = stand.world.all(machine)[-1]
    with stand.world.change() as world:
        world.put(type(twin)(twin.type, f"{twin.id[:-1]}{(int(twin.id[-1], 16) + 5) % 10}", twin.urn, twin.inputs, twin.outputs))
    with pytest.raises(Failure, match=r"2 things may be the \w+ \w+-1, whose creation was interrupted: .*Delete the ones"):
        clear_leftovers(stand.engine)
    assert machine in stand.pending()


def test_refusals_are_explained_and_the_next_up_goes_on(undisturbed: Stand, stand: Stand) -> None:
    """One machine finds no capacity, the second no quota, the third is asked for too often."""
    stack = stand.deployment.stack
    plan, _ = plan_of(stack)
    machine = TYPES[plan.cloud].machine
    stand.faults.write_text(json.dumps([
        {"kind": "capacity", "type": machine}, {"kind": "quota", "type": machine},
        {"kind": "rate", "type": machine, "times": 0}]))
    run = run_engine(stand.engine, plan.nodes, "up", "--continue-on-error")
    with pytest.raises(Failure) as caught:
        report_failure(run, f"./webitel up {stack}", plan)
    told = str(caught.value)
    lines = [line for line in told.splitlines() if f"{CLOUDS[plan.cloud].title} {plan.region}" in line]
    assert len(lines) == len(plan.nodes), told
    for words in ("has none free for", "lets your account have no more for", "was asked too often for"):
        (line,) = [line for line in lines if words in line]
        assert any(node.machine_type.name in line and node.key in line for node in plan.nodes), line
    stand.faults.unlink()
    stand.deployment.up()
    check(stand, undisturbed)
