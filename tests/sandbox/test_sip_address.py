"""Two nodes for SIP, real Redis and rtpengine with their files: calls are held while the address goes from one to the other."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.clusters import sip_address
from tests.sandbox import pair
from tests.sandbox.kept import hear, longest_gap
from tests.sandbox.pair import ADDRESS, KEYS, Edge, PairCall
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

CALLS = 20
SILENCE_SECONDS = 3.0
"""What calls bear at most on a busy machine; half a second is usual."""
MISSING = [name for name in ("rtpengine", "redis-server", "redis-cli", "nft") if shutil.which(name) is None]


@pytest.fixture
def edges(tmp_path: Path) -> Iterator[tuple[Edge, Edge]]:
    """Both, the first with the address."""
    if MISSING or os.geteuid() != 0:
        pytest.fail(f"not installed here, or not root: {', '.join(MISSING)}; ./webitel test sandbox installs it")
    tmp_path.chmod(0o755)
    pair.make_bridge()
    made: list[Edge] = []
    try:
        for key in KEYS:
            made.append(Edge(tmp_path, key))
        first, second = made
        first.take_over()
        wait_until(second.is_copy, 20, "the copy")
        yield first, second
    finally:
        for edge in made:
            edge.close()
        pair.remove_bridge()


def hold(edge: Edge, count: int = CALLS) -> list[PairCall]:
    calls = [PairCall(edge.ask) for _ in range(count)]
    hear(*calls)
    return calls


def move(calls: list[PairCall], source: Edge, target: Edge, how: str) -> None:
    """The address goes over, and the calls with it."""
    ids = {call.id for call in calls}
    wait_until(lambda: target.calls() >= ids, 20, "the calls in the copy")
    for call in calls:
        call.forget_gaps()
    if how == "lost":
        source.cut()
        source.kill("address", "rtpengine", "redis")
        source.inside(f"ip addr del {ADDRESS}/32 dev eth0")
    else:
        source.give_up()
    seconds = target.take_over()
    hear(*calls)
    print(f"\n{how}: {longest_gap(calls):.2f} s of silence of {len(calls)} calls, {seconds:.2f} s of it the take-over")
    assert longest_gap(calls) < SILENCE_SECONDS
    for call in calls:
        call.ask = target.ask
        assert call.is_known()


@pytest.mark.parametrize("how", ["lost", "handed over"])
def test_calls_go_on_where_the_address_goes_and_back(edges: tuple[Edge, Edge], how: str) -> None:
    first, second = edges
    calls = hold(first)
    move(calls, first, second, how)
    if how == "lost":
        first.mend()
        first.start_redis()
        first.start_keeper()
    wait_until(first.is_copy, 20, "whoever comes back copies")
    calls += hold(second, 3)
    move(calls, second, first, "handed over")
    assert all("6:result2:ok" in call.hang_up() for call in calls)
    for call in calls:
        call.silence()


def test_who_is_cut_off_gives_the_address_up_before_its_programs_and_takes_no_call_back(edges: tuple[Edge, Edge]) -> None:
    first, second = edges
    calls = hold(first, 5)
    first.cut()
    first.lose_lock()
    second.take_over()
    hear(*calls)
    first.mend()
    wait_until(first.is_copy, 20, "the copy")
    time.sleep(1)
    hear(*calls)
    gone = calls.pop()
    gone.ask = second.ask
    gone.hang_up()
    wait_until(lambda: gone.id not in first.calls(), 10, "the end of a call in the copy")
    for call in calls:
        call.silence()


def test_an_address_that_somebody_takes_away_is_put_back_and_a_redis_that_died_takes_calls_again(
    edges: tuple[Edge, Edge],
) -> None:
    first, _ = edges
    calls = hold(first, 2)
    first.inside(f"ip addr del {ADDRESS}/32 dev eth0")
    wait_until(lambda: f" {ADDRESS}/32" in first.inside("ip -o -4 addr"), 20, "the address")
    hear(*calls)
    first.kill("redis")
    first.start_redis()
    wait_until(lambda: "role:master" in first.ask_redis("INFO replication"), 20, "the promotion")
    hear(*calls)
    for call in calls:
        call.silence()


def test_old_calls_are_not_given_back(edges: tuple[Edge, Edge], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = edges
    calls = hold(first, 2)
    wait_until(lambda: len(second.calls()) == 2, 20, "the copy")
    # It was active long ago: what counts is how old the copy is.
    second.left = 1
    move(calls, first, second, "handed over")
    for call in calls:
        call.silence()
    assert sip_address.OLD_SECONDS == 300


@pytest.mark.parametrize(("ago", "kept"), [(0, 2), (sip_address.OLD_SECONDS + 10, 0)])
def test_calls_of_its_own_are_given_back_to_a_node_unless_that_was_long_ago(
    edges: tuple[Edge, Edge], ago: int, kept: int
) -> None:
    first, second = edges
    calls = hold(first, 2)
    second.kill("address", "redis")
    first.give_up()
    wait_until(lambda: "role:slave" in first.ask_redis("INFO replication"), 20, "the demotion")
    assert "master_link_down_since_seconds:-1" in first.ask_redis("INFO replication") and len(first.calls()) == 2
    left = first.folder / "left"
    left.write_text(str(float(left.read_text()) - ago))
    first.take_over()
    assert len(first.calls()) == kept
    for call in calls:
        call.silence()


def test_who_comes_back_empty_lacks_calls_and_leaves_the_others_copy_alone(edges: tuple[Edge, Edge]) -> None:
    first, second = edges
    calls = hold(first, 2)
    wait_until(lambda: len(second.calls()) == 2, 20, "the copy")
    first.kill("address", "rtpengine", "redis")
    first.inside(f"ip addr del {ADDRESS}/32 dev eth0")
    first.start_redis()
    first.start_keeper()
    time.sleep(3)
    assert first.within(first.lacks_calls) and not second.within(second.lacks_calls)
    second.take_over()
    wait_until(lambda: len(first.calls()) == len(second.calls()) == 2, 20, "the copy of what was left")
    assert not first.within(first.lacks_calls)
    for call in calls:
        call.silence()


def test_who_has_calls_knows_whether_the_other_one_has_a_copy(edges: tuple[Edge, Edge]) -> None:
    first, second = edges
    wait_until(lambda: not first.within(first.missing_copy), 20, "the copy")
    second.kill("redis")
    wait_until(lambda: first.within(first.missing_copy) == "no other node has a copy of its calls", 20, "the end of the copy")
    second.start_redis()
    wait_until(lambda: not first.within(first.missing_copy), 20, "the copy")
    first.kill("redis")
    assert first.within(first.missing_copy).startswith("it is unknown who has a copy of its calls: Redis: ")
