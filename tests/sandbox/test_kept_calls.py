"""rtpengine's calls through its death: the real programs with the node's files."""

import signal
import time

import pytest

from cloud_init.node.health import kept_calls
from tests.sandbox.kept import OWN, forget, hear, revive
from tests.sandbox.relay import Relay, running_relay
from tests.sandbox.relay_calls import SecretCall
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

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
