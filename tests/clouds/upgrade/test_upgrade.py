"""A deployment of an earlier commit is brought to this one by `up`, through the real engine: nothing is replaced or lost.

Earlier is the newest commit that is a day older than this one, since commits of a day reach deployments together;
`WEBITEL_UPGRADE_FROM` names another.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clouds.conformance.engine import ROOT, Deployment, replaced
from tests.clouds.conformance.program import ACCEPTED
from tests.simulator.simulators import Simulators
from tools.engine.find import find_engine

pytestmark = pytest.mark.clouds

STACKS = ("hetzner-basic", "aws-basic")
DAY_SECONDS = 86400
BRINGING_UP_SECONDS = 300
MAY_GO = ("Rule",)
"""How the types of what `up` may delete end: of a listener that is gone, or moved to another port, the opening goes."""
NEEDS_HISTORY = (
    "No upgrade was tested. It needs the project's history, and this clone is shallow: run `git fetch --unshallow`, "
    "or in a workflow give actions/checkout `fetch-depth: 0`"
)


def git(*words: str) -> bytes:
    """Return what git says of this checkout."""
    done = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words], capture_output=True, check=False)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr.decode()}"
    return done.stdout


def find_earlier() -> str:
    """Find the commit to begin with."""
    if named := os.environ.get("WEBITEL_UPGRADE_FROM"):
        return named
    if git("rev-parse", "--is-shallow-repository").strip() != b"false":
        warnings.warn(NEEDS_HISTORY, stacklevel=2)  # a reason alone is not shown
        pytest.skip(NEEDS_HISTORY)
    now = int(git("log", "-1", "--format=%ct"))
    earlier = git("rev-list", "-1", f"--before={now - DAY_SECONDS}", "HEAD") or git("rev-list", "--max-parents=0", "HEAD")
    return earlier.decode().split()[0]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the earlier commit."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(git("archive", find_earlier()))) as archive:
        archive.extractall(folder, filter="data")
    return folder


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
