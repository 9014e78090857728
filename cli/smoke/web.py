"""The web from outside: every place of the site, and its API."""

from __future__ import annotations

import http
import http.client
import ssl
import time
from collections.abc import Iterable, Mapping
from functools import cache

from cli.smoke.check import AGENT, Finding, World, ask_many, explain
from cli.smoke.paths import SITE, Location, read_site
from components.model.catalogue.service import Front, Probe
from components.model.catalogue.services import CATALOGUE, find_front
from components.model.plan import Node

TIMEOUT_SECONDS = 8.0
AWAY = {
    http.HTTPStatus.MISDIRECTED_REQUEST: "nginx does not know this name",
    http.HTTPStatus.TOO_MANY_REQUESTS: "this address has asked too often",
    http.HTTPStatus.BAD_GATEWAY: "nobody answers behind nginx",
    http.HTTPStatus.SERVICE_UNAVAILABLE: "what stands behind nginx is not ready",
    http.HTTPStatus.GATEWAY_TIMEOUT: "what stands behind nginx does not answer in time",
}
"""What only nginx says, or a program that cannot work. With any other status a program answered, be it that one has to log in:
Storage says 500 to who has not (`facts/observed.md` 3)."""
WEB = find_front(Front.WEB).name


def check_places(world: World) -> Iterable[Finding]:
    """Ask for every place that the site publishes, on every node of the web, and for the way there from plain http."""
    nodes = world.outside(WEB)
    yield from ask_many(lambda one: ask_redirect(world, one[1]), nodes)
    yield from ask_many(lambda one: ask_place(world, *one), list_places(world))


def check_api(world: World) -> Iterable[Finding]:
    """Ask each program behind nginx what its own probe asks it: the API gateway, and Grafana where this machine may."""
    asked = [
        (address, place, probe)
        for _, address, place in list_places(world)
        if (probe := find_probe(place)) and (not place.networks or world.is_among(place.networks))
    ]
    return ask_many(lambda one: ask_api(world, *one), asked)


def ask_api(world: World, address: str, place: Location, probe: Probe) -> Finding:
    """Ask one program."""
    path, wanted = f"{place.path.rstrip('/')}{probe.arguments['path']}", int(probe.arguments["status"])
    target = f"https://{world.name or address}{path}"
    try:
        status, took = get(world, address, path)
    except (OSError, http.client.HTTPException) as error:
        return Finding(target, False, explain(error))
    found = f"HTTP {status} in {1000 * took:.0f} ms" + ("" if status == wanted else f", expected {wanted}")
    return Finding(target, status == wanted, found, figures={"ms": round(1000 * took)})


def find_probe(place: Location) -> Probe | None:
    """Find what a program is asked for where all of it is below a place, None where it has no such question."""
    if not place.rewritten or not place.path.endswith("/"):
        return None
    probes = CATALOGUE[place.service].probes if place.service else ()
    return next((one for one in probes if one.kind == "http" and one.arguments.get("status") == http.HTTPStatus.OK), None)


@cache
def _parts() -> Mapping[str, str]:
    from cloud_init.bundles import bundle_folder

    return {path.name: path.read_text() for path in bundle_folder(WEB).iterdir()}


def list_places(world: World) -> list[tuple[Node, str, Location]]:
    """List what every node of the web publishes, each with its address."""
    return [(node, address, place) for node, address in world.outside(WEB) for place in read_places(world, node)]


def read_places(world: World, node: Node) -> list[Location]:
    """Read what a node publishes from the files that it gets."""
    from cloud_init.compose import compose_configuration
    from sandbox import build

    return read_site(compose_configuration(world.plan, node, world.settings, build).files[SITE], _parts())


def ask_redirect(world: World, address: str) -> Finding:
    """Ask by plain http."""
    target = f"http://{world.name or address}/"
    connection = http.client.HTTPConnection(address, world.port(WEB, "http"), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/", headers={"Host": world.name or address})
        status = connection.getresponse().status
    except OSError as error:
        return Finding(target, False, explain(error))
    finally:
        connection.close()
    moved = status == http.HTTPStatus.MOVED_PERMANENTLY
    return Finding(target, moved, f"HTTP {status}" + ("" if moved else ", expected a redirect to https"))


def ask_place(world: World, node: Node, address: str, place: Location) -> Finding:
    """Ask for one place."""
    target = f"https://{world.name or address}{place.path}"
    if place.socket:
        return Finding(target, None, "takes nothing but web sockets")
    allowed = world.is_among(place.networks) if place.networks else True
    if allowed is None:
        return Finding(target, None, "for operators; the address that nodes see this machine by is not known")
    try:
        status, took = get(world, address, place.path)
    except (OSError, http.client.HTTPException) as error:
        return Finding(target, False, explain(error))
    figures = {"ms": round(1000 * took)}
    if not allowed:
        shut = status == http.HTTPStatus.FORBIDDEN
        return Finding(target, shut, f"HTTP {status}: " + ("closed, as planned" if shut else "open to others than operators"))
    right, why = judge_place(place, status)
    remedy = f"./webitel logs {node.name} {place.service}" if place.service and place.service in node.services else ""
    return Finding(target, right, f"HTTP {status}" + (f": {why}" if why else ""), remedy, figures)


def judge_place(place: Location, status: int) -> tuple[bool, str]:
    """Tell whether a status is right for a place, and why not."""
    if status in AWAY:
        return False, AWAY[http.HTTPStatus(status)]
    if place.moved:
        return status == http.HTTPStatus.MOVED_PERMANENTLY, "" if status == http.HTTPStatus.MOVED_PERMANENTLY else "expected 301"
    if place.page:
        return status == http.HTTPStatus.OK, "" if status == http.HTTPStatus.OK else "the application is not installed"
    # A folder of files is asked for by their names only, so that anything nginx says of it is right.
    return True, ""


def get(world: World, address: str, path: str) -> tuple[int, float]:
    """Ask a node of the web for a path by https; the status, and the seconds it took. Its certificate has a check of its own."""
    begun = time.monotonic()
    connection = http.client.HTTPSConnection(
        address, world.port(WEB, "https"), timeout=TIMEOUT_SECONDS, context=ssl._create_unverified_context()
    )
    try:
        connection.request("GET", path, headers={"Host": world.name or address, "User-Agent": AGENT})
        return connection.getresponse().status, time.monotonic() - begun
    finally:
        connection.close()
