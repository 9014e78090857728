"""What OpenSIPS tells the broker: registrations, their ends, shared desks (`facts/telephony-real.md` A 9 and 12)."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.telephony import NODE, PASSWORD, Telephony, running_telephony
from tests.tools.caller import Caller
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

PHONE = "127.0.79.11"
HEARTBEAT = 'modparam("event_rabbitmq", "heartbeat", 0)'
USE_DOMAIN = 'modparam("usrloc", "use_domain", 1)'


@pytest.fixture(scope="module")
def telephony() -> Iterator[Telephony]:
    """The three programs and a broker with a queue for everything that they say."""

    def prepare(made: Telephony) -> None:
        made.platform.set_up_broker()
        for name in ("opensips", "webitel"):
            made.platform.make(f"/queues/%2f/{name}", "PUT", {"durable": True})
            made.platform.make(f"/bindings/%2f/e/{name}/q/{name}", "POST", {"routing_key": "#"})

    with running_telephony(prepare) as made:
        made.platform.sql("update sip_subscriber set oid = 1031")
        yield made


def taken(telephony: Telephony, queue: str) -> list[dict[str, Any]]:
    """What waits in a queue, taken out of it: the routing key and the parameters of each event."""
    body = {"count": 50, "ackmode": "ack_requeue_false", "encoding": "auto"}
    status, text = telephony.platform.rabbit(f"/queues/%2f/{queue}/get", "POST", body)
    assert status == 200, text
    return [{"key": one["routing_key"], **json.loads(one["payload"])} for one in json.loads(text)]


def phone(number: str = "1001") -> Caller:
    """A phone of ours."""
    return Caller((NODE, 5060), PHONE, "echo", number, "webitel", PASSWORD)


def register(user: Caller, expires: int) -> int:
    """A registration for some seconds, 0 ends it."""
    user.remote, user.to = "sip:webitel", f"<{user.me}>"
    challenge = user.transact("REGISTER").one("www-authenticate")
    words = f"Authorization: {user.digest(challenge, 'REGISTER', 'sip:webitel')}"
    return user.transact("REGISTER", more=(words, f"Expires: {expires}")).status


def test_the_first_registration_and_the_last_end_are_told(telephony: Telephony) -> None:
    user = phone()
    try:
        assert (register(user, 60), register(user, 60), register(user, 0)) == (200, 200, 200)
    finally:
        user.close()
    time.sleep(0.5)
    came, went = taken(telephony, "opensips")
    assert (came["key"], came["method"], came["params"]["aor"]) == ("sip.register", "E_UL_AOR_REGISTER", "1001@webitel")
    assert (went["method"], went["params"]["aor"]) == ("E_UL_AOR_UNREGISTER", "1001@webitel")
    assert abs(int(came["params"]["tsec"]) - time.time()) < 30


def test_who_was_registered_is_told_again_by_every_start_and_whose_time_is_over_taken_back(telephony: Telephony) -> None:
    # Seen with the real program (facts/two-edges.md 5): a phone is announced by each OpenSIPS that takes over.
    users = [phone(), phone("1002")]
    try:
        assert [register(user, 60) for user in users] == [200, 200]
        time.sleep(0.5)
        taken(telephony, "opensips")
        telephony.platform.sql("update location set expires = extract(epoch from now())::int - 5 where username = '1002'")
        with telephony.changed((USE_DOMAIN, f'{USE_DOMAIN}\nmodparam("usrloc", "timer_interval", 1)')):
            time.sleep(2.5)
            told = [(one["method"], one["params"]["aor"]) for one in taken(telephony, "opensips")]
    finally:
        for user in users:
            register(user, 0)
            user.close()
        time.sleep(0.5)
        taken(telephony, "opensips")
    came = [("E_UL_AOR_REGISTER", "1001@webitel"), ("E_UL_AOR_REGISTER", "1002@webitel")]
    assert (sorted(told[:2]), told[2:]) == (came, [("E_UL_AOR_UNREGISTER", "1002@webitel")])


def test_a_shared_desk_is_told_with_the_number_behind_it(telephony: Telephony) -> None:
    user = phone()
    try:
        assert register(user, 60) == 200
        user.number, user.target = "*11*7788", f"sip:*11*7788@{NODE}:5060"
        user.remote, user.to = user.target, f"<{user.target}>"
        assert user.invite().status == 402
    finally:
        user.close()
    (told,) = wait_until(lambda: taken(telephony, "webitel"), 20, "an event")
    assert (told["key"], told["params"]) == ("hotdesk", {"auth": "7788", "id": "1031"})


def test_a_heartbeat_that_nobody_serves_loses_the_first_event_after_a_quiet_time(telephony: Telephony) -> None:
    # Seen with the real program behind HAProxy, as on a node; connected to RabbitMQ directly it lost none.
    telephony.platform.sql("delete from location")
    with telephony.changed((HEARTBEAT, 'modparam("event_rabbitmq", "heartbeat", 1)')):
        taken(telephony, "opensips")
        for pause, heard in ((0.0, 1), (5.0, 0), (0.0, 1)):
            time.sleep(pause)
            user = phone()
            try:
                assert register(user, 60) == 200
                time.sleep(0.7)
                assert len([one for one in taken(telephony, "opensips") if one["method"] == "E_UL_AOR_REGISTER"]) == heard
            finally:
                register(user, 0)
                time.sleep(0.3)
                user.close()
