"""Whom fail2ban counts: who guesses or scans and cannot have forged his address, and no office for one of its phones or tabs
(`facts/audit.md` 19; `facts/telephony.md`)."""

import itertools
import re
import time

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import Line, credentials, register, status
from tests.sandbox.telephony import NODE, PASSWORD, Telephony, node_files
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

BAN = 30
"""Lines within ten minutes that shut an address out."""

GUESSES = 10
"""Wrong answers of a phone that are judged."""

TARGET = "sip:webitel"
addresses = (f"127.0.85.{number}" for number in itertools.count(1))


def counted(telephony: Telephony) -> list[str]:
    """The lines of the journal for which fail2ban counts somebody, by its own pattern."""
    text = node_files()["/etc/fail2ban/filter.d/opensips.conf"]
    patterns = re.findall(r"(?m)^(?:failregex = |            )(.*)$", text)
    assert patterns
    begin = re.findall(r"(?m)^_begin = (.*)$", text)[0]
    patterns = [one.replace("%(_begin)s", begin).replace("<HOST>", r"[0-9.]+") for one in patterns]
    log = (telephony.folder / "opensips.log").read_text(errors="replace")
    # What the journal puts before each.
    lines = [f"edge-1 /usr/sbin/opensips[77]: {line}" for line in log.splitlines()]
    return [line for line in lines if any(re.search(one, line) for one in patterns)]


def forge(forger: Line, forged: Line, user: str, number: int) -> None:
    """A wrong answer in another's name, to a challenge that the forger has for himself: one way, as he hears no answer."""
    me = f"sip:{user}@webitel"
    challenge = forger.ask(forger.request("REGISTER", TARGET, sender=me, to=me))
    assert challenge is not None and challenge.status == 401
    proof = credentials(challenge, "REGISTER", TARGET, user, f"wrong-{number}")
    forged.send(forged.request("REGISTER", TARGET, sender=me, to=me, more=(proof,), sequence=2))
    # Slow enough for pike.
    time.sleep(0.15)


def answer_wrong(line: Line, user: str, count: int) -> list[int]:
    """The statuses of wrong answers by one connection, slow enough for pike; 0 where nothing is said."""
    found = []
    for number in range(count):
        found.append(register(line, user, f"wrong-{number}", 0.5))
        time.sleep(0.25)
    return found


def forge_many(phone: Line, users: tuple[str, ...] = ("1001", "1002", "1003")) -> None:
    """More than fail2ban lets pass, in the name of a phone's address and port."""
    with Line("udp", next(addresses)) as forger:
        for number in range(BAN + 6):
            forge(forger, phone, users[number % len(users)], number)
    while phone.receive(0.5):
        """Answers to what it never asked."""


def test_forged_answers_ban_nobody_and_lock_nobody_out(telephony: Telephony) -> None:
    with telephony.changed(), Line("udp", next(addresses)) as phone:
        forge_many(phone)
        assert counted(telephony) == []
        assert register(phone, "1001", PASSWORD) == 200
        # What it gets wrong itself counts, as it gives back what it was told.
        time.sleep(2.5)
        assert answer_wrong(phone, "1001", GUESSES + 1) == [401] * GUESSES + [0]
    with telephony.changed(("if ($auth.opaque == $var(opaque))", "if (1 == 1)")), Line("udp", next(addresses)) as phone:
        forge_many(phone)
        wait_until(lambda: len(counted(telephony)) == BAN, 20, "a line for each answer that is judged")
        assert register(phone, "1001", PASSWORD, 0.5) == 0


def test_who_leaves_the_word_out_is_soon_judged_no_more(telephony: Telephony, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(answer: sip.Message, method: str, target: str, user: str, password: str) -> str:
        return re.sub(r'opaque="\w+", ', "", credentials(answer, method, target, user, password))

    monkeypatch.setattr("tests.sandbox.attacker.credentials", forget)
    local = next(addresses)
    with telephony.changed():
        with Line("udp", local) as phone:
            assert register(phone, "1001", PASSWORD) == 200
        for user in ("1001", "1002"):
            with Line("udp", local) as guesser:
                assert answer_wrong(guesser, user, GUESSES) == [401] * GUESSES
        with Line("udp", local) as guesser:
            assert register(guesser, "1003", PASSWORD) == 401
        assert counted(telephony) == []
        monkeypatch.undo()
        with Line("udp", local) as phone:
            assert register(phone, "1003", PASSWORD) == 200


def guess(door: str, local: str, user: str, count: int) -> list[int]:
    """The statuses of wrong answers by connections of an address, few enough by each."""
    found = []
    for start in range(0, count, 5):
        with Line(door, local) as line:
            found += answer_wrong(line, user, min(5, count - start))
    return found


def test_a_tab_or_a_phone_with_an_old_password_has_its_office_not_banned(telephony: Telephony) -> None:
    office, stranger = next(addresses), next(addresses)
    with telephony.changed():
        assert guess("ws", office, "1001", BAN + 3) == [401] * BAN + [0] * 3
        assert counted(telephony) == []
        with Line("tcp", office) as phone:
            assert register(phone, "1002", PASSWORD) == 200
        # Where somebody has logged in, guessing ends by itself, and known phones go on.
        assert guess("tcp", office, "1003", BAN + 3) == [401] * BAN + [0] * 3
        assert counted(telephony) == []
        with Line("tcp", office) as phone:
            assert register(phone, "1002", PASSWORD) == 200
            assert register(phone, "1004", PASSWORD, 0.5) == 0
        assert guess("tcp", stranger, "1003", BAN) == [401] * BAN
        assert len(counted(telephony)) == BAN
    known = ('|| cache_fetch("local", "right:$si", $avp(right))', "")
    with telephony.changed(known):
        with Line("tcp", office) as phone:
            assert register(phone, "1002", PASSWORD) == 200
        guess("tcp", office, "1003", BAN)
        assert len(counted(telephony)) == BAN


def test_no_second_header_names_somebody_else(telephony: Telephony) -> None:
    """Else `$au`, by which wrong answers are counted, is the guesser's choice."""
    both = "|| ($hdrcnt(Authorization) > 0 && $hdrcnt(Proxy-Authorization) > 0)"

    def tries() -> list[int]:
        found: list[int] = []
        me = "sip:1005@webitel"
        with Line("tls", next(addresses)) as line:
            for number in range(GUESSES + 2):
                challenge = line.ask(line.request("REGISTER", TARGET, sender=me, to=me, sequence=2 * number + 1), 0.5)
                if challenge is None:
                    return [*found, 0]
                proof = credentials(challenge, "REGISTER", TARGET, "1005", f"wrong-{number}")
                more = (f"Proxy-{proof.replace('1005', f'other-{number}')}", proof)
                data = line.request("REGISTER", TARGET, sender=me, to=me, more=more, sequence=2 * number + 2)
                found.append(status(line.ask(data, 0.5)))
                time.sleep(0.25)
        return found

    assert tries() == [400] * (GUESSES + 2)
    with telephony.changed((both, "")):
        assert tries() == [401] * (GUESSES + 2)


def test_calls_that_are_forged_ban_nobody(telephony: Telephony) -> None:
    def strangers(door: str) -> None:
        with Line(door, next(addresses)) as line:
            for _ in range(30):
                line.send(line.request("INVITE", f"sip:1@{NODE}"))
                # Slow enough for pike.
                time.sleep(0.12)

    with telephony.changed():
        strangers("udp")
        wait_until(lambda: telephony.said("opensips", "refused: INVITE of sip:a@b.example"), 20, "a line for each")
        assert counted(telephony) == []
        strangers("ws")
        assert counted(telephony) == [], "any page in an office's browser can do that"
        strangers("tcp")
        wait_until(lambda: len(counted(telephony)) == 30, 20, "a line for each call by TCP, which nobody forges")


def burst(door: str) -> None:
    """As many requests of a scanner as a ban needs, one way."""
    with Line(door, next(addresses)) as line:
        for _ in range(33):
            line.send(line.request("REGISTER", "sip:webitel", more=("User-Agent: friendly-scanner",)))
        assert line.receive(0.5) is None


def test_a_forged_burst_of_a_scanner_bans_nobody(telephony: Telephony) -> None:
    with telephony.changed():
        burst("udp")
        burst("ws")
        assert counted(telephony) == []
        burst("tcp")
        wait_until(lambda: len(counted(telephony)) == 33, 20, "a line for each request by TCP, which nobody forges")
    line = 'xlog("L_NOTICE", "Auth error for a scanner'
    with telephony.changed((f'if ($socket_in(proto) != "udp" && $var(shielded) == 0)\n            {line}', line)):
        burst("udp")
        wait_until(lambda: len(counted(telephony)) == 33, 20, "a line for each request by UDP")
