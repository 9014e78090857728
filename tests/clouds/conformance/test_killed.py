"""Deletion, replacement and scaling down, killed and failed at their calls, on the real engine and every simulated cloud.

What a run that ended badly advises is run next, until one ends well: then there is what was asked for. Nothing that is
protected is lost at any time, and a node whose machine is off or gone answers nothing, so that nobody calls it healthy.

`WEBITEL_TEST_LONG=1` has every call fail in every way the first time it is made, which takes ten minutes a cloud; without it
each command has one call fail, on a cloud of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import pytest

from components.clouds.registry import CLOUDS
from tests.clouds.conformance.checks import TYPES
from tests.clouds.conformance.command import OWN
from tests.clouds.conformance.conftest import Live, Standing, Start
from tests.clouds.conformance.killing import Rule, Stand, stand_on
from tests.clouds.conformance.sample import deal, do_on
from tests.clouds.conformance.test_day_two import name_of
from tests.long_form import LONG, only_long
from tests.simulator.case import load_case

pytestmark = pytest.mark.clouds

REAL = [cloud for cloud in CLOUDS if CLOUDS[cloud].real]
NODE = "data-1"
"""It has two data disks."""
EMPTY = "app-1"
"""It has none: replaced where nothing else may be."""

KINDS = ("error", "stuck", "cut", "lost")
CALLS = {"replace": 5, "destroy": 11, "scale": 3}
"""Of each command the first calls, among which the one that fails is drawn."""
DEALT = deal("killed", {**dict.fromkeys(CALLS, 1), "never known": 1, "deleted by somebody": 1})
"""The clouds of each check in the short form."""
(LOST_ON,) = DEALT["never known"]
MACHINE_OF_SAMPLE = TYPES[LOST_ON].machine


def draw_sample() -> Mapping[str, tuple[str, str, int]]:
    """Command, kind and call by cloud: a kind a command, so that one of the kinds is had in the long form only."""
    drawn = random.Random(17)
    kinds = drawn.sample(KINDS, len(CALLS))
    return {
        DEALT[command][0]: (command, kind, drawn.randrange(1, calls + 1))
        for (command, calls), kind in zip(CALLS.items(), kinds, strict=True)
    }


SAMPLE = draw_sample()


def rules(cloud: str, command: str, kind: str) -> list[Rule]:
    """Every call fails, the first time it is made; in the short form one. A creation whose answer alone was lost is none
    that the engine knows of, so no call is lost but those that change or delete."""
    if not LONG and SAMPLE.get(cloud, ("", "", 0))[:2] != (command, kind):
        pytest.skip("takes a minute, and is one call of one command in the short form: WEBITEL_TEST_LONG=1")
    if kind == "lost" and (why := load_case(cloud).lost_deletion_stays):
        pytest.skip(why)
    operations = ("delete", "update") if kind == "lost" else ("change",)
    which: Rule = {"each": True} if LONG else {"nth": -(-SAMPLE[cloud][2] // len(operations))}
    return [{"kind": kind, "operation": operation, **which} for operation in operations]


@pytest.fixture(scope="module", params=REAL)
def base(request: pytest.FixtureRequest, standing: Standing) -> Live:
    do_on({cloud for clouds in DEALT.values() for cloud in clouds}, request.param, "takes half a minute")
    return standing(f"{request.param}-basic", OWN)


@pytest.fixture
def stand(base: Live, start: Start) -> Iterator[Stand]:
    live = start(base.deployment.stack, base)
    live.deployment.configure(OWN)
    with stand_on(live) as stand:
        yield stand
    live.simulators.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_replacement(stand: Stand, kind: str) -> None:
    failing = rules(stand.cloud, "replace", kind)
    look, before = stand.look(), stand.machines()
    node = EMPTY if CLOUDS[stand.cloud].disks_in_machine else NODE
    stand.fail(*failing)
    assert stand.run_on("replace", node, "--stack", stand.stack, "--yes").runs > 1
    stand.fail()
    after = stand.machines()
    assert after.pop(node) != before.pop(node)
    assert after == before
    stand.check_whole(look)


@pytest.mark.parametrize("kind", KINDS)
def test_deletion(stand: Stand, kind: str) -> None:
    """What is protected stays, and the next `up` uses it again; with the data, nothing stays."""
    failing = rules(stand.cloud, "destroy", kind)
    look, secrets = stand.look(), stand.secrets()
    stand.fail(*failing)
    if CLOUDS[stand.cloud].disks_in_machine:
        stand.stays = {}
        assert stand.run_on("destroy", stand.stack, "--yes", "--with-data").runs > 1
        assert stand.live.world.all() == []
        return
    assert stand.run_on("destroy", stand.stack, "--yes").runs > 1
    stand.fail()
    assert not stand.machines()
    stand.check_kept()
    assert stand.unknown_to_state() == []
    assert stand.run("up", stand.stack, "--yes").said == ""
    stand.check_whole(look)
    assert stand.secrets() == secrets
    if LONG:
        stand.stays = {}
        stand.fail(*failing)
        stand.run_on("destroy", stand.stack, "--yes", "--with-data")
        assert stand.live.world.all() == []
        assert not stand.live.deployment.state_file.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_scaling_down(stand: Stand, kind: str) -> None:
    failing = rules(stand.cloud, "scale", kind)
    role, more = ("data", 3) if LONG and not CLOUDS[stand.cloud].disks_in_machine else ("app", 2)
    look, before = stand.look(), stand.machines()
    assert stand.run("scale", role, str(more), stand.stack, "--yes").said == ""
    stand.remember()
    stand.fail(*failing)
    assert stand.run_on("scale", role, "1", stand.stack, "--yes").runs > 1
    stand.fail()
    assert stand.machines() == before
    stand.check_whole(look)


@only_long("takes a minute a cloud and kind")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lost"])
def test_scaling_up(stand: Stand, kind: str) -> None:
    """One more comes once and whole, however often that was begun, and goes again without a trace."""
    role, more = ("data", 3) if not CLOUDS[stand.cloud].disks_in_machine else ("app", 2)
    look, before = stand.look(), stand.machines()
    stand.fail({"kind": kind, "operation": "change", "each": True})
    assert stand.run_on("scale", role, str(more), stand.stack, "--yes").runs > 1
    stand.fail()
    assert {name: id for name, id in stand.machines().items() if name in before} == before
    assert len(stand.machines()) == len(before) + more - 1
    assert stand.unknown_to_state() == []
    stand.remember()
    assert stand.run("scale", role, "1", stand.stack, "--yes").said == ""
    assert stand.machines() == before
    stand.check_whole(look)


def lose_creations() -> Rule:
    """The answer to the creation of a machine is lost; in the long form that to every creation, the first time."""
    return {"kind": "lost", "operation": "create", **({"each": True} if LONG else {"type": MACHINE_OF_SAMPLE, "nth": 1})}


def test_scaling_down_what_was_never_known_to_be_there(stand: Stand) -> None:
    """A node that is given up again after the answer to its creation was lost: nothing of it stays."""
    do_on([LOST_ON], stand.cloud, "takes half a minute")
    look, before = stand.look(), stand.machines()
    stand.fail(lose_creations())
    assert (said := stand.run("scale", "app", "2", stand.stack, "--yes").said)
    stand.fail()
    assert stand.machines() != before, said
    assert stand.run("scale", "app", "1", stand.stack, "--yes").said == ""
    assert stand.machines() == before
    stand.check_whole(look)


def test_a_machine_that_somebody_deleted_comes_back_by_a_repair(stand: Stand) -> None:
    """With its disks and addresses; `drift` names it before, and the other machines stay as they are."""
    do_on(DEALT["deleted by somebody"], stand.cloud, "takes half a minute")
    look, before = stand.look(), stand.machines()
    (machine,) = [one for one in TYPES[stand.cloud].list_machines(stand.live.world) if name_of(one) == NODE]
    erase(stand, machine.key)
    drift = stand.webitel("drift", stand.stack, "--no-nodes")
    assert drift.exit_code == 2 and f"{NODE}" in drift.output and "is gone" in drift.output, drift.output
    assert stand.run("up", stand.stack, "--yes", "--repair").said == ""
    after = stand.machines()
    assert after.pop(NODE) != before.pop(NODE)
    assert after == before
    assert {one.name for one in load_case(stand.cloud).see(stand.live.world)} == look.keys()
    stand.check_whole(look)


def erase(stand: Stand, key: str) -> None:
    """Deletes a thing behind our back, and what ties others to it: a cloud keeps no attachment to a machine that is gone."""
    world = stand.live.world
    ties = (TYPES[stand.cloud].attachments,)
    for thing in world.all():
        if key in thing.uses and thing.type in ties:
            world.erase(thing.type, thing.id)
    type, _, id = key.partition("|")
    world.erase(type, id)
