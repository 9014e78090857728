"""rtpengine's calls while Redis stalls, hangs, is full or away: the real programs with the node's files."""

import re
import signal
import threading
import time

import pytest

from cloud_init.node.ask import redis
from cloud_init.node.health import kept_calls
from tests.sandbox.kept import OWN, SETUP_SECONDS, STALL_SECONDS, gives_all, hear, revive, slowest_setup, sweep
from tests.sandbox.relay import DELETE_SECONDS, DISABLED_SECONDS, REDIS_PORT, Relay
from tests.sandbox.telephony import LOOPBACK
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def test_a_redis_that_hangs_holds_no_call(relay: Relay) -> None:
    usual = slowest_setup(relay)
    hear(*relay.calls)
    relay.hold("redis", signal.SIGSTOP)
    assert slowest_setup(relay) < usual + SETUP_SECONDS
    hear(*relay.calls)
    relay.hold("redis", signal.SIGCONT)


def test_a_redis_that_stalls_while_rtpengine_starts_gives_all_calls_back(relay: Relay) -> None:
    some = [relay.call() for _ in range(5)]
    hear(*some)
    relay.kill("rtpengine")
    relay.hold("redis", signal.SIGSTOP)
    again = threading.Timer(STALL_SECONDS, relay.hold, ("redis", signal.SIGCONT))
    again.start()
    relay.start_rtpengine()
    again.join()
    hear(*some)
    assert all(call.is_known() for call in some)


@pytest.mark.parametrize("away", ["hangs", "is gone"])
def test_rtpengine_starts_without_redis_and_is_limited_like_any(relay: Relay, away: str) -> None:
    usual = slowest_setup(relay)
    relay.kill("rtpengine")
    if away == "hangs":
        relay.hold("redis", signal.SIGSTOP)
    else:
        relay.kill("redis")
    relay.start_rtpengine()
    time.sleep(DISABLED_SECONDS + 1)
    assert slowest_setup(relay) < usual + SETUP_SECONDS
    hear(*relay.calls[-6:])


def test_a_redis_that_was_away_is_given_every_call_again(relay: Relay) -> None:
    usual, before = slowest_setup(relay), relay.call()
    hear(before)
    relay.kill("redis")
    during = relay.call()
    assert during.seconds < usual + SETUP_SECONDS
    hear(before, during)
    relay.start_redis()
    assert kept_calls.list_lost(OWN) == {call.id for call in relay.calls}, "rtpengine does not write them by itself"
    wait_until(gives_all, 3 * DISABLED_SECONDS, "the rewritten calls")
    revive(relay, relay.calls)


def test_a_call_that_ended_without_redis_does_not_stay(relay: Relay) -> None:
    ended, stale = relay.call(), relay.call()
    hear(ended, stale)
    relay.hold("redis", signal.SIGSTOP)
    ended.hang_up()
    stale.silence()
    relay.kill("rtpengine")
    relay.hold("redis", signal.SIGCONT)
    text = (relay.folder / "rtpengine.conf").read_text()
    relay.write("rtpengine.conf", re.sub(r"(?m)^timeout = 60$", "timeout = 3", text))
    relay.start_rtpengine()
    assert ended.is_known() and stale.is_known(), "Redis had both"
    wait_until(lambda: not ended.is_known() and not stale.is_known(), 10, "their end without audio")
    sweep()
    assert relay.keys() == set()


def test_a_call_that_ended_without_redis_takes_no_ports_of_another(relay: Relay) -> None:
    """There are ports for two calls only, so that one which begins later has those of one that ended."""
    text = (relay.folder / "rtpengine.conf").read_text()
    relay.write("rtpengine.conf", re.sub(r"(?m)^port-max = \d+$", "port-max = 10007", text))
    relay.kill("rtpengine")
    relay.start_rtpengine()
    first, second = relay.call(), relay.call()
    hear(first, second)
    relay.hold("redis", signal.SIGSTOP)
    first.hang_up()
    time.sleep(DELETE_SECONDS + 1)
    relay.hold("redis", signal.SIGCONT)
    wait_until(lambda: not first.is_known(), 10, "its end")
    time.sleep(DISABLED_SECONDS + 1)
    third = relay.call()
    hear(second, third)
    assert third.targets == first.targets and relay.keys() == {call.id for call in (first, second, third)}
    sweep()
    assert relay.keys() == {call.id for call in (second, third)}
    revive(relay, [second, third])


def test_a_full_redis_refuses_calls_and_drops_none(relay: Relay) -> None:
    usual, kept = slowest_setup(relay), relay.call()
    hear(kept)
    for size in (1 << 20, 1 << 16, 1 << 10, 1 << 10):
        time.sleep(0.3)  # until it has given back what the last command took
        with pytest.raises(redis.RedisError, match="OOM"):
            for number in range(1000):
                redis.ask(LOOPBACK, REDIS_PORT, "SET", f"filler-{size}-{number}", "x" * size)
    begun = [relay.call() for _ in range(40)]
    lost, keys = kept_calls.list_lost(OWN), relay.keys()
    assert lost and lost == {call.id for call in begun} - keys and kept.id in keys
    assert max(call.seconds for call in begun) < usual + SETUP_SECONDS
    hear(kept, *begun)


def test_what_rtpengine_does_not_need_redis_refuses(relay: Relay) -> None:
    for words in (
        "CONFIG SET dir /tmp",
        "REPLICAOF 127.0.0.1 1",
        "EVAL return(1) 0",
        "SAVE",
        "MODULE LIST",
        "SHUTDOWN",
        "FLUSHALL",
    ):
        assert "NOPERM" in relay.redis(*words.split()), words
