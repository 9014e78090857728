"""A deployment with a cluster of three, broken on purpose under load: nothing acknowledged is lost, nobody is called."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from cli.drills.table import SHORT
from tests.local.telephony import Telephony

pytestmark = pytest.mark.drills

DRILL_SECONDS = 900
"""A bound for one drill whatever else the machine does; the figures are printed, not judged."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telephony]:
    deployment = Telephony(tmp_path_factory.mktemp("drills"), f"t{os.getpid()}-drills", {
        "tier": "basic", "counts": {"data": 3}, "local_network": "nat"})
    try:
        deployment.bring_up()
        yield deployment
    finally:
        deployment.end()


@pytest.mark.parametrize("name", SHORT)
def test_nothing_acknowledged_is_lost_and_nobody_is_called(
    cluster: Telephony, name: str, capsys: pytest.CaptureFixture[str],
) -> None:
    with cluster.outside.held_call(cluster.server):
        done = cluster.start("drill", name, cluster.name, "--yes", "--json").wait(DRILL_SECONDS)
    assert done.output, done.errors
    outcome: dict[str, Any] = json.loads(done.output)[0]
    with capsys.disabled():
        print(f"\n{name}: {outcome['gaps']['row']:.1f} s without rows, {outcome['gaps']['message']:.1f} s without messages, "
              f"healthy {outcome['healthy']:.0f} s after it")
    assert outcome["lost"] == {"row": [], "message": []}
    assert outcome["help"] == ""
    assert min(outcome["acknowledged"].values()) > 0, outcome
    assert (outcome["calls"], outcome["dropped"]) == (1, 0)
    assert done.status == 0, done.said
