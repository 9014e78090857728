"""What nobody outside may do through OpenSIPS, by whichever door: relay, and speak FreeSWITCH's words (`facts/audit.md` 1a, 19).

Every defence is shown to matter: the attack fails with our file, and succeeds with a line of it removed.
"""

import itertools
import time
from contextlib import closing

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import DOORS, INNER, MEDIA, OURS, VICTIM, Line, Victim, listener, register, status
from tests.sandbox.telephony import NODE, PASSWORD, TRUNK, Telephony
from tests.tools.caller import Caller

pytestmark = pytest.mark.sandbox

METHODS = ("INVITE", "MESSAGE", "REFER", "NOTIFY", "ACK")
AT_VICTIM = f"sip:1@{VICTIM[0]}:{VICTIM[1]}"
AT_MEDIA = f"sip:1@{MEDIA[0]}:{MEDIA[1]}"
WAYS = {
    "two Routes": (AT_VICTIM, (INNER,)),
    "two Routes by TCP": (f"{AT_VICTIM};transport=tcp", (INNER,)),
    "a third Route": (AT_MEDIA, (INNER, f"<{AT_VICTIM};lr>")),
    "maddr": (f"{AT_MEDIA};maddr={VICTIM[0]}", (INNER,)),
    "maddr and a third Route": (f"{AT_MEDIA};maddr={VICTIM[0]}", (INNER, f"<{AT_VICTIM};lr>")),
    "a strict router's": (f"sip:{NODE}:5060", (f"<{AT_VICTIM};lr>",)),
    "our contact": (f"sip:1@{NODE}:5060;media=all-1", (INNER, f"<{AT_VICTIM};lr>")),
}
"""How a request within a call that is none could come to the victim: its URI, and its Routes behind that of the door."""

CHECK = "if ($du != NULL || $var(to_media) == 0) {"
NEXT_HOP = '$du = "sip:" + $rd + ":" + $rp;'
WORDS = 'remove_hf_re("^X-Webitel-");'
MADE_UP = 'is_method("MESSAGE") && !match_dialog()'
addresses = (f"127.0.81.{number}" for number in itertools.count(1))
"""Each used once: whom a test has cut off for its flood is not the next one's stranger."""


def relayed(doors: tuple[str, ...] = tuple(DOORS), ways: tuple[str, ...] = tuple(WAYS)) -> set[tuple[str, str, str]]:
    """Door, way and method of everything that reached the victim."""
    with closing(Victim()) as victim:
        for door, way in itertools.product(doors, ways):
            target, routes = WAYS[way]
            with Line(door, next(addresses)) as line:
                for method in METHODS:
                    line.send(
                        line.request(
                            method,
                            target,
                            tag="made-up",
                            routes=(OURS[door], *routes),
                            call=f"{door}/{way}/{method}".replace(" ", "_"),
                            body=sdp(line) if method == "INVITE" else "",
                        )
                    )
                    line.receive(0.1 if method != "ACK" else 0)
        found = {tuple(one.replace("_", " ").split("/")) for one in victim.heard(1.0)}
    return {(one[0], one[1], one[2]) for one in found if len(one) == 3}


def sdp(line: Line) -> str:
    """Audio at an address of the attacker."""
    return sip.write_sdp(line.local, 40000, 1, True)


def test_nothing_is_relayed_through_any_door(telephony: Telephony) -> None:
    assert relayed() == set()
    with Line("udp", next(addresses)) as line:
        assert register(line, "1001", PASSWORD) == 200


def test_every_way_would_lead_to_the_victim_without_the_check_of_requests_within_calls(telephony: Telephony) -> None:
    with telephony.changed(
        (CHECK, "if ($var(to_media) == 2) {"), (NEXT_HOP, ""), ("route(inner_socket);", ""), (MADE_UP, 'is_method("SUBSCRIBE")')
    ):
        found = relayed()
    assert {way for _, way, _ in found} == set(WAYS)
    assert {door for door, _, _ in found} == set(DOORS)
    assert {method for _, _, method in found} == set(METHODS)


@pytest.mark.parametrize(
    ("ways", "pairs"),
    [
        (("two Routes",), ((CHECK, "if ($du != NULL) {"),)),
        (("a third Route", "our contact"), (("$du != NULL || ", ""), (NEXT_HOP, ""))),
        (("maddr",), ((NEXT_HOP, ""),)),
    ],
)
def test_each_part_of_the_check_stops_a_way_of_its_own(
    telephony: Telephony,
    ways: tuple[str, ...],
    pairs: tuple[tuple[str, str], ...],
) -> None:
    with telephony.changed(*pairs):
        found = relayed(("udp",), ways)
    assert {way for _, way, _ in found} == set(ways)


def spoken(telephony: Telephony) -> set[str]:
    """The headers that an outsider could say to FreeSWITCH: as a trunk, and within a call that is none."""
    said = (
        "X-Webitel-Direction: internal",
        "X-Webitel-User-Id: 77",
        "X-Webitel-Domain-Id: 77",
        "X-FS-Support: forged",
        "Remote-Party-ID: <sip:forged@b.example>",
    )
    telephony.stop("freeswitch")
    try:
        with listener() as heard:
            with Line("udp", TRUNK) as line:
                line.ask(line.request("INVITE", f"sip:1@{NODE}", more=said, body=sdp(line)))
            for door in DOORS:
                with Line(door, next(addresses)) as line:
                    target = f"sip:{door}@{NODE}:5060;media=all-1"
                    line.ask(line.request("INFO", target, tag="x", routes=(OURS[door], INNER), more=said))
            assert {sip.user_of(one.start.split()[1]) for one in heard} >= {"1", *DOORS}
    finally:
        telephony.start_freeswitch()
    # A carrier says itself who calls.
    return {
        f"{name}: {value}"
        for one in heard
        for name, value in one.headers
        if (name.startswith("x-") and value in ("internal", "77", "forged"))
        or (name == "remote-party-id" and sip.user_of(one.start.split()[1]) != "1")
    }


def test_nobody_outside_says_freeswitchs_words(telephony: Telephony) -> None:
    assert spoken(telephony) == set()
    with telephony.changed(
        (WORDS, ""),
        ('remove_hf("X-FS-Support");\n    if ($socket_in', "if ($socket_in"),
        ('remove_hf("Remote-Party-ID");\n    }\n    if (!mf', "}\n    if (!mf"),
    ):
        assert spoken(telephony) == {
            "x-webitel-direction: internal",
            "x-webitel-user-id: 77",
            "x-webitel-domain-id: 77",
            "x-fs-support: forged",
            "remote-party-id: <sip:forged@b.example>",
        }


def test_a_message_within_a_call_that_there_is_not_stays_outside(telephony: Telephony) -> None:
    telephony.stop("freeswitch")
    try:
        with listener() as heard:
            answers = {door: message_of_a_stranger(door) for door in DOORS}
        assert answers == dict.fromkeys(DOORS, 403)
        assert heard == []
    finally:
        telephony.start_freeswitch()
    caller = Caller((NODE, 5060), TRUNK, "echo", "380441234567", "carrier.example", "")
    try:
        caller.set_up()
        assert caller.transact("MESSAGE").status != 403
    finally:
        caller.finish()
        caller.close()


def message_of_a_stranger(door: str) -> int:
    """What he is answered who makes a call's tag up."""
    with Line(door, next(addresses)) as line:
        request = line.request("MESSAGE", f"sip:{door}@{NODE}:5060;media=all-1", tag="x", routes=(OURS[door], INNER))
        return status(line.ask(request))


def leaving(telephony: Telephony) -> int:
    """The status of BYE in a call whose FreeSWITCH has left the dispatcher's set meanwhile."""
    caller = Caller((NODE, 5060), TRUNK, "echo", "380441234567", "carrier.example", "")
    try:
        caller.set_up()
        telephony.platform.sql("delete from dispatcher")
        assert telephony.ask("ds_reload")["result"] == "OK"
        caller.talk(0.2)
        return caller.transact("BYE").status
    finally:
        caller.close()
        telephony.platform.sql(telephony.dispatcher)
        telephony.ask("ds_reload")


def test_a_call_on_a_freeswitch_that_leaves_ends_from_both_sides(telephony: Telephony) -> None:
    assert leaving(telephony) == 200
    caller = Caller((NODE, 5060), TRUNK, "echo", "380441234567", "carrier.example", "")
    try:
        caller.set_up()
        telephony.platform.sql("delete from dispatcher")
        telephony.ask("ds_reload")
        telephony.fs_cli("hupall")
        end = time.monotonic() + 5
        while not caller.ended and time.monotonic() < end:
            caller.step()
        assert caller.ended
    finally:
        caller.close()
        telephony.platform.sql(telephony.dispatcher)
        telephony.ask("ds_reload")
    asked = 'if ($rp == 5080 && ($rd == "127.0.79.1"))'
    with telephony.changed((asked, 'if (ds_is_in_list("$rd", $rp, 1))')):
        assert leaving(telephony) == 403
