"""What the settings say of one carrier (webitel:carrier_profiles): its codecs, its transport."""

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import Line, status
from tests.sandbox.telephony import NODE, OPENSIPS_FILES, TRUNK, Telephony, node_files, running_telephony
from tests.unit.cloud_init.opensips_files import with_bundle

pytestmark = pytest.mark.sandbox

BY_TCP, PLAIN, BY_TLS = "127.0.79.20", "127.0.79.21", "127.0.79.22"
"""A carrier that comes by TCP, one of which nothing is said, and one that comes by TLS."""

NAMED, LONGER = "carrier.example", "carrier.example.net"
"""Carriers that a gateway names; the one's name begins as the other's."""

PROFILES = {
    f"{TRUNK}/32": {"codecs": ["PCMU"]},
    f"{BY_TCP}/32": {"transport": "tcp"},
    f"{BY_TLS}/32": {"transport": "tls"},
    NAMED: {"codecs": ["PCMU"]},
    LONGER: {"codecs": ["G722"]},
}


@pytest.fixture(scope="module")
def carriers() -> Iterator[Telephony]:
    def prepare(made: Telephony) -> None:
        files = with_bundle(node_files(carriers=["127.0.79.0/24"], carrier_profiles=PROFILES))
        for name, place in OPENSIPS_FILES.items():
            made.write(name, made.opensips_text(files[place]))

    with running_telephony(prepare) as made:
        for address in (BY_TCP, PLAIN, BY_TLS):
            made.allow_trunk(address)
        made.ask("address_reload")
        yield made


def offered(telephony: Telephony, address: str) -> list[str]:
    """The payload types of the offer in a call to a carrier."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier:
        carrier.bind((address, 5090))
        carrier.settimeout(5)
        calling = threading.Thread(
            target=telephony.fs_cli, args=(f"originate sofia/sip/1000@{address}:5090;fs_path=sip:{NODE}:5062 &echo()",)
        )
        calling.start()
        data, source = carrier.recvfrom(65535)
        invite = sip.parse(data)
        assert invite and invite.method == "INVITE"
        carrier.sendto(sip.answer(invite, 486, "Busy Here"), source)
        calling.join()
    return payloads(invite)


def payloads(message: sip.Message) -> list[str]:
    """The payload types of an offer."""
    return re.search(r"(?m)^m=audio \d+ RTP/AVP ([\d ]+)", message.body)[1].split()  # type: ignore[index]


def test_a_carrier_is_offered_its_codecs_and_the_others_are_offered_as_ever(carriers: Telephony) -> None:
    assert offered(carriers, TRUNK) == ["0", "101"]
    assert offered(carriers, PLAIN)[:2] == ["8", "0"]


class Carrier:
    """Takes a call of FreeSWITCH, and every change of it."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((PLAIN, 5090))
        self.socket.settimeout(5)

    def take(self, call: str, sequence: int, forged: str) -> list[str]:
        """The payload types of an offer; `forged` is what the answer says behind our Record-Route."""
        while True:
            data, source = self.socket.recvfrom(65535)
            message = sip.parse(data)
            if message and message.method and (message.one("call-id"), message.one("cseq")) == (call, f"{sequence} INVITE"):
                break
        asked = payloads(message)
        body = sip.write_sdp(PLAIN, 40002, sequence, True, (int(asked[0]),))
        answer = sip.answer(message, 200, "OK", "carrier", (f"Contact: <sip:1000@{PLAIN}:5090>",), body)
        self.socket.sendto(answer.replace(b";lr", f";lr{forged}".encode()), source)
        return asked


def offered_twice(host: str, forged: str = "") -> list[list[str]]:
    """What a carrier is offered at the begin of a call, by the host that its gateway names, and by a change (hold) of it."""
    with Line("udp", NODE, 5080) as media:
        carrier = Carrier()
        # As FreeSWITCH, which is stopped meanwhile.
        media.socket.connect((NODE, 5062))
        call, found = secrets.token_hex(8), []
        target, tag, routes = f"sip:1000@{host}:5090;maddr={PLAIN}", "", tuple[str, ...]()
        with closing(carrier.socket):
            for sequence in (1, 2):
                data = media.request(
                    "INVITE",
                    target,
                    to="sip:1000@x.example",
                    tag=tag,
                    routes=routes,
                    call=call,
                    sequence=sequence,
                    body=sip.write_sdp(NODE, 40000, sequence, True),
                )
                media.send(re.sub(rb"(?m)^(From: .*tag=).*\r$", rb"\g<1>media\r", data))
                found.append(carrier.take(call, sequence, forged))
                # What belongs to FreeSWITCH's calls before is repeated until it is back.
                ours = [call, f"{sequence} INVITE"]
                while (answer := media.receive(5)) and (
                    answer.status < 200 or [answer.one("call-id"), answer.one("cseq")] != ours
                ):
                    pass
                assert answer
                assert answer.status == 200
                if not routes:
                    routes = tuple(part.strip() for value in answer.all("record-route") for part in value.split(","))[::-1]
                    tag, target = sip.parameter(answer.one("to"), "tag"), sip.uri(answer.one("contact"))
                media.send(
                    re.sub(
                        rb"(?m)^(From: .*tag=).*\r$",
                        rb"\g<1>media\r",
                        media.request(
                            "ACK", target, to="sip:1000@x.example", tag=tag, routes=routes, call=call, sequence=sequence
                        ),
                    )
                )
    return found


@pytest.fixture
def silent(carriers: Telephony) -> Iterator[Telephony]:
    """Without FreeSWITCH, in whose place a test speaks."""
    carriers.stop("freeswitch")
    try:
        yield carriers
    finally:
        carriers.start_freeswitch()


def test_a_carrier_by_name_keeps_its_codecs_when_its_call_is_changed(silent: Telephony) -> None:
    assert offered_twice(NAMED) == [["0", "101"]] * 2
    assert offered_twice(LONGER) == [["9", "101"]] * 2
    default = offered_twice("other.example")
    assert default[0] == default[1]
    assert default[0][:2] == ["8", "0"]


def test_a_carrier_that_names_another_in_our_route_has_another_choice_of_codecs_only(silent: Telephony) -> None:
    assert offered_twice("other.example", f";carrier={NAMED}")[1] == ["0", "101"]
    # Neither an address nor a name of nobody says anything.
    for forged in (f";carrier={TRUNK}", ";carrier=nobody.example", f";carrier=x{NAMED}", ";carrier=%22"):
        assert offered_twice("other.example", forged)[1][:2] == ["8", "0"]


def called(door: str, address: str) -> int:
    """The final status of a call by a carrier."""
    with Line(door, address) as line:
        body = sip.write_sdp(address, 30000, 1, True)
        line.send(line.request("INVITE", f"sip:echo@{NODE}", sender=f"sip:1@{address}", body=body))
        while (answer := line.receive(4)) is not None:
            if answer.status >= 200:
                return status(answer)
    return 0


def test_a_carrier_is_taken_by_its_transport_only(carriers: Telephony) -> None:
    assert called("tcp", BY_TCP) == 200
    assert called("udp", BY_TCP) == 403
    assert carriers.said("opensips", f"from {BY_TCP} comes by udp (webitel:carrier_profiles)")
    assert called("udp", PLAIN) == 200


def test_a_carrier_by_tls_is_found_by_the_host_that_its_gateway_has(carriers: Telephony) -> None:
    """Behind it stands our port of UDP, 5060, and not 5061."""
    assert called("tls", BY_TLS) == 200
    assert called("udp", BY_TLS) == 403
    exact = ("split_part(host, ':', 1) = '$td'", "host = '$td:$socket_in(port)'")
    # As the module's own files are.
    with carriers.changed(exact):
        assert called("tls", BY_TLS) == 403
