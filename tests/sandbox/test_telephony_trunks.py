"""Who is a trunk: by number *and* source, by no pattern, never over a web socket; what a trunk may not
(`facts/audit.md` 1b, 11)."""

import itertools
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import Line, status
from tests.sandbox.telephony import NODE, TRUNK, Telephony
from tests.tools.caller import Caller
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

NUMBER = "380441234567"
REGISTRAR = "127.0.79.14"
"""Where our trunk by registration registers; it stands in no list."""

PATTERNS = ("_" * len(NUMBER), "%", NUMBER[:-1], f"{NUMBER}0")
SOON = (
    ('modparam("uac_registrant", "hash_size", 4)', 'modparam("uac_registrant", "hash_size", 1)'),
    ('modparam("uac_registrant", "timer_interval", 32)', 'modparam("uac_registrant", "timer_interval", 10)'),
)
"""So that no test waits half a minute for our REGISTER."""

EXACT = "starts_with(binding_uri, 'sip:$rU@$rd') AND substr(binding_uri, length('sip:$rU@$rd') + 1, 1) IN ('', ':', ';', '>')"
BY_WEB = 'setflag("FROM_WS");\n        return;'
addresses = (f"127.0.82.{number}" for number in itertools.count(1))


def call(door: str, local: str, number: str, port: int = 0) -> int:
    """The status of a call to a number, without any password."""
    with Line(door, local, port) as line:
        target = f"sip:{number}@{NODE}"
        data = line.request("INVITE", target, to="sip:x@elsewhere.example", body=sip.write_sdp(local, 40000, 1, True))
        found = line.ask(data, 6)
        if found and found.status == 200:
            routes = tuple(part.strip() for value in found.all("record-route") for part in value.split(","))[::-1]
            tag, contact, call_id = sip.parameter(found.one("to"), "tag"), sip.uri(found.one("contact")), found.one("call-id")
            common = {"sender": "sip:a@b.example", "to": "sip:x@elsewhere.example", "tag": tag, "routes": routes, "call": call_id}
            from_tag = sip.parameter(found.one("from"), "tag").encode()
            for method, sequence in (("ACK", 1), ("BYE", 2)):
                data = line.request(method, contact, sequence=sequence, **common)  # type: ignore[arg-type]
                data = re.sub(rb"(?m)^(From: .*tag=).*\r$", rb"\g<1>" + from_tag + b"\r", data)
                line.send(data) if method == "ACK" else line.ask(data)
        return status(found)


@contextmanager
def registrar(agrees: bool) -> Iterator[threading.Event]:
    """Takes our registration, or refuses it; the event says that it has answered."""
    asked, over = threading.Event(), threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
        mine.bind((REGISTRAR, 5060))
        mine.settimeout(0.1)

        def serve() -> None:
            while not over.is_set():
                try:
                    data, source = mine.recvfrom(65535)
                except TimeoutError:
                    continue
                message = sip.parse(data)
                if message and message.method == "REGISTER":
                    contact = (f"Contact: {message.one('contact')};expires=60",)
                    said = sip.answer(message, 200, "OK", "r", contact) if agrees else sip.answer(message, 403, "Forbidden", "r")
                    mine.sendto(said, source)
                    asked.set()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield asked
        finally:
            over.set()
            thread.join()


@pytest.fixture
def registered(telephony: Telephony) -> Iterator[Telephony]:
    """A trunk by registration in the table, as Webitel says that it is registered."""
    telephony.platform.sql(
        "insert into sip_registrant (dc, name, registrar, aor, binding_uri, username, password, expires, reg_state) values "
        f"(1, 'by registration', 'sip:{REGISTRAR}', 'sip:{NUMBER}@{REGISTRAR}', 'sip:{NUMBER}@{NODE}:5060', 'u', 'p', 60, 3)"
    )
    try:
        yield telephony
    finally:
        telephony.platform.sql("delete from sip_registrant")


def tries(*pairs: tuple[str, str, str]) -> list[int]:
    """The statuses of calls by door, address and number."""
    return [call(*one) for one in pairs]


def test_a_registered_trunk_is_its_number_from_the_registrar_that_answered(registered: Telephony) -> None:
    with registrar(agrees=False) as asked, registered.changed(*SOON):
        assert asked.wait(15)
        assert tries(("udp", REGISTRAR, NUMBER), ("tcp", REGISTRAR, NUMBER)) == [403, 403]
    with registrar(agrees=True) as asked, registered.changed(*SOON):
        assert asked.wait(15)
        wait_until(lambda: call("udp", REGISTRAR, NUMBER) == 200, 20, "a call of the trunk")
        assert tries(*(("udp", REGISTRAR, number) for number in PATTERNS)) == [403] * len(PATTERNS)
        strangers = [(door, next(addresses), number) for door in ("udp", "tcp", "tls", "ws") for number in (NUMBER, *PATTERNS)]
        assert tries(*strangers) == [403] * len(strangers)
        assert call("ws", REGISTRAR, NUMBER) == 403


def test_without_its_checks_a_pattern_a_stranger_and_a_browser_would_be_the_trunk(registered: Telephony) -> None:
    with registrar(agrees=True) as asked, registered.changed(*SOON, (EXACT, "binding_uri LIKE 'sip:$rU@$rd%'")):
        assert asked.wait(15)
        wait_until(lambda: call("udp", REGISTRAR, NUMBER) == 200, 20, "a call of the trunk")
        assert tries(("udp", REGISTRAR, PATTERNS[0]), ("udp", REGISTRAR, "%")) == [200, 200]
    prefix = (EXACT, "starts_with(binding_uri, 'sip:$rU')")
    with registrar(agrees=True) as asked, registered.changed(*SOON, prefix):
        assert asked.wait(15)
        wait_until(lambda: call("udp", REGISTRAR, NUMBER[:-1]) == 200, 20, "a call by the beginning of the number")
    # Behind nginx everybody has its address, and it might be the registrar's.
    with registrar(agrees=True) as asked, registered.changed(*SOON, (BY_WEB, 'setflag("FROM_WS");')):
        assert asked.wait(15)
        wait_until(lambda: call("ws", REGISTRAR, NUMBER) == 200, 20, "a call by the web socket")
    with registered.changed(('if (isflagset("FROM_TRUNK") && $(rU', "if ($(rU")):
        assert call("udp", next(addresses), NUMBER) == 200
        assert call("ws", next(addresses), NUMBER) == 200


def transfer() -> int:
    """The status of a REFER of a trunk in its call."""
    caller = Caller((NODE, 5060), TRUNK, "echo", "49301234567", "carrier.example", "")
    try:
        caller.set_up()
        found = caller.transact("REFER", more=("Refer-To: <sip:0019005551234@elsewhere.example>",))
        caller.finish()
        return found.status
    finally:
        caller.close()


def test_a_trunk_transfers_nobody_unless_the_settings_say_so(telephony: Telephony) -> None:
    assert transfer() == 403
    with telephony.changed(("$var(trunk_transfers) = 0;", "$var(trunk_transfers) = 1;")):
        assert transfer() != 403
