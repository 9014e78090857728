"""What the settings say of one carrier (webitel:carrier_profiles): its codecs, its transport."""

import re
import socket
import threading
from collections.abc import Iterator

import pytest

from sandbox.standin.freeswitch import sip
from tests.sandbox.attacker import Line, status
from tests.sandbox.telephony import NODE, OPENSIPS_FILES, TRUNK, Telephony, node_files, running_telephony
from tests.unit.cloud_init.opensips_files import with_bundle

pytestmark = pytest.mark.sandbox

BY_TCP, PLAIN = "127.0.79.20", "127.0.79.21"
"""A carrier that comes by TCP, and one of which nothing is said."""

PROFILES = {f"{TRUNK}/32": {"codecs": ["PCMU"]}, f"{BY_TCP}/32": {"transport": "tcp"}}


@pytest.fixture(scope="module")
def carriers() -> Iterator[Telephony]:
    def prepare(made: Telephony) -> None:
        files = with_bundle(node_files(carriers=["127.0.79.0/24"], carrier_profiles=PROFILES))
        for name, place in OPENSIPS_FILES.items():
            made.write(name, made.opensips_text(files[place]))

    with running_telephony(prepare) as made:
        for address in (BY_TCP, PLAIN):
            made.allow_trunk(address)
        made.ask("address_reload")
        yield made


def offered(telephony: Telephony, address: str) -> list[str]:
    """The payload types of the offer in a call to a carrier."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as carrier:
        carrier.bind((address, 5090))
        carrier.settimeout(5)
        calling = threading.Thread(target=telephony.fs_cli, args=(
            f"originate sofia/sip/1000@{address}:5090;fs_path=sip:{NODE}:5062 &echo()",))
        calling.start()
        data, source = carrier.recvfrom(65535)
        invite = sip.parse(data)
        assert invite and invite.method == "INVITE"
        carrier.sendto(sip.answer(invite, 486, "Busy Here"), source)
        calling.join()
    return re.search(r"(?m)^m=audio \d+ RTP/AVP ([\d ]+)", invite.body)[1].split()  # type: ignore[index]


def test_a_carrier_is_offered_its_codecs_and_the_others_are_offered_as_ever(carriers: Telephony) -> None:
    assert offered(carriers, TRUNK) == ["0", "101"]
    assert offered(carriers, PLAIN)[:2] == ["8", "0"]


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
