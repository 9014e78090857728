"""A node that an earlier commit brought up is brought to this one by `up`: calls go on, and no acknowledged row is lost.

rtpengine, PostgreSQL and systemd are real; OpenSIPS, FreeSWITCH and Webitel's services are stand-ins. Where those of the two
commits differ, `up` may ask for leave to restart them, as it does for the real ones' packages.
"""

import os
from collections.abc import Iterator

import pytest

from tests.earlier import extract_earlier
from tests.local.conftest import Figure
from tests.local.deployment import Deployment, Done
from tests.local.held import CALLS, await_audio, held_calls
from tests.local.rows import find_acknowledged, find_gap, find_rows, start_rows, stop_rows

pytestmark = pytest.mark.local

LEAVE = "Calls in progress would suffer. Nothing was changed."
SILENCE_SECONDS = 15
"""Of calls whose rtpengine restarts, on a machine with as much to do as this one."""
ROWLESS_SECONDS = 5


@pytest.fixture
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment of the earlier commit."""
    files = extract_earlier(tmp_path_factory.mktemp("earlier-files"))
    deployment = Deployment(tmp_path_factory.mktemp("earlier"), f"t{os.getpid()}-earlier", {})
    deployment.make_checkout(files)
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.end()


def bring_here(deployment: Deployment) -> Done:
    """`up`, with the leave that it asks for if it asks for one."""
    done = deployment.start("up", deployment.name).wait(300)
    if done.status and LEAVE in done.said:
        done = deployment.up("--disruptive")
    assert done.status == 0, done.said
    return done


def test_up_brings_a_node_here_with_calls_held(earlier: Deployment, figure: Figure) -> None:
    machine = earlier.on_node("cat /etc/machine-id /proc/sys/kernel/random/boot_id")
    start_rows(earlier)
    with held_calls(earlier):
        earlier.take_files()
        done = bring_here(earlier)
        figure(f"silence of {CALLS} calls whose node is brought to another commit", silence := await_audio(earlier))
    stop_rows(earlier)
    figure("up from an earlier commit", done.seconds)
    assert silence < SILENCE_SECONDS, done.said
    acknowledged = find_acknowledged(earlier)
    assert set(acknowledged) - find_rows(earlier) == set()
    figure("longest time without a row meanwhile", gap := find_gap(acknowledged))
    assert gap < ROWLESS_SECONDS
    assert earlier.on_node("cat /etc/machine-id /proc/sys/kernel/random/boot_id") == machine
    earlier.wait_healthy(60)
    assert "Nothing to change." in earlier.up().said
    assert "No drift." in earlier.webitel("drift", earlier.name).said
