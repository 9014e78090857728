"""Phones that keep their signalling secret, and which kind of audio they are offered."""

import re
import socket

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import MEDIA, Line, register
from tests.sandbox.telephony import NODE, PASSWORD, Telephony

pytestmark = pytest.mark.sandbox

PHONE = "127.0.79.31"


def invite() -> bytes:
    """FreeSWITCH calls the phone."""
    me, target = f"{MEDIA[0]}:{MEDIA[1]}", "sip:1001@webitel"
    return sip.finish(
        [
            f"INVITE {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {me};rport;branch={sip.branch()}",
            "Max-Forwards: 70",
            f"From: <sip:1000@webitel>;tag={sip.branch()}",
            f"To: <{target}>",
            f"Call-ID: {sip.branch()}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:mod_sofia@{me}>",
            "X-Webitel-Direction: internal",
        ],
        sip.write_sdp(NODE, 40000, 1, True),
    )


def offers(line: Line, media: socket.socket) -> list[tuple[str, bool]]:
    """The audio offered to a phone that has SRTP switched off, each with whether later requests would be taken for SRTP."""
    media.sendto(invite(), (NODE, 5062))
    found = []
    while message := line.receive(1.5):
        kind = re.search(r"m=audio \d+ (\S+)", message.body)
        if message.method == "INVITE" and kind:
            found.append((kind[1], "srtp=yes" in str(message.all("record-route"))))
            line.send(sip.answer(message, 488 if "SAVP" in kind[1] else 486, "No", "phone"))
    return found


def test_a_phone_that_refuses_srtp_is_offered_plain_audio(telephony: Telephony) -> None:
    telephony.stop("freeswitch")
    try:
        with Line("tls", PHONE) as line, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
            media.bind(MEDIA)
            assert register(line, "1001", PASSWORD) == 200
            assert offers(line, media) == [("RTP/SAVP", True), ("RTP/AVP", False)]
    finally:
        telephony.start_freeswitch()
