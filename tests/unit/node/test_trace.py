"""The node's part of `trace`: which packets belong to a call, and what must not leave the node."""

import pytest

from cloud_init.node.ask.trace import FRAGMENT, TCP, UDP, Calls, Packet, Wanted, hide, read_packet, write_filter

PEER, EDGE, MEDIA = "198.51.100.7", "10.0.0.10", "10.0.0.20"


def packet(text: str, source: str = PEER, target: str = EDGE, protocol: int = UDP, number: int = 1, more: bool = False) -> Packet:
    return Packet(protocol, source, target, (5060, 5060), number, more, text.encode())


def invite(user: str, call: str = "a@b", to: str = "600") -> str:
    return (
        f"INVITE sip:{to}@x SIP/2.0\r\nFrom: <sip:{user}@x>;tag=1\r\nTo: <sip:{to}@x>\r\nCall-ID: {call}\r\n"
        'Authorization: Digest response="0123456789abcdef"\r\n\r\n'
    )


def test_a_call_is_followed_from_the_message_that_shows_it() -> None:
    calls = Calls(Wanted("1001", ""))
    assert calls.takes(packet(invite("+1001")))
    assert calls.takes(packet(invite("anonymous"), EDGE, MEDIA))  # the same call, further on
    assert calls.takes(packet("SIP/2.0 200 OK\r\ni: a@b\r\n\r\n", MEDIA, EDGE))
    assert not calls.takes(packet(invite("10011", "other")))
    assert not calls.takes(packet("SIP/2.0 200 OK\r\nCall-ID: other\r\n\r\n"))


def test_an_address_leads_to_the_side_of_freeswitch() -> None:
    calls = Calls(Wanted("", PEER))
    assert not calls.takes(packet(invite("1", "x"), "192.0.2.9", EDGE))
    assert calls.takes(packet(invite("1")))
    assert calls.takes(packet(invite("1"), EDGE, MEDIA))


def test_parts_belong_to_the_message_that_began() -> None:
    calls = Calls(Wanted("1001", ""))
    assert calls.takes(packet(invite("1001"), number=7))
    assert calls.takes(packet("a=rtpmap", number=7, more=True))
    assert not calls.takes(packet("a=rtpmap", number=8, more=True))
    assert calls.takes(packet(invite("1001"), protocol=TCP))
    assert calls.takes(packet("the rest", protocol=TCP))
    assert not calls.takes(packet(invite("1002", "c"), protocol=TCP))
    assert not calls.takes(packet("the rest", protocol=TCP))
    assert not calls.takes(packet("", protocol=TCP))


def test_what_opens_something_is_overwritten_and_lengths_stay() -> None:
    text = b'response="00ff"\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUJD+/=\r\na=ice-pwd:secret\r\nthe response="?"'
    hidden = hide(text)
    assert len(hidden) == len(text)
    assert b"00ff" not in hidden and b"QUJD" not in hidden and b"secret" not in hidden
    assert b"AES_CM_128_HMAC_SHA1_80 inline:xxxxxxx\r\n" in hidden


@pytest.mark.parametrize("proof", ['response="00FF"', 'Response = "00ff"', "response=00ff,"])
def test_proofs_are_overwritten_however_a_phone_writes_them(proof: str) -> None:
    assert hide(proof.encode()).lower() == proof.lower().replace("00ff", "xxxx").encode()


def test_a_packet_is_read() -> None:
    udp = (5060).to_bytes(2, "big") + (5062).to_bytes(2, "big") + bytes(4)
    head = (
        bytes([0x45, 0])
        + (33).to_bytes(2, "big")
        + (9).to_bytes(2, "big")
        + bytes([0, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    )
    assert read_packet(head + udp + b"hello") == Packet(UDP, "10.0.0.1", "10.0.0.2", (5060, 5062), 9, False, b"hello")
    assert read_packet(b"short") is None
    later = head[:6] + (3 & FRAGMENT).to_bytes(2, "big") + head[8:]
    part = read_packet(later + udp + b"hello")
    assert part and part.is_fragment


def test_every_jump_of_the_filter_stays_inside_it() -> None:
    program = write_filter(range(5060, 5080))
    for at, one in enumerate(program):
        assert 0 <= one.yes < 256 and 0 <= one.no < 256
        assert at + 1 + max(one.yes, one.no) < len(program) or one.code == 0x06
    assert [one.value for one in program[-2:]] == [0, 0xFFFF]
