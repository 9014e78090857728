"""A call through OpenSIPS' stand-in, rtpengine and FreeSWITCH's, and what happens when one of them or the database is gone."""

import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node.ask import sip as probes
from cloud_init.node.ask.view import View
from cloud_init.node.health.opensips import enable_rtpengines
from sandbox.standin.freeswitch import sip
from tests.sandbox.telephony import LOOPBACK, NODE, PASSWORD, SECRETS, TRUNK, Telephony
from tests.tools.caller import Caller
from tests.tools.dialog import Result
from tests.unit.node import entries
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

STRANGER = "127.0.79.10"
PHONE = "127.0.79.11"
SANDBOX = Path(__file__).parents[2] / "sandbox"


def call(number: str = "echo", local: str = TRUNK, seconds: float = 1.0, **more: str) -> Result:
    """One call to the node's outer socket."""
    caller = Caller(
        (NODE, 5060),
        local,
        number,
        more.get("caller", "380441234567"),
        more.get("domain", "carrier.example"),
        more.get("password", ""),
    )
    try:
        return caller.place(seconds)
    finally:
        caller.close()


def probe(method: str, status: int, port: int = 5060, **more: str) -> str:
    """The node program's own question."""
    asked = entries.probe("sip", address=NODE, port=port, protocol="udp", method=method, status=status, **more)
    return entries.wrong(probes.sip_request, asked, View(entries.manifest()))


def test_every_packet_comes_back_and_the_caller_hangs_up(telephony: Telephony) -> None:
    result = call("echo", seconds=2.0)
    assert (result.problem, result.status, result.changed, result.hung_up, result.lost) == ("", 200, 200, "caller", 0)
    assert result.sent >= 90
    assert result.media.startswith(f"{NODE}:1")


def test_a_bye_of_freeswitch_reaches_the_caller_through_opensips(telephony: Telephony) -> None:
    result = call("hangup")
    assert (result.problem, result.hung_up) == ("", "freeswitch")


def test_freeswitch_may_speak_first(telephony: Telephony) -> None:
    result = call("tone")
    assert (result.problem, result.hung_up) == ("", "freeswitch")
    assert result.received > 50


def test_freeswitch_calls_outside_through_the_inner_socket_and_changes_the_call(telephony: Telephony) -> None:
    callee = Caller((NODE, 5060), TRUNK, "", "1000", "carrier.example", "", port=5090)
    results: list[Result] = []
    answering = threading.Thread(target=lambda: results.append(callee.receive(3.0)))
    answering.start()
    try:
        said = telephony.fs_cli(f"originate sofia/sip/1000@{TRUNK}:5090;fs_path=sip:{NODE}:5062 &echo()").stdout
        assert said.startswith("+OK "), said
        assert telephony.fs_cli(f"uuid_media_reneg {said.split()[1]}").stdout == "+OK Success\n"
    finally:
        answering.join()
        callee.close()
    (result,) = results
    assert (result.problem, result.lost, result.hung_up, result.asked, result.changed) == ("", 0, "caller", 1, 200)
    assert telephony.fs_cli("originate nonsense").stdout.startswith("-USAGE")


class Watching(Caller):
    """Remembers the Via lines of what it is asked."""

    ways: dict[str, list[str]]

    def take(self, message: sip.Message, source: tuple[str, int]) -> None:
        """Notes the last of each method."""
        self.ways |= {message.method: message.all("via")}
        super().take(message, source)


def test_freeswitchs_address_stands_in_no_via_and_its_answers_find_it(telephony: Telephony) -> None:
    callee = Watching((NODE, 5060), TRUNK, "", "1000", "carrier.example", "", port=5090)
    callee.ways = {}
    results: list[Result] = []
    answering = threading.Thread(target=lambda: results.append(callee.receive(3.0)))
    answering.start()
    try:
        said = telephony.fs_cli(f"originate sofia/sip/1000@{TRUNK}:5090;fs_path=sip:{NODE}:5062 &echo()").stdout
        assert said.startswith("+OK "), said
        assert telephony.fs_cli(f"uuid_media_reneg {said.split()[1]}").stdout == "+OK Success\n"
        assert telephony.fs_cli("hupall").stdout == "+OK hangup all channels 1\n"
    finally:
        answering.join()
        callee.close()
    assert set(callee.ways) == {"INVITE", "ACK", "BYE"}
    assert all(len(lines) == 1 and ":5060;" in lines[0] for lines in callee.ways.values()), callee.ways


class Refusing(Caller):
    """Takes a call, and no change of it."""

    def accept(self, message: sip.Message) -> None:
        """200 to the first INVITE, 488 to every other."""
        if not self.media:
            super().accept(message)
            return
        self.result.asked += 1
        self.signals.sendto(sip.answer(message, 488, "Not Acceptable Here", self.tag), self.server)


def test_a_refused_change_leaves_the_call_and_its_audio(telephony: Telephony) -> None:
    callee = Refusing((NODE, 5060), TRUNK, "", "1000", "carrier.example", "", port=5090)
    results: list[Result] = []
    answering = threading.Thread(target=lambda: results.append(callee.receive(3.0)))
    answering.start()
    try:
        said = telephony.fs_cli(f"originate sofia/sip/1000@{TRUNK}:5090;fs_path=sip:{NODE}:5062 &echo()").stdout
        assert said.startswith("+OK "), said
        telephony.fs_cli(f"uuid_media_reneg {said.split()[1]}")
    finally:
        answering.join()
        callee.close()
    (result,) = results
    assert (result.problem, result.lost, result.hung_up, result.asked) == ("", 0, "caller", 1)


def test_no_media_port_stays_open_after_a_call(telephony: Telephony) -> None:
    assert call("echo").problem == ""
    said = telephony.fs_cli("show calls count").stdout
    assert "0 total." in said
    wait_until(lambda: "5:callsle" in probes.ask_rtpengine(LOOPBACK, 60000, {"command": "list"}), 15, "no call at rtpengine")


def test_a_stranger_may_not_call(telephony: Telephony) -> None:
    assert call(local=STRANGER).status == 403
    log = (telephony.folder / "opensips.log").read_text()
    assert "refused: INVITE of sip:380441234567@carrier.example from 127.0.79.10 is no trunk's" in log
    assert "(relay)" not in log


def test_a_phone_registers_and_calls_with_its_password_only(telephony: Telephony) -> None:
    phone = Caller((NODE, 5060), PHONE, "echo", "1001", "webitel", PASSWORD)
    wrong = Caller((NODE, 5060), PHONE, "echo", "1001", "webitel", "wrong")
    try:
        assert (phone.register(), wrong.register()) == (200, 401)
    finally:
        phone.close()
        wrong.close()
    good = call(local=PHONE, caller="1001", domain="webitel", password=PASSWORD)
    assert (good.problem, good.hung_up) == ("", "caller")
    assert call(local=PHONE, caller="1001", domain="webitel", password="wrong").status == 407


def test_a_quote_in_a_name_is_refused_before_it_meets_a_query(telephony: Telephony) -> None:
    assert call(local=STRANGER, caller="x'or'1'='1", domain="webitel").status == 400


def test_health_asks_sip_and_the_interface(telephony: Telephony) -> None:
    assert (probe("OPTIONS", 200), probe("REGISTER", 401), probe("OPTIONS", 200, 5080)) == ("", "", "")
    assert '"disabled": 0' in str(telephony.ask("rtpengine_show")).replace("'", '"')
    assert "stand-in" in str(telephony.ask("version"))
    assert "Method not found" in str(telephony.ask("nonsense"))


def test_the_event_socket_wants_its_password(telephony: Telephony) -> None:
    assert "is ready" in telephony.fs_cli("status").stdout
    assert telephony.fs_cli("status", "ClueCon").returncode == 255
    failed = telephony.fs_cli("nonsense")
    assert (failed.returncode, failed.stdout[:4]) == (0, "-ERR")


def test_a_paused_freeswitch_is_taken_out_and_back_by_the_dispatcher(telephony: Telephony) -> None:
    assert telephony.fs_cli("fsctl pause inbound").stdout == "+OK\n"
    try:
        assert "is ready" in telephony.fs_cli("status").stdout
        assert probe("OPTIONS", 200, 5080, accept="503") == ""
        assert call().status == 503
    finally:
        telephony.fs_cli("fsctl resume")
    wait_until(lambda: call().status == 200, 15, "a call after the pause")


def test_a_dead_freeswitch_costs_a_call_two_seconds_and_then_none(telephony: Telephony) -> None:
    telephony.stop("freeswitch")
    try:
        first, second = call(), call()
        assert (first.status, second.status) == (503, 503)
        assert 1500 < first.setup_ms < 4000
        assert second.setup_ms < 1000
    finally:
        telephony.start_freeswitch()
    wait_until(lambda: call().status == 200, 15, "a call after the restart")


def test_without_rtpengine_a_call_is_refused_instead_of_silent(telephony: Telephony) -> None:
    telephony.stop("rtpengine")
    try:
        assert call().status == 503
        assert '"disabled": 1' in str(telephony.ask("rtpengine_show")).replace("'", '"')
    finally:
        telephony.start_rtpengine()
    # No call is needed to find it again.
    interface = entries.probe("opensips_rtpengine", address=LOOPBACK, port=8000)
    wait_until(lambda: not enable_rtpengines(interface), 20, "rtpengine enabled again")
    assert '"disabled": 0' in str(telephony.ask("rtpengine_show")).replace("'", '"')
    wait_until(lambda: call().status == 200, 20, "a call after rtpengine's return")


def test_with_the_database_gone_options_is_answered_and_register_is_not(telephony: Telephony) -> None:
    telephony.platform.stop("postgresql")
    try:
        assert probe("OPTIONS", 200) == ""
        assert "500" in probe("REGISTER", 401)
    finally:
        telephony.platform.start("postgresql")
    # db_virtual looks again every ten seconds.
    wait_until(lambda: probe("REGISTER", 401) == "", 15, "REGISTER after the database's return")
    # Each worker finds its own database again.
    wait_until(lambda: {call().status for _ in range(6)} == {200}, 30, "calls after the database's return")


def test_a_running_call_survives_a_restart_of_opensips(telephony: Telephony) -> None:
    caller = Caller((NODE, 5060), TRUNK, "echo", "380441234567", "carrier.example", "")
    try:
        answer = caller.invite()
        assert answer.status == 200
        caller.follow(answer)
        caller.next_packet = time.monotonic()
        caller.talk(0.5)
        telephony.stop("opensips")
        telephony.start_opensips()
        caller.next_packet = time.monotonic()
        caller.talk(0.5)
        caller.finish()
    finally:
        caller.close()
    assert (caller.result.hung_up, caller.result.lost) == ("caller", 0)


def test_the_dispatcher_is_reloaded_live(telephony: Telephony) -> None:
    telephony.platform.sql("insert into dispatcher (setid, destination) values (1, 'sip:127.0.79.77:5080')")
    try:
        assert telephony.ask("ds_reload")["result"] == "OK"
        assert "127.0.79.77" in str(telephony.ask("ds_list"))
    finally:
        telephony.platform.sql("delete from dispatcher where destination like '%127.0.79.77%'")
        telephony.ask("ds_reload")


def test_our_statements_make_the_table_what_the_plan_says(telephony: Telephony) -> None:
    telephony.platform.sql(
        "insert into dispatcher (setid, destination) values (1, 'sip:127.0.0.1:5080'), (2, 'sip:127.0.0.1:5080')"
    )
    telephony.platform.sql(telephony.dispatcher)
    rows = telephony.platform.sql("select setid, destination, socket from dispatcher order by setid")
    assert rows.splitlines() == [f"1|sip:{NODE}:5080|udp:{NODE}:5062", "2|sip:127.0.0.1:5080|"]
    telephony.platform.sql("delete from dispatcher where setid = 2")


def test_a_browser_shakes_hands_on_the_websocket_port(telephony: Telephony) -> None:
    ask = (
        f"GET / HTTP/1.1\r\nHost: {NODE}:5070\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://example.com\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    with socket.create_connection((NODE, 5070), 5) as connection:
        connection.sendall(ask.encode())
        said = connection.recv(4096).decode()
    assert said.startswith("HTTP/1.1 101 "), said
    assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in said


def test_freeswitch_registers_with_its_host_name(telephony: Telephony) -> None:
    entry = telephony.consul.entries[-1]
    assert (entry["ID"], entry["Name"], entry["Address"], entry["Port"]) == (socket.gethostname(), "freeswitch", NODE, 50051)
    assert "60" in str(entry["Check"])


def start_opensips(telephony: Telephony) -> subprocess.CompletedProcess[str]:
    """A second start in the foreground, which must be refused."""
    return subprocess.run(
        telephony.command("opensips", "-F", *telephony.opensips_arguments()),
        cwd=SANDBOX,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_opensips_does_not_start_where_the_real_one_does_not(telephony: Telephony) -> None:
    telephony.stop("opensips")
    configuration = telephony.folder / "opensips" / "opensips.cfg"
    text = configuration.read_text()
    try:
        telephony.platform.sql("update version set table_version = 8 where table_name = 'dispatcher'")
        refused = start_opensips(telephony)
        assert (refused.returncode, "invalid version 8 for table dispatcher found, expected 9" in refused.stderr) == (255, True)
        telephony.platform.sql("update version set table_version = 9 where table_name = 'dispatcher'")
        configuration.write_text(text.replace(SECRETS["database_password"], "wrong"))
        refused = start_opensips(telephony)
        assert (refused.returncode, "password authentication failed" in refused.stderr) == (255, True)
        configuration.write_text(text.replace(f"udp:{NODE}:5062", "udp:192.0.2.1:5062"))
        refused = start_opensips(telephony)
        assert (refused.returncode, "192.0.2.1:5062" in refused.stderr) == (255, True)
    finally:
        configuration.write_text(text)
        telephony.platform.sql("update version set table_version = 9 where table_name = 'dispatcher'")
        telephony.start_opensips()


def test_freeswitch_does_not_start_without_consul(telephony: Telephony) -> None:
    telephony.stop("freeswitch")
    variables = telephony.folder / "freeswitch" / "vars.xml"
    text = variables.read_text()
    try:
        variables.write_text(text.replace(":8500", ":8501"))
        refused = subprocess.run(
            telephony.command("freeswitch", "-nonat", "-ncwait", *telephony.freeswitch_arguments()),
            cwd=SANDBOX,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (refused.returncode, "/v1/agent/service/register" in refused.stderr) == (1, True)
    finally:
        variables.write_text(text)
        telephony.start_freeswitch()
