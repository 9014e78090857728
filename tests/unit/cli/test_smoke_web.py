"""The smoke test of the web and the domain's names."""

import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cli.smoke import certificate, names, web
from cli.smoke.paths import SITE, make_path, read_site
from tests.plans import compose_configuration, load_stack
from tests.unit.cli.worlds import make_world


def test_every_location_of_the_site_is_asked_for() -> None:
    deployment = load_stack("local-extended")
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
    assert certificate.judge_days("", quarter, renews_itself=True).right is False
    assert certificate.judge_days("", quarter, renews_itself=False).right is False
    six_days = {"notBefore": now - 3 * 86400, "notAfter": now + 3 * 86400}
    assert certificate.judge_days("", six_days, renews_itself=True).right
    assert certificate.judge_days("", six_days, renews_itself=False).right is False


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
