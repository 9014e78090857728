"""The engine is killed in the middle of `up`, half of the time inside a creation whose answer never comes: the next `up`
finishes it, and what exists then is what an `up` without interruption makes, nothing twice and nothing left over.

`WEBITEL_TEST_LONG=1` kills each cloud's `up` at ten places, half of them inside a creation, and has every type cut; without
it each check is done on one cloud or two. Each kill prints where it hit and what came of it.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.console import Failure
from cli.engine.engine import Engine
from cli.engine.leftovers import clear_leftovers
from cli.engine.pending import as_made, find_ids
from cli.engine.rollout import report_failure, run_engine
from components.clouds.adoption import REPEATED
from components.clouds.registry import CLOUDS, load_ways
from provider.server import Request
from tests.clouds.conformance.checks import TYPES, find_world_problems
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.engine import ROOT, Deployment
from tests.clouds.conformance.sample import deal, do_on
from tests.clouds.conformance.test_conformance import plan_of
from tests.long_form import LONG, only_long
from tests.simulator.world import World

pytestmark = pytest.mark.clouds

REAL = [cloud for cloud in CLOUDS if CLOUDS[cloud].real]
SECONDS = 240
RUNS = 30 if LONG else 3
"""An `up` that was run so often and has not ended never does."""


POINTS = 5 if LONG else 1
"""Places of each kind a cloud."""
DEALT = deal("interrupted", {"killed": 1, "cut": 1, "lost": 1, "refused": 1, "found": 1})
"""The clouds of each check in the short form, which has no error that the cloud tells of; how each refuses machines is in
tests/unit/model/test_refusals.py."""
TWINS = ("aws", "digitalocean", "xen")
"""Clouds where several things can wear the same tags or name."""
TWINS_OF_SHORT = ("digitalocean",)


@dataclass
class Stand:
    """A deployment with its simulated cloud, and our command line's view of it."""

    live: Live
    engine: Engine

    @property
    def deployment(self) -> Deployment:
        return self.live.deployment

    @property
    def world(self) -> World:
        return self.live.world

    @property
    def faults(self) -> Path:
        """The file of what fails."""
        assert self.live.simulators.faults.file
        return self.live.simulators.faults.file

    def interrupt(self, *cut: str, things: int = 0) -> bool:
        """Runs `up` and kills it: inside the first creation of one of the types, or when so many things exist; False = it
        ended before."""
        self.live.simulators.faults.cut.clear()
        self.faults.write_text(json.dumps([{"kind": "cut", "type": type} for type in cut]))
        arguments = ["up", "--stack", self.engine.stack, "--yes", "--skip-preview", "--non-interactive", "--color", "never"]
        with (self.deployment.folder / "shown").open("w") as shown:
            process = subprocess.Popen(
                [str(self.deployment.engine), *arguments],
                cwd=self.deployment.folder,
                env=self.deployment.environment,
                stdin=subprocess.DEVNULL,
                stdout=shown,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < until:
            if self.live.simulators.faults.cut.is_set() if cut else len(self.world.all()) >= things:
                break
            time.sleep(0.002)
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.faults.unlink()
        self.live.simulators.settle()
        self.engine.answers.clear()
        return alive

    def pending(self) -> list[str]:
        # Asked anew: in between the deployment ran without our Engine, which remembers what it was told.
        state = json.loads(self.engine.run("stack", "export"))["deployment"]
        return [one["resource"]["type"] for one in state.get("pending_operations", [])]


def made(world: World) -> Counter[tuple[str, str]]:
    """What exists, by type and name of its resource."""
    return Counter((thing.type, thing.urn.rpartition("::")[2]) for thing in world.all())


@pytest.fixture(params=REAL)
def undisturbed(request: pytest.FixtureRequest, standing: Standing) -> Live:
    """A deployment that nobody interrupted."""
    do_on({*TWINS_OF_SHORT, *(cloud for clouds in DEALT.values() for cloud in clouds)}, request.param, "takes half a minute")
    return standing(f"{request.param}-basic")


@pytest.fixture
def stand(undisturbed: Live, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """A deployment of the same stack, of which nothing is up."""
    live = start(undisturbed.deployment.stack)
    for name, value in live.simulators.environment.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "stacks").mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    engine = Engine(live.deployment.stack, live.deployment.engine, live.deployment.environment, tmp_path)
    shutil.copy(live.deployment.file, engine.config_file)
    yield Stand(live, engine)
    live.simulators.stop()


Told = Callable[[str], None]


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Told:
    """Prints a line of the table of kills."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="")

    return say


def cloud_types(live: Live) -> list[str]:
    """The cloud's types in the order in which the first of each was made."""
    return list(dict.fromkeys(thing.type for thing in live.world.all() if not thing.type.startswith("webitel:")))


def check(stand: Stand, undisturbed: Live) -> None:
    assert made(stand.world) == made(undisturbed.world)
    assert stand.pending() == []
    assert list(find_world_problems(*plan_of(stand.deployment.stack), stand.world)) == []
    assert stand.deployment.preview("--expect-no-changes") == []


def finish(stand: Stand, undisturbed: Live, tell: Told, point: str) -> None:
    """The `up` after a kill, which has to end as if there had been none."""
    things, pending = len(stand.world.all()), len(stand.pending())
    clear_leftovers(stand.engine)
    stand.deployment.up()
    check(stand, undisturbed)
    tell(f"| {stand.deployment.stack} | {point} | {things} | {pending} | {len(stand.world.all())}, as without |")


def choose_cuts(cloud: str, types: list[str], count: int) -> list[str]:
    """A machine, a disk and further types, as far as there are any."""
    kept = [*dict.fromkeys((TYPES[cloud].machine, TYPES[cloud].disk))]
    further = sorted({*types} - {*kept})
    return [*kept, *random.Random(cloud).sample(further, min(count - len(kept), len(further)))]


def test_every_creation_is_found_again_as_itself(
    undisturbed: Live,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes three seconds: each cloud has it whose deployment stands for another check."""
    find_again(undisturbed, tmp_path, monkeypatch)


def find_again(undisturbed: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the answer to each creation had been lost: what is looked up and then read by its provider is that very thing."""
    for name, value in undisturbed.simulators.environment.items():
        monkeypatch.setenv(name, value)
    deployment = undisturbed.deployment
    aside = Engine(deployment.stack, deployment.engine, deployment.environment, tmp_path)
    (tmp_path / "stacks").mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copy(deployment.file, aside.config_file)
    state = aside.export()["deployment"]["resources"]
    created = {
        one["urn"]: {**one, "inputs": thing.inputs}
        for one in state
        if (thing := undisturbed.world.find(one["type"], one.get("id", ""))) and not one["type"].startswith("webitel:")
    }
    found = find_ids(aside, list(created.values()), [one for one in state if one["urn"] not in created])
    repeated = {urn for urn, one in created.items() if load_ways()[one["type"]] is REPEATED}
    assert created and found.keys() == created.keys() - repeated
    for urn, id in found.items():
        made = as_made(created[urn], id)
        handler = next(p.handlers[made["type"]] for p in undisturbed.simulators.providers if made["type"] in p.handlers)
        # As a provider does: told nothing of it but the id, it takes that for one to import.
        id = made["id"] if made["outputs"] else handler.find_imported(made["id"])
        assert handler.read(Request(urn), id, made["inputs"], made["outputs"]), f"{urn} is not read by {id}"
        thing = undisturbed.world.find(made["type"], id)
        assert thing and thing.urn == urn


def test_cut_inside_creations(undisturbed: Live, stand: Stand) -> None:
    """One `up` after the other is cut in creations of types that were not cut before."""
    cloud, types = stand.deployment.stack.partition("-")[0], cloud_types(undisturbed)
    do_on(DEALT["cut"], cloud, "takes half a minute")
    left = set(types if LONG else choose_cuts(cloud, types, 3))
    cuts = 0
    while left:
        if not stand.interrupt(*left):
            # On a busy machine a kill comes late: what is left was made while an earlier one was on its way.
            assert cuts and left <= {thing.type for thing in stand.world.all()}, f"none of {left} was made"
            break
        cut = left & set(stand.pending())
        assert cut
        cuts += 1
        left -= cut
        clear_leftovers(stand.engine)
        assert stand.pending() == []
    stand.deployment.up()
    check(stand, undisturbed)


@pytest.mark.parametrize("kind", ["lost", "error"])
def test_a_creation_whose_answer_is_lost_is_adopted(undisturbed: Live, stand: Stand, kind: str) -> None:
    """The engine goes on, and takes it for failed. One type, and in the long form every creation the first time it is made;
    what failed and was not made is made by the next `up`."""
    cloud = stand.deployment.stack.partition("-")[0]
    do_on(DEALT["lost"] if kind == "lost" else (), cloud, "takes fifteen seconds")
    plan, _ = plan_of(stand.deployment.stack)
    rule = {"kind": kind, **({"each": True} if LONG else {"type": TYPES[cloud].machine, "times": 0})}
    stand.faults.write_text(json.dumps([rule]))
    first: dict[str, str] = {}
    runs = 0
    for _ in range(RUNS):
        runs += 1
        run = run_engine(stand.engine, plan.nodes, "up", "--continue-on-error")
        first = {thing.urn: thing.id for thing in stand.world.all()} | first
        if run.status == 0:
            break
        clear_leftovers(stand.engine)
        if not LONG:
            stand.faults.unlink(missing_ok=True)
    assert run.status == 0, run.rollout.errors
    assert runs > 1
    stand.deployment.up()  # from its own project's file, which changes nothing that was made
    check(stand, undisturbed)
    assert {thing.urn: thing.id for thing in stand.world.all()} == first


@pytest.mark.parametrize("number", range(POINTS))
def test_killed_anywhere(undisturbed: Live, stand: Stand, tell: Told, number: int) -> None:
    do_on(DEALT["killed"], stand.deployment.stack.partition("-")[0], "takes fifteen seconds")
    size = len(undisturbed.world.all())
    things = random.Random(f"{stand.deployment.stack} {number}").randrange(2, size - 4)
    assert stand.interrupt(things=things)
    finish(stand, undisturbed, tell, "between calls")


@only_long("takes minutes a cloud")
@pytest.mark.parametrize("number", range(POINTS))
def test_killed_inside_a_creation(undisturbed: Live, stand: Stand, tell: Told, number: int) -> None:
    types = choose_cuts(stand.deployment.stack.partition("-")[0], cloud_types(undisturbed), POINTS)
    type = types[number % len(types)]
    assert stand.interrupt(type), f"no {type} was made"
    finish(stand, undisturbed, tell, f"creating {type.rpartition(':')[2]}")


def test_two_that_fit_are_not_adopted(undisturbed: Live, stand: Stand) -> None:
    """Only where several things can wear the same tags or name."""
    cloud = stand.deployment.stack.partition("-")[0]
    if cloud not in TWINS:
        pytest.skip(f"{cloud} lets no two of these have one name: nothing to tell apart")
    do_on(TWINS_OF_SHORT, cloud, "takes ten seconds")
    machine = TYPES[cloud].machine
    assert stand.interrupt(machine)
    twin = stand.world.all(machine)[-1]
    with stand.world.change() as world:
        world.put(type(twin)(twin.type, f"{twin.id[:-1]}{(int(twin.id[-1], 16) + 5) % 10}", twin.urn, twin.inputs, twin.outputs))
    with pytest.raises(Failure, match=r"2 things may be the \w+ \w+-1, whose creation was interrupted: .*Delete the ones"):
        clear_leftovers(stand.engine)
    assert machine in stand.pending()


def test_refusals_are_explained_and_the_next_up_goes_on(undisturbed: Live, stand: Stand) -> None:
    """One machine finds no capacity, the second no quota, the third is asked for too often."""
    stack = stand.deployment.stack
    plan, _ = plan_of(stack)
    do_on(DEALT["refused"], plan.cloud, "takes fifteen seconds")
    machine = TYPES[plan.cloud].machine
    stand.faults.write_text(
        json.dumps(
            [
                {"kind": "capacity", "type": machine},
                {"kind": "quota", "type": machine},
                {"kind": "rate", "type": machine, "times": 0},
            ]
        )
    )
    run = run_engine(stand.engine, plan.nodes, "up", "--continue-on-error")
    with pytest.raises(Failure) as caught:
        report_failure(run, f"./webitel up {stack}", plan)
    told = str(caught.value)
    lines = [line for line in told.splitlines() if f"{plan.facts.title} {plan.region}" in line]
    assert len(lines) == len(plan.nodes), told
    for words in ("has none free for", "gives your account no more for", "got too many requests for"):
        (line,) = [line for line in lines if words in line]
        assert any(node.machine_type.name in line and node.key in line for node in plan.nodes), line
    stand.faults.unlink()
    stand.deployment.up()
    check(stand, undisturbed)
