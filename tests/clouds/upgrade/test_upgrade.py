"""A deployment of an earlier commit is brought to this one by `up`, through the real engine: nothing is replaced or lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clouds.conformance.engine import Deployment, replaced
from tests.clouds.conformance.program import ACCEPTED
from tests.earlier import extract_earlier
from tests.simulator.simulators import Simulators
from tools.engine.find import find_engine

pytestmark = pytest.mark.clouds

STACKS = ("hetzner-basic", "aws-basic")
BRINGING_UP_SECONDS = 300
MAY_GO = ("Rule",)
"""How the types of what `up` may delete end: of a listener that is gone, or moved to another port, the opening goes."""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the earlier commit."""
    return extract_earlier(tmp_path_factory.mktemp("earlier"))


@dataclass(frozen=True)
class Like:
    """What a deployment goes on with."""

    state_file: Path
    file: Path


@dataclass
class Upgrade:
    """A deployment that the earlier commit brought up, under the code of this one."""

    deployment: Deployment
    before: dict[str, str]


@pytest.fixture(params=STACKS)
def upgrade(request: pytest.FixtureRequest, earlier: Path, tmp_path: Path) -> Iterator[Upgrade]:
    stack, engine, made = str(request.param), find_engine(print), tmp_path / "earlier"
    made.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name("earlier.py")), str(engine), stack, str(made)],
        cwd=earlier,
        env={**os.environ, "PYTHONPATH": str(earlier)},
        capture_output=True,
        text=True,
        timeout=BRINGING_UP_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"the earlier commit cannot bring {stack} up:\n{done.stdout}{done.stderr}"
    shutil.copytree(made / "world", tmp_path / "world")
    simulators = Simulators(tmp_path / "world", [stack.partition("-")[0]])
    try:
        like = Like(made / "state.json", made / "stack.yaml")
        deployment = Deployment(engine, tmp_path / "project", stack, simulators.attached, like)
        yield Upgrade(deployment, deployment.known())
    finally:
        simulators.stop()


def test_up_replaces_nothing_and_loses_nothing(upgrade: Upgrade) -> None:
    deployment = upgrade.deployment
    # Calls in progress are none here.
    deployment.configure({"disruptive": True, **ACCEPTED})
    steps = deployment.up()
    assert replaced(steps) == []
    assert [step for step in steps if step.op == "delete" and not step.type.endswith(MAY_GO)] == []
    after = deployment.known()
    assert {urn for urn, id in upgrade.before.items() if urn in after and after[urn] != id} == set()
    assert deployment.preview() == []
