"""Calls from outside through an edge with a translated address, and what happens to one that is held while things change."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from components.model.catalogue import webitel
from components.model.catalogue.data import GRAFANA
from components.model.catalogue.web import WEBITEL_WEB
from tests.local.conftest import FIGURES, Figure
from tests.local.deployment import wait_until
from tests.local.outside import read_result
from tests.local.telephony import Telephony, check_calls, count_calls
from tests.long_form import LONG

pytestmark = pytest.mark.nodes

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f you@office"
TIER, MEDIA, STAY, MORE = ("extended", "media", 2, {"media": 3, "web": 2}) if LONG else ("basic", "app", 1, {"app": 2})
"""The role with FreeSWITCH, how many of it stay to the end, and the counts in between. The long form, with web nodes of
their own, is `WEBITEL_TEST_LONG=1 ./webitel test nodes`."""


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Telephony]:
    """Several nodes, those that are reached from outside behind translated addresses."""
    deployment = Telephony(tmp_path_factory.mktemp("calls"), f"t{os.getpid()}-calls", {"tier": TIER, "local_network": "nat"})
    try:
        seconds = deployment.bring_up()
        request.config.stash[FIGURES].append((f"up of {TIER} behind translated addresses", seconds, "s"))
        yield deployment
    finally:
        deployment.end()


def test_calls_in_both_directions_through_the_translated_address(basic: Telephony) -> None:
    (edge,) = basic.with_service("opensips")
    assert basic.server not in edge.on_node("ip -4 address")
    check_calls(basic)


def test_a_call_is_followed_over_its_programs_and_captured_and_another_one_is_not(basic: Telephony) -> None:
    capture = basic.folder / "calls.pcap"
    trace = basic.start("trace", basic.name, "--seconds", "10", "--file", str(capture))
    trace.wait_for("Capturing", 30)
    time.sleep(2)
    ended = basic.outside.call(basic.server, "--number", "hangup", "--seconds", "0.5")["call_id"]
    other = basic.outside.call(basic.server, "--number", "echo", "--seconds", "0.2")["call_id"]
    assert trace.wait(60).status == 0
    said = basic.webitel("logs", "all", "--stack", basic.name, "--since", "2m", "--call", ended).output
    (edge,) = basic.with_service("opensips")
    lines = [line.split(" ", 2) for line in said.splitlines()]
    assert {node for _, node, _ in lines} == {edge.key}, said
    steps = [text.partition(f"call {ended}: ")[2] for _, _, text in lines if text.startswith("opensips")]
    assert [step.partition(" ")[0] for step in steps] == ["sip:1000@" + basic.outside.address, "200", "200", "BYE"], (
        "it is changed once, and FreeSWITCH ends it",
        said,
    )
    assert f"from {basic.outside.address}:" in steps[0], said
    assert any(basic.private_address(media.key) in steps[0] for media in basic.with_service("freeswitch")), said
    assert any(text.startswith("rtpengine") and "Creating new call" in text for _, _, text in lines), said
    assert other not in said
    # As whoever looks at it reads it: both calls, on both sides of OpenSIPS.
    shown = subprocess.run(["tcpdump", "-r", str(capture), "-n", "-A"], capture_output=True, text=True, check=True).stdout
    for call in (ended, other):
        invites = [part for part in shown.split("INVITE sip:")[1:] if f"Call-ID: {call}" in part]
        assert len(invites) >= 2, shown


def test_private_addresses_and_the_way_back_in_are_closed(basic: Telephony) -> None:
    web = basic.with_service("nginx")[0]
    media = basic.with_service("freeswitch")[0]
    public = str(basic.outputs()[web.key]["address"])
    assert basic.outside.reaches(public, 443)
    assert not basic.outside.reaches(basic.private_address(web.key), 443)
    # No hairpin: what FreeSWITCH sends to a public address is lost, so it must not be told one.
    connect = f"python3 -c 'import socket; socket.create_connection((\"{public}\", 443), 2)'"
    assert "timed out" in media.on_node(connect, check=False)


def test_changes_that_drop_no_call(basic: Telephony, figure: Figure) -> None:
    haproxy = basic.edit("cloud_init/files/haproxy/haproxy.cfg", "maxconn 4000", "maxconn 4001")
    with basic.outside.held_call(basic.server), haproxy:
        basic.set(
            upload_limit_mib=65,
            max_connections=320,
            operator_keys=[KEY],
            counts=MORE,
            carriers=[f"{basic.outside.address}/32", "203.0.113.0/24"],
        )
        done = basic.up()
    figure("up with settings of five services and another media node, a call held", done.seconds)
    (edge,) = basic.with_service("opensips")
    (database,) = basic.with_service("postgresql")
    for web in basic.with_service("nginx"):
        assert "client_max_body_size 65m;" in web.on_node("nginx -T 2>/dev/null")
    assert "maxconn 4001" in edge.on_node("cat /etc/haproxy/haproxy.cfg")
    assert "203.0.113.0/24" in edge.on_node("nft list ruleset")
    assert KEY in database.on_node("cat /etc/ssh/authorized_keys.d/debian")
    assert database.on_node("cd / && runuser -u postgres -- psql -XAtc 'show max_connections'") == "320"
    assert len(basic.with_service("freeswitch")) == MORE[MEDIA]


def test_a_patch_upgrade_of_every_webitel_service_drops_no_call(basic: Telephony, figure: Figure) -> None:
    # FreeSWITCH waits for the end of the call, and OpenSIPS for --disruptive: neither is the vendor's Webitel service.
    services = [*webitel.SERVICES, GRAFANA, WEBITEL_WEB]
    packages = {package for service in services for package in service.packages if package.startswith(("webitel-", "grafana"))}
    with basic.outside.held_call(basic.server):
        done = basic.upgrade(*(word for service in services for word in ("--only", service.name)))
    figure("patch upgrade of every Webitel service, a call held", done.seconds)
    seen: set[str] = set()
    for node in basic.nodes():
        found = node.versions(*packages)
        seen |= found.keys()
        assert all(version.endswith("+1") and held for version, held in found.values()), (node.key, found)
    assert seen == packages
    assert "Nothing to change." in basic.up().output


def test_all_media_nodes_get_calls_and_a_stopped_one_costs_none(basic: Telephony, figure: Figure) -> None:
    *others, second = basic.with_service("freeswitch")
    with ExitStack() as calls:
        for _ in range(4):
            calls.enter_context(basic.outside.held_call(basic.server))
        counts = [count_calls(node) for node in (*others, second)]
        assert sum(counts) == 4
        assert all(counts), counts
    second.on_node("systemctl mask --runtime -q freeswitch && systemctl kill -s KILL freeswitch; systemctl stop freeswitch")
    try:
        results = [basic.outside.call(basic.server, "--number", "echo", "--seconds", "0.5") for _ in range(6)]
        assert [(result["status"], result["lost"], result["problem"]) for result in results] == [(200, 0, "")] * 6, results
        figure("slowest set-up of a call with one FreeSWITCH dead", max(one["setup_ms"] for one in results) / 1000)
        # Found out once, nobody waits for it any more.
        assert all(result["setup_ms"] < 1500 for result in results[2:]), results
    finally:
        second.on_node("systemctl unmask --runtime -q freeswitch && systemctl start --no-block freeswitch")

    def ask() -> str:
        before = int(second.on_node("fs_cli -x status | grep 'since startup' || echo 0").split()[0])
        for _ in (*others, second):
            assert basic.outside.call(basic.server, "--number", "echo", "--seconds", "0.2")["problem"] == ""
        after = int(second.on_node("fs_cli -x status | grep 'since startup' || echo 0").split()[0])
        return "" if after > before else "no call on the media node that is back"

    figure("media node back until it has calls", wait_until(ask, 60))


def test_who_guesses_is_cut_off_and_banned_and_a_trunk_is_not(basic: Telephony, figure: Figure) -> None:
    outside, server = basic.outside, basic.server
    (edge,) = basic.with_service("opensips")
    # Nobody who is named can be banned: whoever writes such an address into a packet would shut an office out.
    basic.set(phones="internet")
    basic.up()
    with outside.held_call(server):
        scanner = outside.start(
            "tests.tools.scan", f"{server}:5060", "--local", outside.stranger, "--seconds", "90", "--connections", "5"
        )
        calls = [outside.call(server, "--number", "echo", "--seconds", "0.2") for _ in range(8)]
        assert [call["problem"] for call in calls] == [""] * 8
        result = read_result(scanner)
        assert result["silent"], result
        figure("answers to a scanner before it is cut off", result["answered"], "")
        # pike's own memory is short: the ban is fail2ban's.
        banned = "fail2ban-client status opensips"
        wait_until(lambda: "" if outside.stranger in (said := edge.on_node(banned)) else said, 30)
    assert outside.address not in edge.on_node(banned)


def test_a_change_that_drops_calls_is_refused_and_drops_none(basic: Telephony) -> None:
    with (
        basic.outside.held_call(basic.server),
        basic.edit("cloud_init/files/opensips/opensips.cfg", "tcp_connection_lifetime = 300", "tcp_connection_lifetime = 301"),
    ):
        refused = basic.up(status=1)
        assert "--disruptive" in refused.said
        assert "OpenSIPS restarts" in refused.said


def test_a_media_node_leaves_without_dropping_a_call(basic: Telephony, figure: Figure) -> None:
    stay = basic.with_service("freeswitch")[:STAY]
    for _ in range(6):
        with basic.outside.held_call(basic.server):
            if sum(map(count_calls, stay)) == 1:
                done = basic.webitel("scale", MEDIA, str(STAY), basic.name, "--yes")
                break
    else:
        pytest.fail("no call was given to the node that stays")
    figure("a media node drained and removed, a call held on another", done.seconds)
    basic.settings["counts"] = MORE | {MEDIA: STAY}
    assert basic.outside.call(basic.server, "--number", "hangup")["problem"] == ""
    assert len(basic.with_service("freeswitch")) == STAY
