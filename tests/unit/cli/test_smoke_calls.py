"""The smoke test's phone and audio, and its load."""

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from cli.console import Failure
from cli.nodes.access import Access, Answer, NodeAccess
from cli.show.plot import count_by_step
from cli.show.smoke import plot_load
from cli.smoke import account, load, loading, media, sip
from cli.smoke.audio import Stream, estimate_mos
from cli.smoke.check import Account
from cli.smoke.load import Outcome, check_limit, find_limit, quantile
from cli.smoke.phone import CallProblem, Phone, answer_challenge
from tests.unit.cli.worlds import make_world


def test_the_score_falls_with_loss_and_delay() -> None:
    assert estimate_mos(0, 0.02) == pytest.approx(4.4, abs=0.02)
    assert estimate_mos(0.01, 0.02) < estimate_mos(0, 0.02)
    assert estimate_mos(0, 0.4) < 3.6
    assert estimate_mos(1, 0) < 2


def test_a_stream_counts_what_never_came_and_how_unsteady_the_rest_is() -> None:
    steady, unsteady = Stream(first=10, sent=60), Stream(sent=50)
    for number in range(10, 60):
        steady.take(number, number * 0.02, number * 0.02 + 0.005)
    for number in range(0, 50, 2):
        unsteady.take(number, number * 0.02, number * 0.02 + 0.005 + 0.01 * (number % 4))
    steady.take(10, 0, 9)  # twice
    steady.take(3, 0, 9)  # from before
    assert (steady.lost, round(steady.jitter, 6)) == (0, 0)
    assert unsteady.lost == 25
    assert unsteady.loss == 0.5
    assert unsteady.jitter > 0.01
    assert Stream().loss == 1


def test_an_answer_that_is_not_to_our_request_is_none() -> None:
    assert sip.read_answer(b"SIP/2.0 200 OK\r\nCall-ID: abc@x\r\n\r\n", "abc") == "200 OK"
    with pytest.raises(ValueError, match="no answer of SIP"):
        sip.read_answer(b"SIP/2.0 200 OK\r\nCall-ID: other\r\n\r\n", "abc")
    assert json.dumps(sip.compose("UDP", "127.0.0.1:5", "127.0.0.2", "t").decode())


def test_an_account_is_read_from_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    found = account.read_account(f"1001@office.example:{secret}", "600", "voice.example")
    assert found == Account("1001", "office.example", "s3cret", "600")
    assert "s3cret" not in repr(found)
    assert account.read_account(f"1001:{secret}", "", "voice.example") == Account("1001", "voice.example", "s3cret", "")
    assert account.read_account("", "", "voice.example") is None
    secret.chmod(0o644)
    with pytest.raises(Failure, match="chmod 600"):
        account.read_account(f"1001:{secret}", "", "voice.example")


@pytest.mark.parametrize(
    ("given", "content", "said"),
    [
        ("1001", "x", "user and a file"),
        ("@office.example:{}", "x", "user and a file"),
        ("1001:{}/away", "x", "Not a directory"),
        ("1001:{}-away", "x", "No such file"),
        ("1001:{}", "", "as its only line"),
        ("1001:{}", "one\ntwo\n", "as its only line"),
        ("1001:{}", b"\xff\xfe", "can't decode"),
    ],
)
def test_what_is_wrong_with_an_account_is_told_with_an_example(
    given: str, content: str | bytes, said: str, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_bytes(content if isinstance(content, bytes) else content.encode())
    secret.chmod(0o600)
    with pytest.raises(Failure, match=f"(?s)--account .*{said}.*such as --account 1001@your-company.com:"):
        account.read_account(given.format(secret), "", "voice.example")


def test_without_a_domain_the_account_has_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="has no domain"):
        account.read_account(f"1001:{tmp_path}", "", "")


def test_a_challenge_is_answered_as_rfc_2617_has_it() -> None:
    plain = 'Digest realm="r", nonce="n"'
    assert 'response="5790559ba44538767b07fb5adb649909"' in answer_challenge(plain, "REGISTER", "sip:r", "u", "p")
    said = answer_challenge(plain + ', qop="auth", opaque="o"', "REGISTER", "sip:r", "u", "p")
    assert 'opaque="o", qop=auth, nc=00000001, cnonce="' in said


def test_more_calls_than_the_tier_is_made_for_are_refused_unless_told() -> None:
    plan = make_world().plan
    limit = find_limit(plan)
    assert 1 < limit < 100
    check_limit(plan, limit, beyond=False)
    check_limit(plan, limit + 1, beyond=True)
    with pytest.raises(Failure, match=f"made for {limit} calls"):
        check_limit(plan, limit + 1, beyond=False)


def test_what_a_program_uses_is_read_where_systemd_does_not_count_it() -> None:
    """As on a machine with cgroups of version 1; the kernel counts always."""

    def ask() -> float:
        said = subprocess.run(
            ["sh", "-c", f"getconf CLK_TCK; cat /proc/{os.getpid()}/stat"], capture_output=True, text=True, check=True
        )
        return loading.read_seconds(said.stdout)

    before, begun = ask(), time.process_time()
    while time.process_time() < begun + 0.3:
        pass
    assert 0.2 < ask() - before < 1
    assert loading.read_seconds("100\n7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0\n") == 2
    assert loading.read_seconds("100\n") == loading.read_seconds("") == 0


def test_a_load_is_for_whom_the_settings_let_in() -> None:
    with pytest.raises(Failure, match="webitel:carriers"):
        loading.load(make_world(), 1, "600")


@pytest.mark.parametrize("ends", [KeyboardInterrupt, ConnectionRefusedError])
def test_a_call_that_is_interrupted_while_it_rings_is_taken_back(
    ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(_: Phone, seconds: float) -> None:
        raise ends

    monkeypatch.setattr(Phone, "hear", hear)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        phone = Phone(server.getsockname(), "127.0.0.1", "1001", "office.example", "")
        with pytest.raises(ends):
            phone.invite("600")
        assert [server.recv(65535).split(b" ")[0] for _ in range(2)] == [b"INVITE", b"CANCEL"]
        phone.close()


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (b"usage: x\nwebitel-node: error: argument command: invalid choice: 'media'\n", "Next: ./webitel up"),
        (b"sudo: a password is required\n", "sudo: a password is required"),
        (b"", "its program ended without an answer"),
    ],
)
def test_a_node_that_does_not_join_the_audio_says_why(errors: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def __init__(self) -> None:
            self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
            self.stdout.feed_eof()
            self.stderr.feed_data(errors)
            self.stderr.feed_eof()

        async def __aenter__(self) -> "Silent":
            return self

        async def __aexit__(self, *error: object) -> None: ...

        async def start(self, command: str) -> "Silent":
            return self

    async def connect(access: Access, node: object) -> Silent:
        return Silent()

    monkeypatch.setattr(media, "connect", connect)
    (found,) = media.check_audio(make_world())
    assert found.right is False
    assert said in found.found


def make_phone() -> Phone:
    return Phone(("127.0.0.1", 9), "127.0.0.1", "1001", "office.example", "")


def test_a_load_that_falls_silent_or_cannot_be_sent_any_more_has_ended() -> None:
    phone, audio = make_phone(), load.Audio()
    line = load.Line(phone, 0.1)
    try:
        for number in range(100):
            line.heard.take(number, 0.02 * number, line.begun + 0.02 * number)
        assert line.lost == 0
        assert not line.is_silent(line.begun + 4)
        line.begun -= 10
        line.heard.last -= 10
        assert load.watch([line], Outcome(1), audio, 0.0, 1.0) == "nothing is heard any more of 1 of 1 calls"
        audio.add(line)
        phone.audio.target = "127.0.0.1", 0  # refused by each Linux, whatever routes it has
        audio.run()
        assert load.watch([line], Outcome(1), audio, 0.0, 1.0).startswith(
            "this machine cannot send or hear audio: Invalid argument"
        )
    finally:
        phone.close()


def test_calls_of_a_load_whose_other_side_is_dead_are_hung_up_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(_: Phone) -> None:
        time.sleep(0.3)
        raise CallProblem("no answer to BYE")

    monkeypatch.setattr(Phone, "invite", lambda *_: 0.1)
    monkeypatch.setattr(Phone, "hang_up", hang_up)
    monkeypatch.setattr(load, "HOLD_SECONDS", 0.0)
    monkeypatch.setattr(load, "CALLS_PER_SECOND", 1000.0)
    begun = time.monotonic()
    assert load.run_load(make_phone, "600", 10, dict).calls == 10
    assert time.monotonic() - begun < 2


def test_an_echo_that_ends_before_the_call_is_a_failure() -> None:
    heard = Stream(sent=200)
    for number in range(200):
        heard.take(number, 0.02 * number, 0.02 * number)
    assert account.judge("", 0.1, heard, {*range(5, 205)}, 500).right is False
    assert account.judge("", 0.1, heard, {*range(300, 500)}, 500).right  # behind an announcement
    assert account.judge("", 0.1, heard, set(), 500).right  # one that sends nothing back


def test_figures_of_a_load() -> None:
    outcome = Outcome(4, calls=4, set_ups=[0.1, 0.2, 0.3, 0.9], cores={"rtpengine": 0.5, "freeswitch": 0.0})
    assert outcome.whole
    said = outcome.as_json()
    assert said["set_up_ms"] == {"median": 200, "p99": 900}
    assert said["calls_per_core"] == {"rtpengine": 8}
    assert quantile([], 0.5) == 0
    assert not Outcome(4, calls=3).whole
    assert not Outcome(4, calls=4, ended="1 packet lost").whole


def test_its_picture_has_a_row_for_each_figure_and_a_mark_where_it_ended() -> None:
    outcome = Outcome(3, calls=2, ended="5 packets lost", moments=[(0.0, 0, 0), (0.5, 1, 0), (1.0, 2, 5)])
    root = ElementTree.fromstring(plot_load(outcome, "a<b"))
    lines = [one for one in root.iter() if one.tag.endswith("polyline")]
    assert len(lines) == 2
    assert all(len(one.attrib["points"].split()) == 11 for one in lines)
    texts = [one.text for one in root.iter() if one.tag.endswith("text")]
    assert "5 packets lost" in texts and any(text and text.startswith("a<b: 2 of 3 calls") for text in texts)


def test_moments_are_counted_by_step() -> None:
    assert count_by_step([1.0, 1.05, 1.31, 9.0], 1.0, 1.4) == [2, 0, 0, 1]


def test_what_a_node_told_only_once_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A count since the machine's start is not what ten seconds took."""
    monkeypatch.setattr(load, "HOLD_SECONDS", 0.1)
    monkeypatch.setattr(load, "watch", lambda *_: "")
    monkeypatch.setattr(
        load, "add_call", lambda phone, number, lines, audio: "one is enough" if lines else lines.append(phone) or ""
    )
    monkeypatch.setattr(load, "judge", lambda *_: None)
    monkeypatch.setattr(load, "ask_many", lambda *_: None)
    told = iter([{"rtpengine": 1.0}, {"rtpengine": 1.5, "freeswitch": 900.0}])
    outcome = load.run_load(lambda: SimpleNamespace(phone=None), "600", 1, lambda: next(told))  # type: ignore[arg-type, return-value]
    assert outcome.cores["rtpengine"] > 0 and outcome.cores["freeswitch"] == 0
    assert "freeswitch" not in outcome.as_json()["calls_per_core"]  # type: ignore[operator]


def test_only_nodes_that_have_a_program_are_asked_and_all_of_them_have_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def ask(_: object, nodes: Iterable[NodeAccess], command: str, __: float) -> dict[str, Answer]:
        asked.append(" ".join(node.key for node in nodes))
        silent = "freeswitch" in command
        return {asked[-1]: Answer(problem="no answer") if silent else Answer(0, "100\n7 (a) S 1 2 3 4 5 6 7 8 9 10 150 50 0\n")}

    monkeypatch.setattr(loading, "ask_nodes", ask)
    assert loading.make_meter(make_world())() == {"rtpengine": 2.0}
    assert set(asked) == {"all-1"}
