"""Strange bytes wherever a query or the table of locations would get them, and a database that is away: nobody else notices
(`facts/telephony-real.md` 3, 11)."""

import itertools

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import Line, credentials, register, status
from tests.sandbox.telephony import NODE, PASSWORD, TRUNK, Telephony
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

STRANGE = {
    "no UTF-8": b"\xff\xfe",
    "zero": b"a\0b",
    "zero and no UTF-8": b"a\0\xff",
    "quote": b"o'brien",
    "double quote": b'o"b',
    "backslash": b"a\\\\",
    "Latin": b"j\xf6rg",
    "UTF-8": "jörg".encode(),
    "long": b"u" * 300,
    "huge": b"h" * 30000,
    "statement": b"a';drop table location;--",
}
PLACES = {
    "digest": (b'username="1006"', b'username="%s"'),
    "digest realm": (b'realm="webitel"', b'realm="%s"'),
    "From": (b"From: <sip:1006@", b"From: <sip:%s@"),
    "To": (b"To: <sip:1006@", b"To: <sip:%s@"),
    "From domain": (b"From: <sip:1006@webitel", b"From: <sip:1006@%s"),
    "To domain": (b"To: <sip:1006@webitel", b"To: <sip:1006@%s"),
    "Call-ID": (b"CALL", b"%s"),
    "User-Agent": (b"AGENT", b"%s"),
    "Contact": (b"Contact: <sip:1006@", b"Contact: <sip:%s@"),
    "Path": (b"PATH", b"%s"),
    "target": (b"REGISTER sip:webitel", b"REGISTER sip:%s"),
    "second Authorization": (b"Authorization:", b'Authorization: Digest username="%s"\r\nAuthorization:'),
}
"""Where the bytes of an attack stand in a REGISTER: what stands there otherwise, and what comes in its place."""

UNNOTICED = (200, 400, 401, 403, 404, 0)
"""Refused, ignored, or taken where the bytes do no harm."""

TOO_LONG_TO_ASK = (*UNNOTICED, 500)
"""A text that is longer than `pv_print_buf_size` becomes no query: the real program says 500 to its sender, and loses nothing."""

addresses = (f"127.0.{net}.{number}" for net in (84, 85, 86, 87, 88) for number in range(1, 250))


def planted(door: str, place: str, data: bytes) -> int:
    """The status of a REGISTER with right credentials and strange bytes in one place; 0 where nothing is said."""
    me, target = "sip:1006@webitel", "sip:webitel"
    with Line(door, next(addresses)) as line:
        asked = line.ask(line.request("REGISTER", target, sender=me, to=me))
        if asked is None or asked.status != 401:
            return status(asked)
        more = (
            credentials(asked, "REGISTER", target, "1006", PASSWORD),
            "User-Agent: AGENT",
            "Path: <sip:PATH;lr>",
            "Expires: 60",
        )
        message = line.request("REGISTER", target, sender=me, to=me, more=more, call="CALL", sequence=2)
        old, new = PLACES[place]
        assert old in message
        message = message.replace(old, new % data, 1)
        try:
            line.send(message)
            return status(line.receive(0.5))
        except OSError:
            return 0


def registrations(telephony: Telephony) -> list[tuple[int, str]]:
    """Eight registrations of another phone, twice as many as workers: their statuses, and how many rows each is in the table."""
    found = []
    for _ in range(8):
        with Line("udp", next(addresses)) as line:
            said = register(line, "1007", PASSWORD)
            row = f"select count(*) from location where username = '1007' and contact like '%@{line.local}:%'"
            found.append((said, telephony.platform.sql(row)))
    return found


WHOLE = [(200, "1")] * 8
"""Registrations where every worker has its database."""


@pytest.mark.parametrize("door", ["udp", "tls", "ws"])
def test_strange_bytes_cost_nobody_the_database(telephony: Telephony, door: str) -> None:
    for place, (kind, data) in itertools.product(PLACES, STRANGE.items()):
        assert planted(door, place, data) in (TOO_LONG_TO_ASK if kind == "huge" else UNNOTICED), (place, kind)
    assert registrations(telephony) == WHOLE
    assert not telephony.said("opensips", "CRITICAL")


ANY = r'=~ "[^ -~]|\\\\0"'
CHECKS = {
    "digest": (
        ('|| ($au != NULL && !($(au{s.escape.common}) =~ "^[A-Za-z0-9._@+-]{1,64}$"))', ""),
        (f"|| $(hdr(Authorization){{s.escape.common}}) {ANY}", ""),
    ),
    "Call-ID": ((r'|| $(ci{s.escape.common}) =~ "[^!-~]|\\\\0"', ""),),
    "User-Agent": ((f"|| $(ua{{s.escape.common}}) {ANY}", ""),),
    "Contact": ((f"$(hdr(Contact)[*]{{s.escape.common}}) {ANY} ||", ""),),
}
"""What keeps the bytes of a place away from the database."""


@pytest.mark.parametrize("place", CHECKS)
def test_without_its_check_a_place_costs_a_worker_its_database(telephony: Telephony, place: str) -> None:
    with telephony.changed(*CHECKS[place]):
        for _ in range(8):
            planted("udp", place, STRANGE["no UTF-8"])
        assert registrations(telephony) != WHOLE


@pytest.mark.parametrize("door", ["tcp", "tls", "ws"])
def test_a_header_of_64_kib_ends_its_own_connection_at_most(telephony: Telephony, door: str) -> None:
    for place in ("From", "digest", "Call-ID", "User-Agent", "Contact"):
        assert planted(door, place, b"h" * 65536) in UNNOTICED
    assert registrations(telephony) == WHOLE


def call(line: Line, sender: str, password: str = "") -> int:
    """The status of a call's INVITE, with a password where one is asked for."""
    target, body = f"sip:echo@{NODE}", sip.write_sdp(line.local, 40000, 1, True)
    answer = line.ask(line.request("INVITE", target, sender=sender, body=body), 8)
    if answer and answer.status == 407 and password:
        proof = credentials(answer, "INVITE", target, sip.user_of(sender), password)
        answer = line.ask(line.request("INVITE", target, sender=sender, body=body, more=(proof,), sequence=2), 8)
    return status(answer)


def test_strange_callers_and_numbers_of_a_trunk_cost_nobody_the_database(telephony: Telephony) -> None:
    for data in STRANGE.values():
        for old in (b"From: <sip:a@b.example", b"To: <sip:echo@", b"INVITE sip:echo@"):
            with Line("udp", TRUNK) as line:
                message = line.request("INVITE", f"sip:echo@{NODE}", body=sip.write_sdp(line.local, 40000, 1, True))
                assert old in message
                marker = {b"F": b"a@", b"T": b"echo@", b"I": b"echo@"}[old[:1]]
                line.send(message.replace(old, old.replace(marker, data + b"@"), 1))
                line.receive(0.3)
    with Line("udp", next(addresses)) as line:
        assert call(line, "sip:1006@webitel", PASSWORD) == 200
    assert registrations(telephony) == WHOLE


def test_a_database_that_is_away_is_nobodys_fault(telephony: Telephony) -> None:
    with telephony.changed():
        telephony.platform.stop("postgresql")
        try:
            # Every worker, and each more than once.
            for _ in range(8):
                with Line("udp", next(addresses)) as line:
                    assert register(line, "1008", PASSWORD) == 500
                with Line("udp", next(addresses)) as line:
                    assert call(line, "sip:1008@webitel", PASSWORD) in (500, 503)
                with Line("udp", TRUNK) as line:
                    assert call(line, "sip:1@carrier.example") == 503
            assert not telephony.said("opensips", "Auth error")
        finally:
            telephony.platform.start("postgresql")
        wait_until(lambda: registrations(telephony) == WHOLE, 40, "registrations after the database's return")
