"""The smoke test against real nginx, real rtpengine and OpenSIPS' stand-in: each check right, and made to fail."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cli.nodes.access import Access
from cli.smoke import account, audio, closed, media, sip, web
from cli.smoke.audio import End
from cli.smoke.check import Account, Finding, World
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import make_plan
from tests.sandbox.telephony import LOOPBACK, NODE, PASSWORD, TRUNK, Telephony
from tests.sandbox.test_nginx import NAME, OPERATORS, Echo, Site
from tests.unit.cli.fakes import make_node

pytestmark = pytest.mark.sandbox

INSIDE = "127.0.0.5"
"""An address of OPERATORS."""


def make_world(address: str, ports: dict[str, int] | None = None, **given: object) -> World:
    """local-single with these settings, its node at that address."""
    settings = Settings.model_validate(load_deployment("local-single").settings.model_dump(exclude_unset=True) | given)
    plan = make_plan(settings, "local-single")
    access = Access({"all-1": make_node("all-1", "local-single", address=address)}, "", "")
    return World(plan, settings, access, INSIDE, NAME, ports=ports or {})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("smoke"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def world(site: Site) -> World:
    return make_world("127.0.0.1", {"nginx.https": site.https, "nginx.http": site.http}, operators=(OPERATORS,))


def failures(findings: Any) -> list[Finding]:
    return [one for one in findings if one.right is False]


def test_every_place_is_asked_and_right(world: World) -> None:
    findings = list(web.check_places(world))
    assert not failures(findings)
    assert len([one for one in findings if one.right]) > 30
    # That of Grafana is for operators, of whom this machine is one.
    assert [one.found for one in findings if one.target.endswith("/grafana/")] == ["HTTP 200"]


def test_a_program_that_is_away_and_an_application_that_is_not_installed_are_named(
    site: Site, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "answers", 502)
    (site.folder / "www/history/index.html").rename(site.folder / "www/history/away")
    try:
        found = {one.target.removeprefix(f"https://{NAME}"): one for one in failures(web.check_places(world))}
        api = list(web.check_api(world))
    finally:
        (site.folder / "www/history/away").rename(site.folder / "www/history/index.html")
    assert "/history/" in found
    assert "not installed" in found["/history/"].found
    assert "nobody answers" in found["/api/"].found
    assert found["/api/"].remedy == "./webitel logs local-single-all-1 webitel-api"
    assert "/workspace/" not in found
    assert [one.right for one in api] == [False]


def test_grafana_that_is_open_to_all_is_a_failure(site: Site) -> None:
    ports = {"nginx.https": site.https, "nginx.http": site.http}
    stranger = make_world("127.0.0.1", ports, operators=("127.0.200.0/24",))
    found = [one for one in failures(web.check_places(stranger)) if "grafana" in one.target]
    assert found
    assert all("open to others" in one.found for one in found)


def test_web_sockets_open_or_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = list(web.check_sockets(world))
    assert [(one.target, one.right) for one in good] == [(f"wss://{NAME}/ws/websocket", True), (f"wss://{NAME}/sip", True)]
    monkeypatch.setattr(Echo, "answers", 400)
    assert [one.found for one in failures(web.check_sockets(world))] == ["HTTP 400 to a handshake, expected 101"] * 2


def test_a_certificate_of_another_issuer_or_name_fails(site: Site, world: World) -> None:
    (wrong,) = web.check_certificate(world)
    assert wrong.right is False
    assert "self-signed" in wrong.found
    assert world.authority == ""
    authority = (site.folder / "certificate").read_text()
    (other,) = web.check_certificate(replace(world, authority=authority))
    assert other.right is False
    assert "ismatch" in other.found


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
