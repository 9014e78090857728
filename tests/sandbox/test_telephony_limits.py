"""Against toll fraud: calls at once, destinations and hours as the settings say, and numbers of emergency services exempt."""

import time
from contextlib import ExitStack
from typing import Any

import pytest

from tests.sandbox.attacker import listener
from tests.sandbox.telephony import NODE, OPENSIPS_FILES, PASSWORD, TRUNK, Telephony, node_files
from tests.tools.caller import Caller

pytestmark = pytest.mark.sandbox

CALLS = 10
"""Of one account at once, unless set."""

PHONE = "127.0.79.15"


def with_settings(telephony: Telephony, **values: Any) -> tuple[str, str]:
    """The routes of the node, and what they are with other settings."""
    path = OPENSIPS_FILES["opensips/routes.cfg"]
    return telephony.opensips_text(node_files()[path]), telephony.opensips_text(node_files(**values)[path])


class Phone(Caller):
    """One more call of an account."""

    def __init__(self, number: str, account: str = "1001") -> None:
        super().__init__((NODE, 5060), PHONE, number, account, "webitel", PASSWORD)

    def begin(self) -> int:
        """The status of the INVITE."""
        answer = self.invite()
        if answer.status == 200:
            self.follow(answer)
        return answer.status


def limited(telephony: Telephony) -> int:
    """How many calls a limit refused, by OpenSIPS' own count."""
    found = telephony.ask("get_statistics", statistics=["limited_calls"])["result"]
    assert isinstance(found, dict)
    return int(found["script:limited_calls"])


def test_an_account_has_ten_calls_at_once_and_emergency_numbers_beside_them(telephony: Telephony) -> None:
    before = limited(telephony)
    with ExitStack() as open_calls:

        def call(number: str, account: str = "1001") -> int:
            phone = Phone(number, account)
            open_calls.callback(phone.close)
            found = phone.begin()
            if found == 200:
                open_calls.callback(phone.transact, "BYE")
            return found

        assert [call("echo") for _ in range(CALLS)] == [200] * CALLS
        assert call("echo") == 403
        assert limited(telephony) == before + 1
        assert call("112") == 200
        assert call("echo", "1002") == 200
        assert telephony.said("opensips", "Limit: the call of sip:1001@webitel")
    with ExitStack() as one:
        phone = Phone("echo")
        one.callback(phone.close)
        assert phone.begin() == 200
        assert phone.transact("BYE").status == 200
    assert limited(telephony) == before + 1


def test_the_settings_say_how_many_calls_an_account_has(telephony: Telephony) -> None:
    with telephony.changed(with_settings(telephony, account_limits={"calls": 1, "per_minute": 3})), ExitStack() as open_calls:
        first, second = Phone("echo"), Phone("echo")
        for phone in (first, second):
            open_calls.callback(phone.close)
        assert (first.begin(), second.begin()) == (200, 403)
        assert first.transact("BYE").status == 200
        for expected in (200, 403):
            phone = Phone("echo")
            open_calls.callback(phone.close)
            assert phone.begin() == expected
            if expected == 200:
                phone.transact("BYE")


def refused(telephony: Telephony, number: str) -> bool:
    """Whether a limit refused a call of FreeSWITCH by a trunk, so that it did not reach the carrier."""
    before = limited(telephony)
    with listener((TRUNK, 5099)) as heard:
        said = telephony.fs_cli(f"originate sofia/sip/{number}@{TRUNK}:5099;fs_path=sip:{NODE}:5062 &echo()").stdout
    assert said.startswith("-ERR"), said
    assert limited(telephony) == before + (not heard)
    return not heard


def test_only_destinations_that_are_allowed_are_called(telephony: Telephony) -> None:
    with telephony.changed(with_settings(telephony, destinations=["+49", "0"])):
        assert [refused(telephony, number) for number in ("+4930123", "030123", "112")] == [False] * 3
        assert [refused(telephony, number) for number in ("+3804412", "49301234", "1120")] == [True] * 3
    assert not refused(telephony, "+3804412")


def test_no_call_goes_out_outside_the_hours(telephony: Telephony) -> None:
    now = time.localtime()
    later = (now.tm_hour + 12) % 24
    closed = {"mon-sun": f"{later:02}:00-{later:02}:30"}
    with telephony.changed(with_settings(telephony, outgoing_hours=closed)):
        assert [refused(telephony, number) for number in ("+4930123", "112")] == [True, False]
    with telephony.changed(with_settings(telephony, outgoing_hours={"mon-sun": "00:00-24:00"})):
        assert not refused(telephony, "+4930123")
