"""What real OpenSIPS 3.4.18 was seen to do with files of ours that were wrong (`facts/telephony-real.md` A and E).

Every test here was also passed by the real program in the place of the stand-in.
"""

import contextlib
import socket
import time
from typing import Any

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.telephony import NODE, PASSWORD, TRUNK, Telephony
from tests.tools.caller import Caller
from tests.tools.dialog import Result
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

PHONE, STRANGER, VICTIM = "127.0.79.11", "127.0.79.12", "127.0.79.13"
LOAD_CREDENTIALS = 'modparam("auth_db", "load_credentials", "")'
GATEWAY = '    if (!($(hdr(X-Webitel-Gateway-Id){s.escape.common}) =~ "^[0-9]{1,18}$"))\n        return;\n'
WRITABLE = "route[register] {\n    route(writable);"


class Phone(Caller):
    """A phone of ours, or a trunk without a password; `ignores` are methods that it never answers."""

    def __init__(self, local: str = TRUNK, number: str = "echo", password: str = "", ignores: tuple[str, ...] = ()) -> None:
        who = ("1001", "webitel") if password else ("380441234567", "carrier.example")
        super().__init__((NODE, 5060), local, number, *who, password)
        self.ignores = ignores

    def take(self, message: sip.Message, source: tuple[str, int]) -> None:
        """A request of the other side."""
        if message.method not in self.ignores:
            super().take(message, source)


def register(password: str = PASSWORD) -> int:
    """The status of a registration."""
    phone = Phone(PHONE, password=password)
    try:
        return phone.register()
    finally:
        phone.close()


def call(number: str = "echo", seconds: float = 0.4) -> Result:
    """A call of the trunk."""
    caller = Phone(number=number)
    try:
        return caller.place(seconds)
    finally:
        caller.close()


def statuses(count: int) -> list[int]:
    """The answers to REGISTERs without credentials, one after another."""
    found = []
    for _ in range(count):
        phone = Phone(PHONE, password=PASSWORD)
        phone.password = ""
        found.append(phone.register())
        phone.close()
    return found


def test_without_load_credentials_every_log_in_is_an_error_and_costs_its_worker_the_database(telephony: Telephony) -> None:
    assert register() == 200
    with telephony.changed((LOAD_CREDENTIALS, "")):
        assert {register() for _ in range(6)} == {500}
        # One query that failed, and the worker asks nothing until the next probe.
        assert 500 in statuses(8)
        wait_until(lambda: set(statuses(8)) == {401}, 20, "every worker with its database again")


def test_bytes_that_postgresql_refuses_cost_a_worker_its_database_where_nobody_looks_at_them(telephony: Telephony) -> None:
    def attack() -> list[int]:
        found = []
        for _ in range(8):
            phone = Phone(STRANGER, password=PASSWORD)
            challenge = phone.transact("REGISTER").one("www-authenticate")
            if challenge:
                words = phone.digest(challenge, "REGISTER", phone.target).replace('username="1001"', 'username="\xff\xfe"')
                data = phone.request("REGISTER", phone.sequence + 1, more=(f"Authorization: {words}",))
                found.append(ask_raw(phone, data.replace("\xff\xfe".encode(), b"\xff\xfe")))
            phone.close()
        return found

    assert set(attack()) == {400}
    assert set(statuses(8)) == {401}
    with telephony.changed((WRITABLE, "route[register] {")):
        assert 500 in attack()
        assert 500 in statuses(8)


def test_a_header_that_is_not_there_reaches_no_query(telephony: Telephony) -> None:
    def refused() -> int:
        # Nobody answers at that port: From is decided on before.
        telephony.fs_cli(f"originate sofia/sip/1000@{TRUNK}:5091;fs_path=sip:{NODE}:5062 &echo()")
        return (telephony.folder / "postgresql.log").read_text().count("id = <null>")

    assert refused() == 0
    with telephony.changed((GATEWAY, "")):
        assert refused() == 1


def ask_raw(phone: Phone, data: bytes) -> int:
    """The status of the final answer to bytes."""
    phone.sequence += 1
    phone.signals.sendto(data, phone.server)
    phone.signals.settimeout(5)
    while True:
        answer = sip.parse(phone.signals.recv(65535))
        if answer and answer.status >= 200 and answer.one("cseq").startswith(f"{phone.sequence} "):
            return answer.status


def test_a_caller_that_answers_no_options_loses_its_call_only_where_it_is_pinged(telephony: Telephony) -> None:
    def stands(seconds: float) -> bool:
        caller = Phone(ignores=("OPTIONS",))
        try:
            caller.set_up()
            caller.talk(seconds)
            return not caller.ended
        finally:
            caller.close()

    often = ('modparam("dialog", "options_ping_interval", 30)', 'modparam("dialog", "options_ping_interval", 2)')
    with telephony.changed(often):
        assert stands(11)
    with telephony.changed(often, ('"pB"', '"PpB"'), ('"PB"', '"PpB"')):
        assert not stands(11)


def test_a_call_that_rings_too_long_takes_a_freeswitch_out_only_where_nobody_asks_what_was_heard(telephony: Telephony) -> None:
    short = ('modparam("tm", "fr_inv_timeout", 90)', 'modparam("tm", "fr_inv_timeout", 2)')
    with telephony.changed(short):
        assert call("ring5").status == 408
        assert call().status == 200
    with telephony.changed(short, ('(t_check_status("408") && t_local_replied("all"))', 't_check_status("408")')):
        assert call("ring5").status == 503
        assert call().status == 503
    # The mark is written into the table, so a restart does not take it off: a ping does.
    assert telephony.platform.sql("select state from dispatcher where setid = 1") == "2"
    wait_until(lambda: call().status == 200, 20, "a call after the next ping")


def test_without_a_transaction_of_its_own_the_script_cannot_say_503_for_rtpengine(telephony: Telephony) -> None:
    telephony.stop("rtpengine")
    try:
        with telephony.changed(("t_newtran();", "")):
            assert call().problem == "INVITE: SIP/2.0 500 Server error occurred (1/TM)"
            assert node_of(telephony)["disabled"] == 1
            assert int(str(node_of(telephony)["recheck_ticks"])) > 0
        with telephony.changed(('modparam("rtpengine", "rtpengine_disable_tout", 2)', "")):
            assert call().status == 503
            assert int(str(node_of(telephony)["recheck_ticks"])) > 30
    finally:
        telephony.start_rtpengine()
    with telephony.changed():
        wait_until(lambda: call().status == 200, 20, "a call after rtpengine's return")


def node_of(telephony: Telephony) -> dict[str, object]:
    """The rtpengine that the interface shows, in the set that is called `Set`."""
    sets: Any = telephony.ask("rtpengine_show")["result"]
    assert [set(one) for one in sets] == [{"Set", "Nodes"}]
    found: dict[str, object] = sets[0]["Nodes"][0]
    return found


def test_a_lost_database_is_no_fault_of_a_trunk(telephony: Telephony) -> None:
    telephony.platform.stop("postgresql")
    try:
        assert call().status == 503
        assert not telephony.said("opensips", "Auth error")
    finally:
        telephony.platform.start("postgresql")
        wait_until(lambda: [call().status for _ in range(4)] == [200] * 4, 40, "calls after the database's return")


def test_what_the_caller_is_shown_of_us(telephony: Telephony) -> None:
    caller = Phone()
    try:
        caller.sequence = 1
        caller.signals.settimeout(5)
        caller.signals.sendto(caller.request("INVITE", 1, caller.sdp()), caller.server)
        first = sip.parse(caller.signals.recv(65535))
        assert first and first.start == "SIP/2.0 100 Giving it a try"
        while (answer := sip.parse(caller.signals.recv(65535))) is None or answer.status < 200:
            continue
        caller.acknowledge(answer)
        caller.follow(answer)
        inner, outer = (part for value in answer.all("record-route") for part in value.split(","))
    finally:
        with contextlib.suppress(AssertionError):
            caller.transact("BYE")
        caller.close()
    # The port is left out where it is 5060 and nothing is advertised; the dialog's parameter stands behind ours.
    assert outer.strip().startswith(f"<sip:{NODE};r2=on;lr"), outer
    assert inner.strip().startswith(f"<sip:{NODE}:5062;r2=on;lr"), inner
    assert ";wbt=" in outer


def test_a_registration_is_written_through_and_outlives_a_restart(telephony: Telephony) -> None:
    row = "select username, domain from location where expires > extract(epoch from now()) + 50"
    wait_until(lambda: register() == 200 and telephony.platform.sql(row) == "1001|webitel", 20, "a row of the registration")
    with telephony.changed():
        wait_until(lambda: "1001@webitel" in str(telephony.ask("ul_dump")), 20, "the registration after a restart")
    with telephony.changed(('modparam("usrloc", "working_mode_preset", "single-instance-sql-write-through")', "")):
        time.sleep(1.0)
        assert "1001@webitel" not in str(telephony.ask("ul_dump"))


def test_who_adds_a_to_tag_and_routes_is_no_relays_client(telephony: Telephony) -> None:
    def reaches(target: str, *routes: str) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
            victim.bind((VICTIM, 5066))
            victim.settimeout(1.0)
            mine.bind((STRANGER, 0))
            here = f"{STRANGER}:{mine.getsockname()[1]}"
            lines = [
                f"INVITE {target} SIP/2.0",
                f"Via: SIP/2.0/UDP {here};branch={sip.branch()}",
                "Max-Forwards: 70",
                *(f"Route: <{route}>" for route in routes),
                "From: <sip:a@b.example>;tag=1",
                "To: <sip:c@d.example>;tag=2",
                f"Call-ID: {sip.branch()}",
                "CSeq: 1 INVITE",
                f"Contact: <sip:a@{here}>",
            ]
            mine.sendto(sip.finish(lines, ""), (NODE, 5060))
            try:
                return bool(victim.recv(65535))
            except TimeoutError:
                return False

    ways = (
        (f"sip:x@{VICTIM}:5066", f"sip:{NODE};lr"),
        (f"sip:x@{NODE}:5080", f"sip:{NODE};lr", f"sip:{VICTIM}:5066;lr"),
        (f"sip:x@{NODE}:5080", f"sip:{VICTIM}:5066;lr"),
    )
    assert not any(reaches(*way) for way in ways)
    text = (telephony.folder / "opensips" / "bundle.cfg").read_text()
    start = text.index("route[within_dialog]")
    block = text[start : text.index("\n}\n", start) + 3]
    bare = "route[within_dialog] {\n    loose_route();\n    route(relay);\n}\n"
    with telephony.changed((block, bare)):
        assert all(reaches(*way) for way in ways)


def test_a_scanner_is_cut_off_within_forty_answers(telephony: Telephony) -> None:
    heard = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.bind((STRANGER, 0))
        mine.settimeout(0.05)
        for number in range(100):
            here = f"{STRANGER}:{mine.getsockname()[1]}"
            lines = [
                "REGISTER sip:webitel SIP/2.0",
                f"Via: SIP/2.0/UDP {here};branch={sip.branch()}",
                "Max-Forwards: 70",
                f"From: <sip:{number}@webitel>;tag=1",
                f"To: <sip:{number}@webitel>",
                f"Call-ID: {sip.branch()}",
                "CSeq: 1 REGISTER",
                f"Contact: <sip:a@{here}>",
            ]
            mine.sendto(sip.finish(lines, ""), (NODE, 5060))
            with contextlib.suppress(TimeoutError):
                heard += b"401" in mine.recv(65535)
    assert 20 <= heard <= 40
    assert telephony.said("opensips", f"PIKE - BLOCKing ip {STRANGER}, node=0x")
