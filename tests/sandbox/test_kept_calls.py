"""rtpengine's calls through its death, and through Redis' own: the real programs with the node's files."""

import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.ask import redis
from cloud_init.node.health import kept_calls
from cloud_init.node.manifest import Manifest
from tests.sandbox.platform import wait_until
from tests.sandbox.relay import CLI_PORT, DELETE_SECONDS, DISABLED_SECONDS, REDIS_PORT, Relay, running_relay
from tests.sandbox.relay_calls import Call, SecretCall
from tests.sandbox.telephony import LOOPBACK
from tests.unit.node.entries import PORTS, manifest, service

pytestmark = pytest.mark.sandbox

OWN: Manifest = manifest(services=[service("redis")], ports={**PORTS, "rtpengine_cli": CLI_PORT, "redis_calls": REDIS_PORT})
SILENCE_SECONDS, SETUP_SECONDS = 0.5, 0.6
"""What a call bears at most when rtpengine dies, beyond the time that its start takes here and now, and a new one when Redis
hangs, beyond what the slowest takes here and now while it does not."""
STALL_SECONDS = 0.5
QUIET_SECONDS = 0.5

BROWSER_SDP = "\r\n".join(
    (
        "v=0",
        "o=- 1 1 IN IP4 127.0.79.21",
        "s=-",
        "t=0 0",
        "m=audio 40000 UDP/TLS/RTP/SAVPF 8",
        "c=IN IP4 127.0.79.21",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:abcdefghijklmnopqrstuvwx",
        f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=candidate:1 1 udp 2113937151 127.0.79.21 40000 typ host",
        "",
    )
)


@pytest.fixture(autouse=True)
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node program's loopback is another one here."""
    monkeypatch.setattr(kept_calls, "LOOPBACK", LOOPBACK)


@pytest.fixture
def relay() -> Iterator[Relay]:
    with running_relay() as made:
        yield made


def longest_gap(some: list[Call]) -> float:
    """The longest silence that one of them has heard."""
    return max(gap for call in some for gap in call.gaps.values())


def revive(relay: Relay, some: list[Call], number: int = signal.SIGKILL) -> None:
    """End rtpengine and start it again: all calls go on, after no more than a short silence."""
    hear(*some)
    for call in some:
        call.forget_gaps()
    time.sleep(QUIET_SECONDS)
    usual = longest_gap(some)
    relay.kill("rtpengine", number)
    seconds = forget(relay, 1) + relay.start_rtpengine()
    hear(*some)
    assert longest_gap(some) < usual + seconds + SILENCE_SECONDS
    assert all(call.is_known() for call in some)


def slowest_setup(relay: Relay) -> float:
    """What the slowest of some new calls takes."""
    return max(relay.call().seconds for _ in range(6))


def hear(*some: Call) -> None:
    """Wait until both ends of every call hear each other."""
    wait_until(lambda: all(one.hears() for one in some), 5, "audio")


def test_without_redis_a_call_ends_with_rtpengine() -> None:
    with running_relay(redis=False) as relay:
        call = relay.call()
        hear(call)
        relay.kill("rtpengine")
        relay.start_rtpengine()
        time.sleep(2.0)
        assert not call.hears() and not call.is_known()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_calls_outlive_rtpengine(relay: Relay, number: int) -> None:
    some = [relay.call() for _ in range(20)]
    revive(relay, some, number)
    changed = some[0].say("offer", "127.0.79.21", **{"to-tag": "b"})
    assert str(some[0].targets["127.0.79.22"][1]) in changed, "a re-INVITE keeps its ports"
    for call in some:
        assert "6:result2:ok" in call.hang_up()
    wait_until(lambda: relay.keys() == set(), 10, "the end of all keys")


def test_a_secret_call_of_an_hour_outlives_rtpengine(relay: Relay) -> None:
    """Its packets' numbers began anew several times, which is told to nobody and is needed to read them."""
    some = [relay.call(SecretCall) for _ in range(3)] + [relay.call()]
    hear(*some)
    time.sleep(1)
    kept_calls.Keeper().look(OWN, time.monotonic())
    for _ in range(2):
        revive(relay, some)


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


def gives_all() -> bool:
    """A round of the watcher."""
    kept_calls.Keeper().look(OWN, time.monotonic())
    return kept_calls.list_lost(OWN) == set()


def sweep() -> None:
    """What the watcher does within some minutes. A loaded machine answers too late now and then, and a key stays."""
    keeper, now = kept_calls.Keeper(), time.monotonic()
    for later in (0, kept_calls.STALE_SECONDS):
        keeper.look(OWN, now + later)


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


def forget(relay: Relay, left_seconds: int) -> float:
    """What comes before the start of an rtpengine that ended so long ago, 0 = not since the machine started; its seconds."""
    start = time.monotonic()
    uptime = int(Path("/proc/uptime").read_text().split(".")[0])
    relay.run_script("forget", f"systemctl() {{ echo {(uptime - left_seconds) * 1_000_000 if left_seconds else 0}; }}\n")
    return time.monotonic() - start


def test_calls_of_hours_ago_are_forgotten(relay: Relay) -> None:
    relay.redis("SET", "old", "x")
    for left in (0, 3, 200):
        forget(relay, left)
        assert relay.keys() == {"old"}, "the machine started, a crash, a restart"
    forget(relay, 400)
    assert relay.keys() == set()
    relay.hold("redis", signal.SIGSTOP)
    assert forget(relay, 3) < 5, "rtpengine's start does not wait for it"
    relay.hold("redis", signal.SIGCONT)
    relay.kill("redis")
    for left in (3, 400):
        forget(relay, left)


def test_a_browsers_call_begins_anew_since_its_keys_do_not_come_back(relay: Relay) -> None:
    some = [relay.call() for _ in range(3)]
    browser = {"command": "offer", "call-id": 'b "1', "from-tag": "a", "direction": ["ext", "int"], "ICE": "remove"}
    said = relay.ask({**browser, "transport-protocol": "RTP/AVP", "sdp": BROWSER_SDP})
    assert "6:result2:ok" in said, said
    assert kept_calls.describe_obstacle(OWN) == "calls in progress would end: 1 of browsers"
    relay.kill("rtpengine")
    forget(relay, 1)
    assert relay.keys() == {call.id for call in some}
    relay.start_rtpengine()
    hear(*some)
    again = relay.ask({**browser, "transport-protocol": "RTP/AVP", "sdp": BROWSER_SDP})
    assert "6:result2:ok" in again, again


def test_every_call_is_listed(relay: Relay) -> None:
    """Many more than a socket takes at once."""
    text = "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n".format("127.0.79.21")
    names = {f"{number:04d}-{'long' * 12}@10.0.0.1" for number in range(1500)}
    for name in names:
        assert "6:result2:ok" in relay.ask({"command": "offer", "call-id": name, "from-tag": "a", "sdp": text})
    for _ in range(10):
        assert kept_calls.list_calls(OWN) == names
