"""The smoke test against real nginx, real rtpengine and OpenSIPS' stand-in: each check right, and made to fail."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from cli.nodes.access import Access
from cli.smoke import certificate, sockets, web
from cli.smoke.check import Finding, World
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import make_plan
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
    with closing(Site(tmp_path_factory.mktemp("smoke"))) as made:
        yield made


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
    assert [one.right for one in api] == [False, False]


def test_grafana_that_is_open_to_all_is_a_failure(site: Site) -> None:
    ports = {"nginx.https": site.https, "nginx.http": site.http}
    stranger = make_world("127.0.0.1", ports, operators=("127.0.200.0/24",))
    found = [one for one in failures(web.check_places(stranger)) if "grafana" in one.target]
    assert found
    assert all("open to others" in one.found for one in found)


def test_web_sockets_open_or_are_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = list(sockets.check_sockets(world))
    assert [(one.target, one.right) for one in good] == [(f"wss://{NAME}/ws/websocket", True), (f"wss://{NAME}/sip", True)]
    monkeypatch.setattr(Echo, "answers", 400)
    assert [one.found for one in failures(sockets.check_sockets(world))] == ["HTTP 400 to a handshake, expected 101"] * 2


def test_a_certificate_of_another_issuer_or_name_fails(site: Site, world: World) -> None:
    (wrong,) = certificate.check_certificate(world)
    assert wrong.right is False
    assert "self-signed" in wrong.found
    assert world.authority == ""
    authority = (site.folder / "certificate").read_text()
    (other,) = certificate.check_certificate(replace(world, authority=authority))
    assert other.right is False
    assert "ismatch" in other.found
