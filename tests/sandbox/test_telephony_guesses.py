"""Guesses at passwords and floods: who does it is cut off, and nobody else (`facts/audit.md` 1c; `facts/telephony-real.md` 4)."""

import itertools
import secrets
import select
import socket
import struct
import threading
import time
from collections import Counter

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import MEDIA, Line, credentials, register, status
from tests.sandbox.telephony import NODE, PASSWORD, Telephony

pytestmark = pytest.mark.sandbox

GUESSES = 10
WEB_SOCKET_GUESSES = 5
"""Wrong answers that are judged, by account and connection."""

ADDRESS_GUESSES = 30
"""Likewise by web socket, by address."""

REQUESTS = 20
"""Requests of one connection of the web socket within two seconds."""

WRONG = "if ($var(code) == -1 || $var(code) == -2)"
UNCOUNTED = '|| is_method("ACK|BYE|CANCEL"))'
addresses = (f"127.0.83.{number}" for number in itertools.count(1))


def guess(line: Line, count: int, user: str = "1001") -> list[int]:
    """The statuses of log-ins with wrong passwords, slow enough not to be a flood; 0 where nothing is said."""
    found = []
    for number in range(count):
        found.append(register(line, user, f"wrong-{number}", 0.5))
        # Two requests each, and the real program's two seconds of a count may be three.
        time.sleep(0.4)
    return found


@pytest.mark.parametrize(("door", "judged"), [("udp", GUESSES), ("tls", GUESSES), ("ws", WEB_SOCKET_GUESSES)])
def test_few_wrong_answers_of_a_connection_are_judged_and_the_owner_is_let_in(
    telephony: Telephony,
    door: str,
    judged: int,
) -> None:
    with Line(door, next(addresses)) as attacker, Line("udp", next(addresses)) as owner:
        assert guess(attacker, judged + 2) == [401] * judged + [0, 0]
        # Not the right one either: who guesses learns nothing any more.
        assert register(attacker, "1001", PASSWORD, 0.5) == 0
        assert register(owner, "1001", PASSWORD) == 200


def test_guesses_by_account_alone_would_lock_its_owner_out(telephony: Telephony) -> None:
    with telephony.changed(('"wrong:$au:$si:$sp"', '"wrong:$au"')), Line("udp", next(addresses)) as attacker:
        assert guess(attacker, GUESSES) == [401] * GUESSES
        with Line("udp", next(addresses)) as owner:
            assert register(owner, "1001", PASSWORD, 0.5) == 0


def test_without_a_limit_every_guess_is_judged(telephony: Telephony) -> None:
    many = ("$(avp(wrong){s.int}) >= 10", "$(avp(wrong){s.int}) >= 1000")
    with telephony.changed(many), Line("udp", next(addresses)) as attacker:
        assert guess(attacker, GUESSES + 2) == [401] * (GUESSES + 2)


def test_a_web_sockets_guesses_at_many_accounts_end_too(telephony: Telephony) -> None:
    with Line("ws", next(addresses)) as attacker:
        found = [guess(attacker, 1, f"10{number:02}")[0] for number in range(1, 10)]
    assert found == [401] * WEB_SOCKET_GUESSES + [0] * 4


def wrong(line: Line, number: int) -> int:
    """One wrong answer for 1007."""
    return register(line, "1007", f"wrong-{number}", 0.3)


def test_a_guesser_by_web_socket_ends_whatever_he_opens_and_nobody_else_is_disturbed(telephony: Telephony) -> None:
    office, stranger = next(addresses), next(addresses)
    with Line("ws", office) as known:
        assert register(known, "1006", PASSWORD) == 200
    found = []
    for _ in range(8):
        with Line("ws", office) as guesser:
            found += [wrong(guesser, number) for number in range(WEB_SOCKET_GUESSES)]
    assert found == [401] * ADDRESS_GUESSES + [0] * (len(found) - ADDRESS_GUESSES)
    with Line("ws", office) as known, Line("ws", stranger) as owner, Line("udp", office) as phone:
        # He tried the passwords of 1007, who comes from elsewhere; 1006 is of the same office, and was there before.
        assert register(known, "1006", PASSWORD) == 200
        assert register(owner, "1007", PASSWORD) == 200
        assert register(phone, "1008", PASSWORD) == 200
    assert telephony.said("opensips", f"refused: 1007@webitel (password) by ws from {office}")
    with telephony.changed(('cache_fetch("local", "wrong:$var(door):$si", $avp(wrong)) && ', "0 == 1 && ")):
        judged = 0
        for _ in range(8):
            with Line("ws", office) as guesser:
                judged += [wrong(guesser, number) for number in range(WEB_SOCKET_GUESSES)].count(401)
        assert judged == 8 * WEB_SOCKET_GUESSES


def unanswerable(line: Line, nonce: str = "", count: int = 15) -> list[int]:
    """The statuses of REGISTERs without credentials, or with an answer to an old nonce."""
    found = []
    for number in range(count):
        proof = (credentials(challenge(nonce), "REGISTER", "sip:webitel", "1002", "any"),) if nonce else ()
        me = "sip:1002@webitel"
        data = line.request("REGISTER", "sip:webitel", sender=me, to=me, more=proof, sequence=number + 1)
        found.append(status(line.ask(data, 0.5)))
        time.sleep(0.15)
    return found


def challenge(nonce: str) -> sip.Message:
    """One with a nonce of ours."""
    return sip.Message("SIP/2.0 401 Unauthorized", (("www-authenticate", f'Digest realm="webitel", nonce="{nonce}"'),), "")


OLD_NONCE = "0" * 48
"""Not ours any more. One that was answered before is still good to the real program in the half minute after its start."""


def test_neither_a_challenge_nor_an_old_nonce_is_a_guess(telephony: Telephony) -> None:
    with Line("tls", next(addresses)) as line:
        assert unanswerable(line) == [401] * 15
        assert unanswerable(line, OLD_NONCE) == [401] * 15
        assert register(line, "1002", PASSWORD) == 200
    with telephony.changed((WRONG, "if ($var(code) < 0)")), Line("tls", next(addresses)) as line:
        assert 0 in unanswerable(line, OLD_NONCE)
        assert register(line, "1002", PASSWORD, 0.5) == 0


def test_an_owner_logs_in_while_a_stranger_asks_25_times_a_second(telephony: Telephony) -> None:
    over = threading.Event()

    def ask() -> None:
        with Line("ws", next(addresses)) as line:
            while not over.wait(0.04):
                line.send(line.request("REGISTER", "sip:webitel", sender="sip:1003@webitel", to="sip:1003@webitel"))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        time.sleep(1.0)
        for _ in range(8):
            with Line("udp", next(addresses)) as owner:
                assert register(owner, "1003", PASSWORD) == 200
            time.sleep(0.2)
    finally:
        over.set()
        thread.join()


def answered(line: Line, count: int, method: str = "OPTIONS", tag: str = "") -> int:
    """How many of a burst of requests got an answer."""
    for number in range(count):
        line.send(line.request(method, f"sip:{NODE}", tag=tag, sequence=number + 1))
    found = 0
    while line.receive(0.5):
        found += 1
    return found


def test_a_flood_by_one_web_socket_is_cut_and_the_one_beside_it_goes_on(telephony: Telephony) -> None:
    local = next(addresses)
    with Line("ws", local) as flood, Line("ws", local) as beside:
        assert answered(flood, 40) == REQUESTS
        assert register(beside, "1004", PASSWORD) == 200
        assert answered(flood, 1) == 0
        assert telephony.said("opensips", f"too many requests from {local}:{flood.port} by ws")
        time.sleep(3.5)
        assert answered(flood, 1) == 1
    with telephony.changed(('"requests:$si:$sp"', '"requests:$si"')), Line("ws", local) as flood, Line("ws", local) as beside:
        assert answered(flood, 40) == REQUESTS
        assert register(beside, "1004", PASSWORD, 0.5) == 0


def test_what_ends_or_confirms_a_call_is_never_counted_and_a_made_up_tag_exempts_nothing(telephony: Telephony) -> None:
    with Line("ws", next(addresses)) as line:
        kinds = Counter(itertools.islice(itertools.cycle(("ACK", "BYE", "CANCEL")), 60))
        for method, count in kinds.items():
            answered(line, count, method, "" if method == "CANCEL" else "made-up")
        assert register(line, "1005", PASSWORD) == 200
        # The registration took two.
        assert answered(line, 40, "MESSAGE", "made-up") == REQUESTS - 2
        assert answered(line, 1) == 0
    with telephony.changed((UNCOUNTED, ")")), Line("ws", next(addresses)) as line:
        answered(line, 30, "BYE", "made-up")
        assert register(line, "1005", PASSWORD, 0.5) == 0
    with telephony.changed(("if (has_totag() && match_dialog())", "if (has_totag())")), Line("ws", next(addresses)) as line:
        assert answered(line, 40, "MESSAGE", "made-up") == 40


def end_of_a_call(user: str) -> str:
    """What FreeSWITCH gets that calls a phone of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(MEDIA)
        line.settimeout(3)
        call = secrets.token_hex(8)
        lines = [
            f"INVITE sip:{user}@webitel SIP/2.0",
            f"Via: SIP/2.0/UDP {NODE}:5080;rport;branch={sip.branch()}",
            "Max-Forwards: 70",
            f"From: <sip:a@{NODE}>;tag={call}",
            f"To: <sip:{user}@webitel>",
            f"Call-ID: {call}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:mod_sofia@{NODE}:5080>",
            "X-Webitel-Direction: internal",
        ]
        line.sendto(sip.finish(lines, sip.write_sdp(NODE, 20000, 1, True)), (NODE, 5062))
        while True:
            answer = sip.parse(line.recv(65535))
            if answer and answer.one("call-id") == call and answer.status >= 200:
                return answer.start


@pytest.mark.parametrize(
    ("user", "change", "expected", "looked_for"),
    [
        ("1009", (), "480 Temporarily Unavailable", False),
        ("1002", (('setbflag("NO_CONNECT");', 'setbflag("ELSE");'),), "503 Service Unavailable", True),
    ],
)
def test_nobody_looks_for_a_browser_that_is_gone(
    telephony: Telephony,
    user: str,
    change: tuple[tuple[str, str], ...],
    expected: str,
    looked_for: bool,
) -> None:
    local = next(addresses)
    telephony.stop("freeswitch")
    try:
        with telephony.changed(*change):
            with Line("ws", local) as browser:
                assert register(browser, user, PASSWORD) == 200
                port = browser.port
                # So that its port is free at once.
                browser.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            time.sleep(0.5)
            with socket.create_server((local, port)) as listener:
                assert end_of_a_call(user) == f"SIP/2.0 {expected}"
                assert bool(select.select([listener], [], [], 0.5)[0]) is looked_for
    finally:
        telephony.start_freeswitch()
