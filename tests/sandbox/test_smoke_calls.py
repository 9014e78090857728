"""The smoke test's calls and audio, and `trace`, against real rtpengine and the stand-ins: each right, and made to fail."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from cli.nodes.trace import FILE_HEAD, list_ports
from cli.smoke import account, audio, closed, load, media, sip
from cli.smoke.audio import End
from cli.smoke.check import Account, Finding
from cli.smoke.phone import Phone
from cloud_init.node.ask.trace import COOKED, RECORD, read_packet
from tests.sandbox.platform import ROOT
from tests.sandbox.telephony import LOOPBACK, NODE, PASSWORD, TRUNK, Telephony
from tests.sandbox.test_smoke import failures, make_world
from tests.waiting import wait_until

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


def place(user: str, number: str = "echo") -> str:
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
    mine, other = place("1001"), place("1002")
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
    shown = subprocess.run(["tcpdump", "-r", str(file), "-n"], capture_output=True, text=True, check=True).stdout
    assert len([line for line in shown.splitlines() if " IP " in line]) == len(said), shown


def test_by_address_all_and_bounded(telephony: Telephony) -> None:
    everything, nobody, small = Trace(), Trace("--address=192.0.2.1"), Trace(most=2000)
    both = place("1001"), place("1002")
    said = b"\n".join(messages(everything.end()))
    assert all(one.encode() in said for one in both)
    assert messages(nobody.end()) == []
    records = small.end()
    assert 0 < len(records) <= 2000


@contextmanager
def joined(ends: tuple[End, End]) -> Iterator[None]:
    """Both ends in rtpengine, as the node's program joins them."""
    program = (
        "import sys; from cloud_init.node.ask import media; from tests.unit.node import entries as e; "
        f"probe = e.probe('rtpengine', address='{LOOPBACK}', port=60000); "
        f"sys.exit(media.join(e.manifest(services=[e.service('rtpengine', probe)]), '{NODE}', [{ends[0].port}, {ends[1].port}]))"
    )
    command = [sys.executable, "-P", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = json.loads(process.stdout.readline())
        assert "error" not in said, said
        for end, (address, port) in zip(ends, said["media"], strict=True):
            end.target = address, port
        yield
        assert isinstance(process.stdin, io.TextIOWrapper)
        process.stdin.close()
        assert process.wait(10) == 0


def test_audio_goes_both_ways_and_its_loss_is_seen(telephony: Telephony, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "WARM_UP_SECONDS", 0.3)
    monkeypatch.setattr(audio, "TAIL_SECONDS", 0.2)
    ends = End(NODE), End(NODE)
    with joined(ends):
        media.measure(ends, 1.0)
        for end in ends:
            found = media.judge("", end)
            assert found.right, found
            assert found.figures["sent"] >= 45
        telephony.running["rtpengine"].send_signal(signal.SIGSTOP)
        try:
            media.measure(ends, 0.4)
            assert [media.judge("", end).right for end in ends] == [False, False]
        finally:
            telephony.running["rtpengine"].send_signal(signal.SIGCONT)
    for end in ends:
        end.close()


def test_options_by_every_door_or_by_none(telephony: Telephony, tmp_path: Path) -> None:
    inner = make_world(NODE, phones=["127.0.0.0/8"], carriers=[f"{TRUNK}/32"])
    doors = [one for one in sip.check_doors(inner) if not one.target.startswith("wss:")]
    assert [(one.target.partition(":")[0], one.right) for one in doors] == [("udp", True), ("tcp", True), ("tls", True)]
    assert all(one.found.startswith("200 ") for one in doors)
    # Where the plan lets nobody in, the same answers are the failure.
    shut = [one for one in sip.check_doors(make_world(NODE)) if not one.target.startswith("wss:")]
    assert [one.right for one in shut] == [False] * 3
    elsewhere = [one for one in sip.check_doors(make_world("127.0.79.77", phones=["127.0.0.0/8"])) if "wss" not in one.target]
    assert [one.right for one in elsewhere] == [False] * 3


def test_a_phone_registers_and_calls_and_a_wrong_password_or_a_lost_call_is_told(
    telephony: Telephony, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SECONDS", 1.0)
    inner = make_world(NODE, phones=["127.0.0.0/8"])
    phone = partial(Account, "1001", "webitel")

    def call(given: Account) -> list[Finding]:
        return list(account.check_call(replace(inner, account=given)))

    registered, called = call(phone(PASSWORD, "echo"))
    assert registered.found == "REGISTER: 200 OK"
    assert called.right, called
    assert called.figures["echoed"] >= 40
    assert [one.right for one in call(phone("wrong", "echo"))] == [False]
    telephony.fs_cli("fsctl pause inbound")
    try:
        refused = call(phone(PASSWORD, "echo"))
    finally:
        telephony.fs_cli("fsctl resume inbound")
        # Only the dispatcher's next question brings it back, and the tests behind this one call too.
        wait_until(lambda: call(phone(PASSWORD, "echo"))[-1].right is True, 15, "a call after the pause")
    assert [one.right for one in refused] == [True, False], refused
    assert "INVITE: 503" in refused[1].found
    # Nobody is registered after it.
    assert "1001" not in json.dumps(telephony.ask("ul_dump"))
    stranger = list(account.check_call(replace(make_world(NODE), account=phone(PASSWORD))))
    assert [one.right for one in stranger] == [None]


def test_what_is_open_although_it_should_be_closed_is_named(telephony: Telephony, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closed, "KNOCK_SECONDS", 0.5)
    findings = list(closed.check_closed(make_world(NODE)))
    opened = {one.target for one in failures(findings)}
    assert f"{NODE}:5080/tcp" in opened
    assert f"{NODE}:5432/tcp" not in opened
    assert f"{NODE}:443/tcp" not in opened
    assert "are closed" in findings[-1].found


def test_a_load_is_carried_or_ends_with_the_first_loss(telephony: Telephony, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "HOLD_SECONDS", 1.0)
    monkeypatch.setattr(load, "CALLS_PER_SECOND", 20.0)
    phone = partial(Phone, (NODE, 5060), NODE, "1003", "webitel", PASSWORD)
    used = iter([{"rtpengine": 1.0}, {"rtpengine": 1.5}])
    whole = load.run_load(phone, "echo", 3, lambda: next(used))
    assert whole.whole, whole
    assert (whole.calls, whole.lost, len(whole.set_ups)) == (3, 0, 3)
    assert whole.received > 120
    assert whole.cores["rtpengine"] > 0.2
    assert whole.mos > 4
    rule = "udp dport 10000-19999 numgen inc mod 20 0 drop"
    rules = f"table ip smoke {{\nchain lossy {{\ntype filter hook input priority 0;\n{rule}\n}}\n}}\n"
    nft = partial(subprocess.run, ["nft", "-f", "-"], input=rules, text=True, check=True)
    monkeypatch.setattr(load, "HOLD_SECONDS", 5.0)
    lossy = threading.Timer(1.0, nft)
    lossy.start()
    try:
        ended = load.run_load(phone, "echo", 3, dict)
    finally:
        lossy.join()
        subprocess.run(["nft", "delete", "table", "ip", "smoke"], check=True)
    assert "packets lost with 3 calls" in ended.ended
    assert ended.lost > 0
    assert ended.moments[-1][0] < 4
    monkeypatch.setattr(load, "HOLD_SECONDS", 1.0)
    telephony.allow_trunk("127.0.0.1")
    telephony.ask("address_reload")
    trunk = load.run_load(partial(Phone, (NODE, 5060), "127.0.0.1", "smoke", "127.0.0.1", ""), "echo", 1, dict)
    assert (trunk.calls, trunk.ended) == (1, ""), trunk
    refused = load.run_load(partial(phone.func, *phone.args[:-1], "wrong"), "echo", 3, dict)
    assert refused.ended.startswith("call 1: INVITE: ")
