"""The web from outside: every place of the site, its API, its web sockets, and the certificate that it shows."""

from __future__ import annotations

import base64
import hashlib
import http
import http.client
import secrets
import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial

from cli.smoke.check import Finding, World, ask_many
from cli.smoke.paths import SITE, Location, read_site
from components.model.catalogue.service import Front, Probe, Service
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
SOCKET_KEY = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455 1.3 appends to a client's key."""
LEAST_DAYS = 14
"""A certificate that somebody renews by hand fails below."""
LEAST_SHARE = 1 / 6
"""What is left of the time of one that renews itself, due at a third (`cloud_init/node/ask/certificate.py`)."""
WEB, SIP = (find_front(front).name for front in (Front.WEB, Front.SIP))


def check_places(world: World) -> Iterable[Finding]:
    """Ask for every place that the site publishes, on every node of the web, and for the way there from plain http."""
    for node, address in world.outside(WEB):
        yield ask_redirect(world, address)
        yield from ask_many(partial(ask_place, world, node, address), read_places(world, node))


def check_api(world: World) -> Iterable[Finding]:
    """Ask each program behind nginx what its own probe asks it: the API gateway, and Grafana where this machine may."""
    for node, address in world.outside(WEB):
        for place in read_places(world, node):
            probe = find_probe(place)
            if probe is None or (place.networks and not world.is_among(place.networks)):
                continue
            path, wanted = f"{place.path.rstrip('/')}{probe.arguments['path']}", int(probe.arguments["status"])
            status, took = get(world, address, path)
            found = f"HTTP {status} in {1000 * took:.0f} ms" + ("" if status == wanted else f", expected {wanted}")
            yield Finding(f"https://{world.name or address}{path}", status == wanted, found, figures={"ms": round(1000 * took)})


def find_probe(place: Location) -> Probe | None:
    """Find what a program is asked for where all of it is below a place, None where it has no such question."""
    if not place.rewritten or not place.path.endswith("/"):
        return None
    probes = CATALOGUE[place.service].probes if place.service else ()
    return next((one for one in probes if one.kind == "http" and one.arguments.get("status") == http.HTTPStatus.OK), None)


def check_sockets(world: World) -> Iterable[Finding]:
    """Open a web socket at each door for them."""
    for node, address in world.outside(WEB):
        for place in read_places(world, node):
            if place.socket:
                yield ask_socket(world, address, place)


def check_certificate(world: World) -> Iterable[Finding]:
    """Judge the certificate of every node of the web: chain, name and days."""
    for _, address in world.outside(WEB):
        yield judge_certificate(world, address, world.port(WEB, "https"))


@cache
def _parts() -> Mapping[str, str]:
    from cloud_init.bundles import bundle_folder

    return {path.name: path.read_text() for path in bundle_folder(WEB).iterdir()}


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
        connection.request("GET", path, headers={"Host": world.name or address, "User-Agent": "webitel-smoke"})
        return connection.getresponse().status, time.monotonic() - begun
    finally:
        connection.close()


def ask_socket(world: World, address: str, place: Location) -> Finding:
    """Open one web socket, and close it."""
    target = f"wss://{world.name or address}{place.socket}"
    try:
        connection, said = open_socket(world, address, place.socket, speaks_sip(CATALOGUE[place.service]))
    except OSError as error:
        return Finding(target, False, explain(error))
    connection.close()
    return Finding(target, not said, said or "opened")


def speaks_sip(service: Service) -> bool:
    """Tell whether it passes a web socket on to what speaks SIP."""
    return any(call.partition(".")[0] == SIP for call in service.calls)


def open_socket(world: World, address: str, path: str, is_sip: bool) -> tuple[ssl.SSLSocket, str]:
    """Make the handshake of a web socket (RFC 6455 4.1); the connection, and what is wrong with the answer."""
    connection = ssl._create_unverified_context().wrap_socket(
        socket.create_connection((address, world.port(WEB, "https")), TIMEOUT_SECONDS), server_hostname=world.name or address
    )
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {path} HTTP/1.1", f"Host: {world.name or address}", "Upgrade: websocket", "Connection: Upgrade"]
    # A browser always says whose page it shows, and OpenSIPS refuses a handshake without it.
    lines.append(f"Origin: https://{world.name or address}")
    lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", "User-Agent: webitel-smoke"]
    lines += ["Sec-WebSocket-Protocol: sip"] * is_sip
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(1)):
        head += more
    first, *headers = head.decode("latin-1").split("\r\n")
    status = first.split(" ")[1] if " " in first else ""
    if status != str(http.HTTPStatus.SWITCHING_PROTOCOLS.value):
        return connection, f"HTTP {status or 'nothing'} to a handshake, expected 101"
    named = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in headers)}
    accept = base64.b64encode(hashlib.sha1((key + SOCKET_KEY).encode(), usedforsecurity=False).digest()).decode()
    return connection, "" if named.get("sec-websocket-accept") == accept else "the answer is to another handshake than ours"


def say(connection: socket.socket, data: bytes) -> None:
    """Send one message of a web socket, masked as a client's are (RFC 6455 5.2, 5.3)."""
    size, mask = len(data), secrets.token_bytes(4)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0x80 | 126]) + size.to_bytes(2, "big")
    connection.sendall(head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(data)))


def hear(connection: socket.socket) -> bytes:
    """Read one message of a web socket; pings and the like are left out."""
    while True:
        first, size = _read(connection, 2)
        size &= 0x7F
        if size > 125:
            size = int.from_bytes(_read(connection, 2 if size == 126 else 8), "big")
        data = _read(connection, size)
        if first & 0x0F in (1, 2):
            return data
        if first & 0x0F == 8:
            raise ConnectionResetError("the web socket was closed")


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the connection was closed")
        data += more
    return data


def judge_certificate(world: World, address: str, port: int) -> Finding:
    """Judge what is shown there, against the issuer that the settings name."""
    name = world.plan.domain or address
    target = f"{name}:{port}" + ("" if world.name else f" at {address}")
    own = world.settings.certificate == "self-signed"
    context = ssl.create_default_context(cadata=world.authority or None) if own else ssl.create_default_context()
    try:
        with (
            socket.create_connection((address, port), TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            shown = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Finding(target, False, error.verify_message)
    except OSError as error:
        return Finding(target, False, explain(error))
    return judge_days(target, dict(_dates(shown)), world.settings.certificate == "letsencrypt")


def _dates(shown: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name in ("notBefore", "notAfter"):
        yield name, ssl.cert_time_to_seconds(str(shown[name]))


def judge_days(target: str, dates: Mapping[str, float], renews_itself: bool) -> Finding:
    """Judge how long a certificate holds."""
    left, whole = dates["notAfter"] - time.time(), dates["notAfter"] - dates["notBefore"]
    due = left < whole * LEAST_SHARE if renews_itself else left < LEAST_DAYS * 86400
    found = f"chain and name are right, {left / 86400:.0f} days left"
    return Finding(target, not due, found + (": too few" if due else ""), figures={"days": round(left / 86400, 1)})


def explain(error: Exception) -> str:
    """Say what the network said."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_SECONDS:.0f} s"
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
