"""The bucket for backups that a deployment makes: as private and as lasting as it has to be, and what its key may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider.server import Properties
from tests.clouds.conformance.buckets import BUGS, NAME, find_bucket_problems
from tests.clouds.conformance.program import CLOUD_CONFIG, ProgramError, Registration, Tamper, run_program
from tests.simulator import webitel
from tests.simulator.bugs import Bug, Draft
from tests.simulator.faults import Faults
from tests.simulator.simulators import make_provider
from tests.simulator.world import World

pytestmark = [pytest.mark.clouds, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MAKING = tuple(BUGS)
"""Clouds on which a bucket is made."""


def build(cloud: str, folder: Path, tamper: Tamper | None = None, **changes: Any) -> tuple[World, list[Registration], Properties]:
    """A deployment with a bucket of its own."""
    world, faults = World(folder / "world.jsonl"), Faults(None)
    providers = [make_provider(cloud, world, faults), webitel.make_provider(world, faults)]
    settings = {"backup": {"bucket": NAME, **changes.pop("backup", {})}, **changes}
    return world, *run_program(f"{cloud}-single", providers, settings, cloud_config=CLOUD_CONFIG, tamper=tamper)


@pytest.mark.parametrize("cloud", MAKING)
def test_a_bucket_is_made(cloud: str, tmp_path: Path) -> None:
    world, registrations, _ = build(cloud, tmp_path, backup={"keep_days": 60})
    assert list(find_bucket_problems(cloud, world, registrations, days=60)) == []


@pytest.mark.parametrize("cloud", MAKING)
def test_its_key_is_rotated_by_another_one_which_nodes_have_before_the_former_goes(cloud: str, tmp_path: Path) -> None:
    for place in ("before", "after"):
        (tmp_path / place).mkdir()
    _, before, _ = build(cloud, tmp_path / "before")
    world, after, _ = build(cloud, tmp_path / "after", rotate={"backup_key": 2})
    assert list(find_bucket_problems(cloud, world, after, days=30)) == []
    names = [{(one.type, one.name) for one in registrations} for registrations in (before, after)]
    # Another name: the engine makes what is new, changes what uses it, and deletes what is gone last.
    assert [len(some - others) for some, others in (names, reversed(names))] == [1, 1], names


@pytest.mark.parametrize("cloud", MAKING)
def test_without_it_nothing_of_it_is_there(cloud: str, tmp_path: Path) -> None:
    world, registrations, _ = build(cloud, tmp_path, backup={"bucket": ""})
    assert "there is no bucket" in list(find_bucket_problems(cloud, world, registrations, days=30))
    assert not [one for one in registrations if one.name in ("backup", NAME)]


PLANTED = [(cloud, bug) for cloud in MAKING for bug in BUGS[cloud]]


@pytest.mark.parametrize(("cloud", "bug"), PLANTED, ids=[f"{cloud}-{bug.title}" for cloud, bug in PLANTED])
def test_bug_is_found(cloud: str, bug: Bug, tmp_path: Path) -> None:
    planted: list[str] = []

    def plant(draft: Draft) -> None:
        if bug.fits(draft):
            bug.change(draft)
            planted.append(draft.name)

    try:
        world, registrations, _ = build(cloud, tmp_path, plant)
    except ProgramError:
        assert planted
        return
    assert planted, "nothing to plant the bug in"
    assert list(find_bucket_problems(cloud, world, registrations, days=30))
