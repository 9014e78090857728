"""How long a preview takes and how large a state gets, by number of nodes; figures are printed, bounds are generous.

`WEBITEL_TEST_LONG=1` does it on every cloud, and brings all nodes up where the short form previews them only.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from components.model.settings import Settings
from tests.clouds.conformance.conftest import Start
from tests.clouds.conformance.program import Config, read_config
from tests.clouds.conformance.test_conformance import REAL
from tests.long_form import LONG
from tests.plans import make_plan
from tools.engine.find import find_engine

pytestmark = pytest.mark.clouds

CLOUDS = REAL if LONG else ["hetzner"]

COUNTS: Mapping[int, Config] = {
    7: {},
    30: {"counts": {"db": 5, "bus": 3, "media": 15, "web": 5}},
    100: {"counts": {"db": 5, "bus": 3, "media": 60, "web": 30}},
}
"""An `extended` stack by its number of nodes."""


@pytest.fixture(scope="module")
def engine() -> Path:
    """The engine as users have it: each run loads everything itself."""
    return find_engine(print)


GENEROUS = 20.0
"""Times the budget of 15 s to 30 nodes and 30 s to 100: machines that run these tests have other work too."""

BYTES_A_NODE, BYTES_A_PAIR = 80_000, 500
"""Of the state; secrets and texts in it included. Every node's configuration has the addresses of all."""

WATCH = """\
import threading, time
from pathlib import Path
from tests.plans import make_plan

def watch():
    while True:
        status = Path("/proc/self/status").read_text()
        Path("memory.new").write_text(status.partition("VmHWM:")[2].split()[0])
        Path("memory.new").rename("memory")  # in one step: the program ends at any moment
        time.sleep(0.1)

threading.Thread(target=watch, daemon=True).start()
"""
"""Keeps the peak of the program's resident memory, KiB, in a file."""


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_preview_grows_with_the_nodes(cloud: str, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    for nodes, changes in COUNTS.items():
        stack = f"{cloud}-extended"
        assert len(make_plan(Settings.model_validate(read_config(stack, changes)), stack).nodes) == nodes
        deployment = start(stack).deployment
        deployment.configure(changes)
        main = deployment.folder / "__main__.py"
        main.write_text(WATCH + main.read_text())
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        steps = deployment.preview()
        spent, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        memory = int((deployment.folder / "memory").read_text()) // 1024
        assert sum(step.type == "webitel:index:NodeConfiguration" for step in steps) == nodes
        assert spent < GENEROUS * (15 if nodes <= 30 else 30)
        line = f"{cloud}: {nodes} nodes, {len(steps)} resources: preview {spent:.1f} s (CPU {cpu:.1f} s), program {memory} MiB"
        if LONG or nodes == 30:
            began = time.monotonic()
            deployment.up()
            spent = time.monotonic() - began
            size = deployment.state_file.stat().st_size
            assert size < BYTES_A_NODE * nodes + BYTES_A_PAIR * nodes**2
            line += f", up {spent:.1f} s, state {size // 1000} kB"
        with capsys.disabled():
            print(f"\n{line}", flush=True)
