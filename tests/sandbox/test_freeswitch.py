"""FreeSWITCH's stand-in does what the real one did with our files (`facts/telephony-real.md` A 7, 14, 21, 22, B and E)."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from cloud_init.node.ask import sip as node_sip
from cloud_init.node.system import Unhealthy
from sandbox.standin.freeswitch import rpc, sip
from tests.sandbox.media import CALLER, Media
from tests.tools.caller import Caller
from tests.tools.dialog import Result
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox
COMMON, OTHER = "127.0.78", "127.0.77"
"""Networks of the program that most tests share, and of one with a changed configuration."""


@contextmanager
def running(change: Callable[[str, str], str] = lambda name, text: text, network: str = OTHER) -> Iterator[Media]:
    """The program with a changed configuration."""
    made = Media(Path(tempfile.mkdtemp(prefix="webitel-media-")), network, change)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def media() -> Iterator[Media]:
    """The program with the node's own files."""
    with running(network=COMMON) as made:
        yield made


def caller(media: Media, number: str = "echo") -> Caller:
    """A caller straight at the profile."""
    return Caller((media.node, 5080), CALLER, number, "380441234567", "carrier.example", "")


def call(media: Media, number: str = "echo", seconds: float = 1.0) -> Result:
    """One call."""
    made = caller(media, number)
    try:
        return made.place(seconds)
    finally:
        made.close()


def ask_options(media: Media) -> int:
    """The status of an OPTIONS."""
    made = caller(media)
    try:
        return made.transact("OPTIONS").status
    finally:
        made.close()


def heard(media: Media, number: str, body: str | None = None) -> list[sip.Message]:
    """Every answer to an INVITE, up to the final one."""
    made = caller(media, number)
    found: list[sip.Message] = []
    step = made.step

    def keep() -> sip.Message | None:
        if (message := step()) and message.status:
            found.append(message)
        return message

    made.step = keep  # type: ignore[method-assign]
    try:
        answer = made.transact("INVITE", made.sdp() if body is None else body)
        if answer.status == 200 and answer.body:
            made.transact("BYE")
    finally:
        made.close()
    return [message for message in found if message.one("cseq").endswith("INVITE")]


def statuses(media: Media, number: str, body: str | None = None) -> list[int]:
    """Their status codes."""
    return [message.status for message in heard(media, number, body)]


def offer(*codecs: int) -> str:
    """An SDP that nobody sends audio by."""
    return sip.write_sdp(CALLER, 40000, 1, True, codecs)


def test_a_call_is_answered_without_ringing_unless_the_flow_rings(media: Media) -> None:
    assert statuses(media, "echo") == [100, 200]
    assert statuses(media, "ring2") == [100, 180, 200]


def test_the_contact_of_an_incoming_call_carries_its_number(media: Media) -> None:
    assert heard(media, "4711")[-1].one("contact") == f"<sip:4711@{media.node}:5080;transport=udp>"


def test_echo_swallows_the_first_packets_and_no_later_one(media: Media) -> None:
    result = call(media)
    assert (result.problem, result.lost, result.hung_up) == ("", 0, "caller")
    assert 2 <= result.swallowed <= 4


def test_without_flow_manager_the_dialplan_has_another_node_asked() -> None:
    with running() as made:
        made.lose_flow()
        (trying, refused) = heard(made, "echo")
        assert (trying.status, refused.start) == (100, "SIP/2.0 503 Service Unavailable")
        assert "Socket Error: Connection refused" in made.log()
        assert "0 total" in made.fs_cli("show calls count")


def test_without_a_word_of_the_dialplan_it_is_480() -> None:
    def silent(name: str, text: str) -> str:
        return text.replace('<action application="respond" data="503 Service Unavailable"/>', "")

    with running(silent) as made:
        made.lose_flow()
        refused = heard(made, "echo")[-1]
        assert refused.start == "SIP/2.0 480 Temporarily Unavailable"
        assert "NORMAL_CLEARING" in refused.one("reason")


def test_a_flow_manager_that_dies_loses_only_the_calls_that_wait_for_it(media: Media) -> None:
    talking, waiting = caller(media), caller(media, "ring2")
    try:
        talking.set_up()
        talking.talk(0.3)
        threading.Timer(0.4, media.flow.drop if media.flow else lambda: None).start()
        assert waiting.transact("INVITE", waiting.sdp()).start == "SIP/2.0 503 Service Unavailable"
        talking.talk(1.0)
        talking.finish()
    finally:
        talking.close()
        waiting.close()
    assert talking.result.hung_up == "caller"
    wait_until(lambda: "0 total" in media.fs_cli("show calls count"), 20, "no call")


def test_a_flow_manager_that_says_nothing_leaves_the_caller_waiting() -> None:
    with running() as made:
        made.lose_flow()
        made.flow = made.start_flow(b"")
        waiting = caller(made)
        try:
            waiting.signals.sendto(waiting.request("INVITE", 1, waiting.sdp()), (made.node, 5080))
            end, seen = time.monotonic() + 2, list[int]()
            while time.monotonic() < end:
                if message := waiting.step():
                    seen.append(message.status)
        finally:
            waiting.close()
        assert seen == [100]


def test_a_late_offer_is_taken_as_the_profile_says(media: Media) -> None:
    made = caller(media)
    try:
        answer = made.transact_late()
        assert (answer.status, answer.one("contact")) == (200, f"<sip:mod_sofia@{media.node}:5080>")
        made.talk(1.0)
        made.finish()
    finally:
        made.close()
    assert (made.result.lost, made.result.hung_up) == (0, "caller") and made.result.received > 20


def test_a_late_offer_is_480_by_default() -> None:
    with running(lambda name, text: text.replace('<param name="enable-3pcc" value="proxy"/>', "")) as made:
        assert [message.start[8:] for message in heard(made, "echo", "")] == ["100 Trying", "480 Temporarily Unavailable"]
        assert "No SDP in INVITE and 3pcc not enabled" in made.log()


def test_a_change_without_sdp_is_answered_with_an_offer(media: Media) -> None:
    made = caller(media)
    try:
        made.set_up()
        made.talk(0.3)
        assert made.transact_late().status == 200
        made.talk(0.3)
        made.finish()
    finally:
        made.close()
    assert (made.result.lost, made.result.hung_up) == (0, "caller")


def test_a_codec_that_the_profile_lacks_is_refused(media: Media) -> None:
    assert statuses(media, "echo", offer(0)) == [100, 488]


def test_codecs_come_from_the_profile() -> None:
    ours = '"inbound-codec-prefs" value="PCM'
    with running(lambda name, text: text.replace(f"{ours}A", f"{ours}U")) as made:
        assert statuses(made, "echo") == [100, 488]
        assert statuses(made, "echo", offer(0)) == [100, 200]


def test_a_pause_of_one_direction_is_no_word_in_status(media: Media) -> None:
    try:
        assert media.fs_cli("fsctl pause inbound") == "+OK\n"
        assert "is ready" in media.fs_cli("status")
        assert (media.fs_cli("fsctl ready_check"), media.fs_cli("fsctl pause_check inbound")) == ("true", "true")
        (refused,) = heard(media, "echo")
        assert (refused.start, refused.one("retry-after")) == ("SIP/2.0 503 Maximum Calls In Progress", "300")
        assert ask_options(media) == 503
        media.fs_cli("fsctl pause")
        assert "is not ready" in media.fs_cli("status")
        assert media.fs_cli(f"originate sofia/sip/1@{CALLER}:5090 &echo") == "-ERR DESTINATION_OUT_OF_ORDER\n"
        media.fs_cli("fsctl resume inbound")
        assert "is ready" in media.fs_cli("status") and statuses(media, "echo") == [100, 200]
    finally:
        media.fs_cli("fsctl resume")
    assert ask_options(media) == 200


def keep_silent(media: Media, seconds: float, direction: str = "sendrecv") -> bool:
    """Whether a call without a packet is ended within so many seconds."""
    silent = caller(media)
    try:
        silent.set_up()
        silent.next_packet = 0.0
        if direction != "sendrecv":
            assert silent.transact("INVITE", silent.sdp().replace("sendrecv", direction)).status == 200
        silent.talk(seconds)
        return silent.ended
    finally:
        silent.close()


def test_a_silent_leg_ends_later_on_hold() -> None:
    def impatient(name: str, text: str) -> str:
        text = text.replace('"rtp-timeout-sec" value="300"', '"rtp-timeout-sec" value="1"')
        return text.replace('"rtp-hold-timeout-sec" value="1800"', '"rtp-hold-timeout-sec" value="3"')

    with running(impatient) as made:
        assert keep_silent(made, 2.5)
        assert not keep_silent(made, 2.5, "sendonly")
        assert keep_silent(made, 5.0, "sendonly") and keep_silent(made, 5.0, "inactive")
        assert "MEDIA_TIMEOUT" in made.log()


def test_the_variables_named_instead_end_a_call_on_hold_as_the_real_one_does() -> None:
    def deprecated_no_more(name: str, text: str) -> str:
        return (
            text.replace(
                "<include>",
                '<include>\n<X-PRE-PROCESS cmd="set" data="media_timeout=1000"/>'
                '\n<X-PRE-PROCESS cmd="set" data="media_hold_timeout=30000"/>',
                1,
            )
            if name == "vars.xml"
            else text
        )

    with running(deprecated_no_more) as made:
        assert keep_silent(made, 3.0, "sendonly")


def test_running_calls_have_a_name_and_a_direction(media: Media) -> None:
    made = caller(media)
    try:
        made.set_up()
        lines = media.fs_cli("show channels").splitlines()
        assert lines[0].startswith("uuid,direction,") and lines[1].split(",")[1] == "inbound" and lines[-1] == "1 total."
        made.talk(0.2)
        made.finish()
    finally:
        made.close()
    assert media.fs_cli("show channels") == "\n0 total.\n"
    assert media.fs_cli("global_getvar acr_srv").endswith(":10030 async full")
    assert media.fs_cli("fsctl sps") == "+OK sessions per second: 50\n"


@contextmanager
def client(media: Media) -> Iterator[grpc.Channel]:
    """A gRPC client of the program."""
    channel = grpc.insecure_channel(f"{media.node}:50051")
    try:
        yield channel
    finally:
        channel.close()


def execute(channel: grpc.Channel, command: str, arguments: str = "", method: str = "Execute") -> bytes:
    """The bytes of an `ExecuteResponse`."""
    request = rpc.write_string(1, command.encode()) + rpc.write_string(2, arguments.encode())
    call: Callable[..., bytes] = channel.unary_unary(f"/fs.Api/{method}")
    return call(request, timeout=3)


def test_grpc_answers_what_engine_and_call_center_ask_at_their_start(media: Media) -> None:
    with client(media) as channel:
        # The second question comes out of the client's header table.
        for _ in range(2):
            assert b"FreeSWITCH Version" in execute(channel, "version")
        assert rpc.read_strings(execute(channel, "fsctl", "sps")) == {1: "+OK sessions per second: 50\n"}
        for name in ("cdr_url", "acr_srv", "outbound_sip_proxy"):
            assert rpc.read_strings(execute(channel, "global_getvar", name))[1]
        assert rpc.read_strings(execute(channel, "nonsense"))[2].startswith("\n")


def test_grpc_refuses_what_it_does_not_do(media: Media) -> None:
    with client(media) as channel:
        for method, command, code in (("Originate", "x", "UNIMPLEMENTED"), ("Execute", "ab", "INVALID_ARGUMENT")):
            with pytest.raises(grpc.RpcError) as caught:
                execute(channel, command, method=method)
            assert caught.value.code().name == code


def ask_calls(media: Media) -> str:
    """The node program's own question."""
    try:
        node_sip.call_freeswitch(media.node, 50051)
    except (TimeoutError, Unhealthy) as error:
        return str(error)
    return ""


def test_it_registers_at_its_start_only(media: Media) -> None:
    """mod_grpc goes on renewing an entry that Consul has no more, and nothing comes of it."""
    consul = media.consul
    assert len(consul.entries) == 1
    consul.forgot = True
    try:
        before = len(consul.passes)
        wait_until(lambda: len(consul.passes) > before + 1, 10, "two renewals")
        assert len(consul.entries) == 1
    finally:
        consul.forgot = False


def test_a_hung_freeswitch_accepts_and_answers_nothing(media: Media) -> None:
    switch = media.folder / "run" / "hang"
    switch.touch()
    try:
        with client(media) as channel, pytest.raises(grpc.RpcError) as caught:
            execute(channel, "version")
        assert caught.value.code().name == "DEADLINE_EXCEEDED"
        assert "accepts connections but answered no call" in ask_calls(media)
    finally:
        switch.unlink()
    with client(media) as channel:
        assert execute(channel, "version")
    assert ask_calls(media) == ""
