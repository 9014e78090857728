"""A deployment with a cluster of three behind translated addresses, under load."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import pytest

from tests.local.telephony import Telephony

DRILL_SECONDS = 1200
"""A bound for one drill whatever else the machine does."""
NO_GAP = 3.0
"""Seconds of a busy machine in which nobody was kept from writing."""

SETTINGS = {"tier": "basic", "counts": {"data": 3}, "zones": ["a", "b", "c"]}
Load = Callable[[str], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telephony]:
    deployment = Telephony(tmp_path_factory.mktemp("drills"), f"t{os.getpid()}-drills", SETTINGS | {"local_network": "nat"})
    try:
        deployment.bring_up()
        yield deployment
    finally:
        deployment.end()


def check(what: str, outcome: dict[str, Any], capsys: pytest.CaptureFixture[str], *, calls: int = 1) -> None:
    """Print what it cost; nothing acknowledged may be lost, no call dropped and nobody called."""
    row, message = (f"{outcome['gaps'][kind]:.1f}" if kind in outcome["gaps"] else "unknown" for kind in ("row", "message"))
    with capsys.disabled():
        print(
            f"\n{what}: {row} s without rows, {message} s without messages, "
            f"its nodes healthy {outcome['rejoined']:.0f} s after it, all {outcome['healthy']:.0f} s, "
            f"{outcome['acknowledged']} acknowledged, "
            f"status said: {outcome['named'] or 'nothing'}"
        )
    assert outcome["lost"] == {"row": [], "message": []}
    assert outcome["help"] == ""
    assert min(outcome["acknowledged"].values()) > 0, outcome
    # What takes the only way in takes the load's way too; otherwise it has to be seen.
    assert outcome["gaps"] or not calls
    assert (outcome["calls"], outcome["dropped"]) == (calls, 0)


def make_load(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> Load:
    """Rows and messages written, and a call held, while a block runs."""

    @contextmanager
    def run(what: str) -> Iterator[None]:
        over = cluster.folder / f"over-{len(list(cluster.folder.iterdir()))}"
        with cluster.outside.held_call(cluster.server):
            running = cluster.start("drill", "--run", f"until [ -e {over} ]; do sleep 1; done", cluster.name, "--yes", "--json")
            running.wait_for("a command run here", 300)
            try:
                yield
            finally:
                over.touch()
                done = running.wait(DRILL_SECONDS)
        assert done.output, done.errors
        check(what, json.loads(done.output)[0], capsys)

    return run


def break_it(
    cluster: Telephony,
    name: str,
    capsys: pytest.CaptureFixture[str],
    *,
    call: bool = True,
) -> dict[str, Any]:
    """A drill, with a call held unless it takes the power of what carries it; what it showed."""
    with cluster.outside.held_call(cluster.server) if call else nullcontext():
        done = cluster.start("drill", name, cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    outcome: dict[str, Any] = json.loads(done.output)[0]
    check(name, outcome, capsys, calls=call)
    assert done.status == 0, done.said
    return outcome


@pytest.fixture
def load(cluster: Telephony, capsys: pytest.CaptureFixture[str]) -> Load:
    """Load on the deployment with a cluster."""
    return make_load(cluster, capsys)
