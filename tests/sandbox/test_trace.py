"""`trace` on real packets: calls of the sandbox's telephony, captured by the node's program from the kernel."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.nodes.trace import FILE_HEAD, list_ports
from cli.smoke.phone import Phone
from cloud_init.node.ask.trace import COOKED, RECORD, read_packet
from tests.sandbox.platform import ROOT
from tests.sandbox.telephony import NODE, PASSWORD, Telephony

pytestmark = pytest.mark.sandbox

PHONE = "127.0.79.1"


class Trace:
    """The node's program, capturing."""

    def __init__(self, *more: str, most: int = 1 << 20) -> None:
        words = ["trace", "--ports", *map(str, list_ports()), "--seconds", "20", "--bytes", str(most), *more]
        program = f"import sys; from cloud_init.node.commands import main; sys.exit(main({words!r}))"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "INVOCATION_ID": "test"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr
        assert self.process.stderr.readline() == b"trace begins\n"
        time.sleep(0.1)

    def end(self) -> bytes:
        """Its records."""
        time.sleep(0.3)
        output, errors = self.process.communicate(timeout=10)
        assert self.process.returncode == 0, errors
        return output


def messages(records: bytes) -> list[bytes]:
    """The payloads."""
    found = []
    while records:
        size = RECORD.unpack(records[: RECORD.size])[2]
        packet = read_packet(records[RECORD.size + COOKED.size : RECORD.size + size])
        assert packet
        found.append(packet.payload)
        records = records[RECORD.size + size :]
    return found


def call(user: str, number: str = "echo") -> str:
    """A call of a phone; its Call-ID."""
    phone = Phone((NODE, 5060), PHONE, user, "webitel", PASSWORD)
    try:
        phone.register()
        phone.invite(number)
        for _ in range(5):
            phone.audio.send(time.monotonic())
        phone.hang_up()
        call_id = phone.call_id
        phone.register(0)
        return call_id
    finally:
        phone.close()


def test_a_call_is_seen_on_both_sides_and_others_and_audio_are_not(telephony: Telephony, tmp_path: Path) -> None:
    trace = Trace("--number=1001")
    mine, other = call("1001"), call("1002")
    records = trace.end()
    said = messages(records)
    text = b"\n".join(said)
    assert mine.encode() in text
    assert other.encode() not in text
    starts = [one.split(b" ")[0] for one in said if mine.encode() in one]
    # From the phone to OpenSIPS and from there to FreeSWITCH, and back; the first INVITE has no proof yet.
    assert starts.count(b"INVITE") == 3
    assert starts.count(b"BYE") == 2
    assert all(one.startswith((b"SIP/2.0", b"INVITE", b"ACK", b"BYE", b"REGISTER")) for one in said), said
    # What would open something does not leave the node.
    proofs = [line for one in said for line in one.split(b"\r\n") if b"response=" in line]
    assert proofs
    assert all(b'response="' + 32 * b"x" + b'"' in line for line in proofs)
    file = tmp_path / "trace.pcap"
    file.write_bytes(FILE_HEAD + records)
    if reader := shutil.which("tcpdump"):
        shown = subprocess.run([reader, "-r", str(file), "-n"], capture_output=True, text=True, check=True).stdout
        assert len([line for line in shown.splitlines() if " IP " in line]) == len(said), shown


def test_by_address_all_and_bounded(telephony: Telephony) -> None:
    everything, nobody, small = Trace(), Trace("--address=192.0.2.1"), Trace(most=2000)
    both = call("1001"), call("1002")
    said = b"\n".join(messages(everything.end()))
    assert all(one.encode() in said for one in both)
    assert messages(nobody.end()) == []
    records = small.end()
    assert 0 < len(records) <= 2000
