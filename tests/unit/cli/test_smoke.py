"""The smoke test's own judgement: what is asked, what is right, and what it says of it."""

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.console import Failure
from cli.nodes.access import Access
from cli.show.plot import count_by_step
from cli.show.smoke import plot_load, show_smoke
from cli.smoke import account, checks, inside, loading, names, sip, web, world
from cli.smoke.audio import Stream, estimate_mos
from cli.smoke.check import Account, Check, Finding, World, passed, run_checks
from cli.smoke.closed import list_doors
from cli.smoke.load import Outcome, check_limit, find_limit, quantile
from cli.smoke.paths import SITE, make_path, read_site
from cli.smoke.phone import answer_challenge
from components.model.report import NodeReport
from stacks.load import load_deployment
from tests.plans import compose_configuration
from tests.unit.cli.fakes import make_node

STRANGER = "192.0.2.7"


def make_world(stack: str = "local-single", seen_as: str = STRANGER, records: tuple[str, ...] = ()) -> World:
    deployment = load_deployment(stack)
    nodes = {node.key: make_node(node.key, stack) for node in deployment.plan.nodes}
    return World(deployment.plan, deployment.settings, Access(nodes, "", "", records=records), seen_as)


# What is run, and how it ends


def run(*findings: Finding) -> list[Any]:
    return run_checks(make_world(), [Check("one", "asks", "do this", lambda _: findings)])


def test_a_row_has_the_remedy_of_its_check_where_it_has_none_of_its_own() -> None:
    rows = run(
        Finding("a", True, "fine"), Finding("b", False, "bad"), Finding("c", False, "bad", "do that"), Finding("d", None, "?")
    )
    assert [(row.state, row.remedy) for row in rows] == [("pass", ""), ("fail", "do this"), ("fail", "do that"), ("skipped", "")]


def test_it_passes_only_where_something_was_asked_and_nothing_failed() -> None:
    assert passed(run(Finding("a", True, ""), Finding("b", None, "")))
    assert not passed(run(Finding("b", None, "")))
    assert not passed(run(Finding("a", True, ""), Finding("b", False, "")))


def test_a_check_that_does_not_end_or_breaks_has_failed() -> None:
    ended = threading.Event()

    def hang(_: World) -> Iterable[Finding]:
        ended.wait(10)
        return []

    def breaks(_: World) -> Iterable[Finding]:
        raise OSError(113, "No route to host")

    begun = time.monotonic()
    rows = run_checks(make_world(), [Check("slow", "", "", hang), Check("broken", "", "", breaks)], seconds=0.2)
    ended.set()
    assert time.monotonic() - begun < 5
    assert [(row.check, row.state) for row in rows] == [("slow", "fail"), ("broken", "fail")]
    assert "No route to host" in rows[1].found


def test_the_table_names_what_failed_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    show_smoke(run(Finding("b", False, "bad"), Finding("a", True, "fine")), 3.2)
    said = capsys.readouterr().out
    assert "Next, one: do this." in said
    assert "1 of 2 questions passed in 3s." in said


# The places of the site


def test_every_location_of_the_site_is_asked_for() -> None:
    deployment = load_deployment("local-extended")
    plan = deployment.plan
    text = compose_configuration(plan, plan.nodes_with("nginx")[0], deployment.settings).files[SITE]
    places = {place.path: place for place in read_site(text, web._parts())}
    every = text + "".join(web._parts().values())
    patterns = {line.split(" {")[0].split()[-1] for line in every.splitlines() if line.strip().startswith("location ")}

    for pattern in patterns - {r"^/\.well-known/acme-challenge/(?<token>[A-Za-z0-9_-]+)$"}:
        fits = re.compile(pattern.replace("(?<", "(?P<") if pattern.startswith("^") else re.escape(pattern) + "$")
        assert any(fits.match(path) for path in places), pattern
    assert {place.socket for place in places.values()} == {"", "/ws/websocket", "/sip"}
    assert places["/api/"].service == "webitel-api"
    assert places["/workspace/"].page
    assert places["/workspace"].moved


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (r"^/api/login/?$", "/api/login"),
        (r"^/any/file(/\d+)?/download", "/any/file/download"),
        (r"^/chat(/|$)", "/chat/"),
        (r"^/[a-c]{2}\d+.", "/aa0x"),
    ],
)
def test_a_path_is_the_least_that_fits(pattern: str, path: str) -> None:
    assert make_path(pattern) == path


def test_a_certificate_is_judged_by_who_renews_it() -> None:
    now = time.time()
    quarter = {"notBefore": now - 80 * 86400, "notAfter": now + 10 * 86400}
    assert web.judge_days("", quarter, renews_itself=True).right is False
    assert web.judge_days("", quarter, renews_itself=False).right is False
    six_days = {"notBefore": now - 3 * 86400, "notAfter": now + 3 * 86400}
    assert web.judge_days("", six_days, renews_itself=True).right
    assert web.judge_days("", six_days, renews_itself=False).right is False


# Who is let in


def test_doors_follow_from_the_plan_and_this_machines_address() -> None:
    known = make_world()
    (node,) = known.plan.nodes
    doors, unknown = list_doors(known, node)
    ports = {(door.protocol, door.port) for door in doors}
    assert {("tcp", 22), ("udp", 5060), ("tcp", 5432), ("udp", 60000), ("tcp", 8000)} <= ports
    assert not {("tcp", 443), ("tcp", 80), ("udp", 10000), ("udp", 19999)} & ports
    assert not unknown
    operator = make_world(seen_as="10.77.0.1")
    assert ("tcp", 22) not in {(door.protocol, door.port) for door in list_doors(operator, node)[0]}


def test_what_hangs_on_an_address_that_is_not_known_is_not_judged() -> None:
    doors, unknown = list_doors(make_world(seen_as=""), make_world().plan.nodes[0])
    assert unknown == ["22/tcp ssh"]
    assert ("tcp", 22) not in {(door.protocol, door.port) for door in doors}


class Connection:
    """A node that says where a connection comes from."""

    def __init__(self, said: str) -> None:
        self.said = said

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def run(self, command: str, *, seconds: float, root: bool) -> Any:
        assert not root
        return type("Result", (), {"output": self.said})


@pytest.mark.parametrize(("said", "found"), [("192.0.2.7 50000 10.0.0.1 22\n", STRANGER), ("\n", ""), ("::1 5 ::1 22", "")])
def test_this_machines_address_is_what_a_node_sees(said: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(access: Access, node: object) -> Connection:
        return Connection(said)

    monkeypatch.setattr(world, "connect", connect)
    assert world.find_seen_as(make_world().access) == found
    behind = Access({"a": make_node("a", ssh_via="jump")}, "", "")
    assert world.find_seen_as(behind) == ""


# Audio


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


# Names


@contextmanager
def name_server(answers: dict[tuple[str, int], list[bytes]]) -> Iterator[tuple[str, int]]:
    """A name server that knows these; its answers point back to the question's name, as real ones do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    data, peer = server.recvfrom(2048)
                except OSError:
                    return
                if not data:
                    return
                name, end = names.read_name(data, 12)
                (kind,) = struct.unpack("!H", data[end : end + 2])
                values = answers.get((name.rstrip("."), kind), [])
                code = 0 if any(known == name.rstrip(".") for known, _ in answers) else 3
                head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(values), 0, 0)
                records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(value)) + value for value in values)
                server.sendto(head + data[12 : end + 4] + records, peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"", server.getsockname())
            thread.join()


RECORDS = ("voice.example. 300 IN A 192.0.2.1", "_sip._udp.voice.example. 300 IN SRV 10 10 5060 voice.example.")
SRV = struct.pack("!HHH", 10, 10, 5060) + b"\x05voice\x07example\x00"


@pytest.mark.parametrize(
    ("address", "srv", "states"),
    [("192.0.2.1", [SRV], [True, True]), ("192.0.2.9", [SRV], [False, True]), ("192.0.2.1", [], [True, False])],
)
def test_records_are_compared(address: str, srv: list[bytes], states: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {("voice.example", 1): [socket.inet_aton(address)], ("_sip._udp.voice.example", 33): srv}
    with name_server(known) as server:
        monkeypatch.setattr(names, "find_resolvers", lambda: [server])
        findings = list(names.check_names(make_world(records=RECORDS)))
    assert [one.right for one in findings] == states
    assert all("expected" in one.found for one in findings if not one.right)


def test_a_name_that_nobody_knows_and_a_resolver_that_is_silent_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    with name_server({}) as server:
        assert names.ask_record([server], "voice.example", "A", {"192.0.2.1"}).found.startswith("there is no such name")
    monkeypatch.setattr(names, "TIMEOUT_SECONDS", 0.1)
    assert "does not answer" in names.ask_record([server], "voice.example", "A", {"192.0.2.1"}).found
    assert [one.right for one in names.check_names(make_world())] == [None]


# What the nodes say


def report(**service: Any) -> NodeReport:
    rows = [
        {"name": "consul", "healthy": True},
        {"name": "postgresql", "healthy": True},
        {"name": "rabbitmq", "healthy": True},
        {"name": "engine", "healthy": True, **service},
    ]
    machine = [{"name": "clock", "healthy": False, "why": "2000.0 ms fast"}]
    return NodeReport.model_validate({"node": "n", "key": "a", "healthy": False, "services": rows, "machine": machine})


def judge(group: str, one: NodeReport) -> list[tuple[str, bool | None]]:
    return [(finding.target, finding.right) for finding in inside.judge(group, "a", one)]


def test_lines_of_a_report_are_sorted_by_what_they_are_about() -> None:
    well = report()
    assert judge("database", well) == [("a", True)]
    assert judge("broker", well) == [("a", True)]
    assert judge("services", well) == [("a", True)]
    assert judge("clocks", well) == [("a clock", False)]
    lost = report(healthy=False, why="no entry", probe={"kind": "consul_entry"})
    assert ("a engine", False) in judge("discovery", lost)
    assert judge("services", lost) == []


def test_a_late_backup_and_a_critical_alert_fail() -> None:
    rows = {"node": "n", "key": "a", "healthy": True, "services": [{"name": "consul", "healthy": True}]}
    late = NodeReport.model_validate(rows | {"machine": [{"name": "backup", "healthy": True, "warning": True, "why": "late"}]})
    fresh = NodeReport.model_validate(rows | {"machine": [{"name": "backup", "healthy": True, "why": "1 hour old"}]})
    assert judge("backup", late) == [("a backup", False)]
    assert judge("backup", fresh) == [("a", True)]
    assert judge("backup", NodeReport.model_validate(rows)) == []

    def alerts(*severities: str) -> list[bool | None]:
        asked = inside.Inside()
        firing = [{"name": f"x{at}", "severity": one, "means": "calls fail"} for at, one in enumerate(severities)]
        asked._reports = {"a": NodeReport.model_validate(rows | {"alerts": firing})}
        return [one.right for one in asked.check_alerts(make_world())]

    assert alerts() == alerts("warning") == [True]
    assert alerts("critical", "warning") == [False]


def test_a_node_that_says_nothing_is_one_failure() -> None:
    silent = NodeReport(node="n", key="a", healthy=False, problem="no answer within 6 s")
    assert [judge(group, silent) for group in inside.GROUPS].count([("a", False)]) == 1


def test_every_group_has_a_check() -> None:
    named = {check.name for check in checks.make_checks()}
    assert set(inside.GROUPS) <= named
    assert len(named) == len(checks.make_checks())


def test_an_answer_that_is_not_to_our_request_is_none() -> None:
    assert sip.read_answer(b"SIP/2.0 200 OK\r\nCall-ID: abc@x\r\n\r\n", "abc") == "200 OK"
    with pytest.raises(ValueError, match="no answer of SIP"):
        sip.read_answer(b"SIP/2.0 200 OK\r\nCall-ID: other\r\n\r\n", "abc")
    assert json.dumps(sip.compose("UDP", "127.0.0.1:5", "127.0.0.2", "t").decode())


# The account


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
        account.read_account(f"1001:{secret}", "", "")
    with pytest.raises(Failure, match="such as --account"):
        account.read_account("1001", "", "")


def test_a_challenge_is_answered_as_rfc_2617_has_it() -> None:
    plain = 'Digest realm="r", nonce="n"'
    assert 'response="5790559ba44538767b07fb5adb649909"' in answer_challenge(plain, "REGISTER", "sip:r", "u", "p")
    said = answer_challenge(plain + ', qop="auth", opaque="o"', "REGISTER", "sip:r", "u", "p")
    assert 'opaque="o", qop=auth, nc=00000001, cnonce="' in said


# The load


def test_more_calls_than_the_tier_is_made_for_are_refused_unless_told() -> None:
    plan = make_world().plan
    limit = find_limit(plan)
    assert 1 < limit < 100
    check_limit(plan, limit, beyond=False)
    check_limit(plan, limit + 1, beyond=True)
    with pytest.raises(Failure, match=f"made for {limit} calls"):
        check_limit(plan, limit + 1, beyond=False)


def test_a_load_is_for_whom_the_settings_let_in() -> None:
    with pytest.raises(Failure, match="--call"):
        loading.load(make_world(), 1, "", beyond=False)
    with pytest.raises(Failure, match="webitel:carriers"):
        loading.load(make_world(), 1, "600", beyond=False)


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
