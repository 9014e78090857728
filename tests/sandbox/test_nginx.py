"""The rendered site under real nginx: every route of the vendor's own site of 25.08, who is told what, and the limits."""

import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from cloud_init.bundles import bundle_folder
from components.model.catalogue.services import CATALOGUE
from components.model.settings import Settings
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan
from tests.sandbox.platform import free_port
from tests.sandbox.runner import node_files
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

UPSTREAMS = {
    "api": ("webitel-api", "http"),
    "storage": ("storage", "public"),
    "bot": ("messages-bot", "http"),
    "engine": ("engine", "websocket"),
    "sip": ("sip-websocket", "http"),
    "grafana": ("grafana", "http"),
}
STRANGER = "127.0.99.7"
OPERATORS, NO_OPERATOR = "127.0.0.0/17", "127.0.200.1"
NAME, OTHER_NAME, CRM = "example.com", "pbx.your-company.com", "https://crm.your-company.com"
"""What `webitel:domain`, `web_names` and `web_origins` say."""
PRIVATE, PUBLIC = "10.99.0.10", "203.0.113.10"
"""The node's addresses, of which clients may speak."""


def site_files(**values: object) -> dict[str, str]:
    """Path -> text of the files of a node with nginx."""
    given = {"operators": (OPERATORS,), "web_names": (OTHER_NAME,), "web_origins": (CRM,), **values}
    settings = Settings.model_validate(load_deployment("local-single").settings.model_dump(exclude_unset=True) | given)
    plan = make_plan(settings, "local-single")
    return dict(compose_configuration(plan, plan.nodes[0], settings).files)


# Method, path, who gets it and as what: nginx/default of webitel/deployment 82b8b5e. Not here is /webitel.portal., whose program
# is not part of a deployment.
ROUTES = [
    ("GET", "/api/storage/recordings/1/stream", "storage", "/api/v2/recordings/1/stream"),
    ("GET", "/api/storage/recordings/1/download?access_token=x", "storage", "/api/v2/recordings/1/download?access_token=x"),
    ("GET", "/api/storage/media/7/stream", "storage", "/api/v2/media/7/stream"),
    ("GET", "/api/storage/file/1/download", "storage", "/api/v2/file/1/download"),
    ("POST", "/api/storage/file/1/upload?name=a", "storage", "/api/v2/file/1/upload?name=a"),
    ("GET", "/api/storage/file/1/transcript", "storage", "/api/v2/file/1/transcript"),
    ("GET", "/api/storage/tts/stream?text=a%20b", "storage", "/api/v2/tts/stream?text=a%20b"),
    ("OPTIONS", "/api/storage/file/1/download", "storage", "/api/v2/file/1/download"),
    ("DELETE", "/api/storage/file/1/download", "", "403"),
    ("GET", "/any/file/download?id=1", "storage", "/api/v2/any/file/download?id=1"),
    ("GET", "/any/file/12/download/name.pdf?expires=1", "storage", "/api/v2/any/file/12/download?expires=1"),
    ("GET", "/any/file/12/stream", "storage", "/api/v2/any/file/12/stream"),
    ("POST", "/any/file/12/stream", "", "403"),
    ("POST", "/any/file/12/download", "", "403"),
    ("POST", "/api/storage/media", "storage", "/api/v2/media"),
    ("POST", "/api/storage/media?page=1", "storage", "/api/v2/media?page=1"),
    ("GET", "/api/storage/media", "api", "/storage/media"),
    ("DELETE", "/api/storage/media/5", "api", "/storage/media/5"),
    ("PUT", "/api/storage/backend_profiles/1", "api", "/storage/backend_profiles/1"),
    ("GET", "/api/storage/file", "api", "/storage/file"),
    ("GET", "/api/srvinfo", "api", "/srvinfo"),
    ("GET", "/api", "api", "/"),
    ("GET", "/api/v2/any/file/1/download", "api", "/v2/any/file/1/download"),
    ("POST", "/api/login", "api", "/login"),
    ("PATCH", "/api/users/1?fields=id", "api", "/users/1?fields=id"),
    ("POST", "/chat/telegram/x", "bot", "/telegram/x"),
    ("GET", "/chat", "bot", "/"),
    ("GET", "/appointments/widget", "engine", "/appointments/widget"),
    ("GET", "/endpoint/oauth2/1/callback?code=x", "engine", "/endpoint/oauth2/1/callback?code=x"),
    ("GET", "/ws/websocket?application_name=x", "engine", "/websocket?application_name=x"),
    ("GET", "/ws", "engine", "/"),
    ("GET", "/sip", "sip", "/sip"),
    ("GET", "/sip/", "sip", "/sip/"),
    ("GET", "/grafana/d/1?from=now", "grafana", "/d/1?from=now"),
    ("POST", "/grafana/login", "grafana", "/login"),
    ("GET", "/grafana", "grafana", "/"),
    ("GET", "/", "", "200 admin"),
    ("GET", "/contacts/5", "", "200 admin"),
    ("GET", "/app/auth/", "", "200 auth"),
    ("GET", "/app/auth", "", "301"),
    ("GET", "/workspace/calls", "", "200 workspaces"),
    ("GET", "/supervisor/", "", "200 supervisor"),
    ("GET", "/history/", "", "200 history"),
    ("GET", "/audit/", "", "200 audit"),
    ("GET", "/crm/", "", "200 crm"),
    ("GET", "/flow/", "", "200 flow-diagram"),
    ("GET", "/omni-widget/index.html", "", "200 omni-widget"),
    ("GET", "/ringtones/index.html", "", "200 ringtones"),
    ("GET", "/ringtones/none.mp3", "", "404"),
]
FOLDERS = ("admin", "auth", "workspaces", "supervisor", "history", "audit", "crm", "flow-diagram", "omni-widget", "ringtones")


class Got(NamedTuple):
    """What nginx answered: status, body, headers by lower-case name."""

    status: int
    body: str
    headers: dict[str, str]


class Echo(BaseHTTPRequestHandler):
    """An upstream that says who it is and what it was asked; a web socket stays open."""

    protocol_version = "HTTP/1.1"
    answers = 200

    def handle_any(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Upgrade") and self.answers == 200:
            key = self.headers.get("Sec-WebSocket-Key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
            opened = "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"
            self.connection.sendall("\r\n".join((*opened, f"Sec-WebSocket-Accept: {accept}", "", "")).encode())
            self.connection.recv(1)
            self.close_connection = True
            return
        headers = (f"{name.lower()}: {value}" for name, value in self.headers.items())
        lines = [str(self.connection.getsockname()[1]), self.path, *headers]
        content = "\n".join(lines).encode()
        self.send_response(self.answers)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = handle_any

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: the test reads nginx's own log."""


class Site:
    """nginx with the files of local-single's node, everything of it below a folder and on the loopback."""

    def __init__(self, folder: Path, files: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.servers = {name: ThreadingHTTPServer(("127.0.0.1", 0), Echo) for name in UPSTREAMS}
        self.ports = {str(server.server_port): name for name, server in self.servers.items()}
        for server in self.servers.values():
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.http, self.https = free_port(), free_port()
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.journal.bind(str(folder / "log"))
        (folder / "log").chmod(0o666)
        self.heard: list[str] = []
        threading.Thread(target=self.hear, daemon=True).start()
        for name in FOLDERS:
            (folder / "www" / name).mkdir(parents=True)
            (folder / "www" / name / "index.html").write_text(name)
        subprocess.run(
            [
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=x",
                "-days",
                "1",
                "-keyout",
                folder / "key",
                "-out",
                folder / "certificate",
            ],
            check=True,
            capture_output=True,
        )
        (folder / "webitel.pem").write_text((folder / "certificate").read_text() + (folder / "key").read_text())
        files = files or site_files()
        for path in ("nginx.conf", "sites-enabled/default", "conf.d/webitel.conf"):
            target = folder / path
            target.parent.mkdir(exist_ok=True)
            target.write_text(self.move(files[f"/etc/nginx/{path}"]))
        shutil.copytree(bundle_folder("nginx"), folder / "bundle")
        for part in (folder / "bundle").iterdir():
            part.write_text(self.move(part.read_text()))
        for name in ("modules-enabled", "temp"):
            (folder / name).mkdir()
        shutil.copy("/etc/nginx/mime.types", folder)
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                ["/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"],
                stdout=output,
                stderr=output,
            )
        wait_until(self.is_up, 15, "nginx")

    def is_up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output").read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.https)) == 0

    def move(self, text: str) -> str:
        """A file of the node with its addresses, ports and folders on this machine."""
        for name, (service, listener) in UPSTREAMS.items():
            port = CATALOGUE[service].listener(listener).port
            text = text.replace(f"server {{{{address:all-1}}}}:{port} ", f"server 127.0.0.1:{self.servers[name].server_port} ")
        text = text.replace("{{address:all-1}}:443", f"127.0.0.1:{self.https}").replace(
            "{{address:all-1}}:80", f"127.0.0.1:{self.http}"
        )
        text = text.replace("{{address:all-1}}", PRIVATE).replace("{{address:all-1.public}}", PUBLIC)
        assert "{{" not in text
        for old, new in (
            ("/usr/share/webitel/bundles/nginx", "/bundle"),
            ("/etc/nginx", ""),
            ("/etc/ssl/private", ""),
            ("/opt/www", "/www"),
            ("/run/nginx.pid", "/pid"),
            ("/var/log/nginx", ""),
            ("/dev/log", "/log"),
        ):
            text = text.replace(old, f"{self.folder}{new}")
        return re.sub(r"^user .*$", "user root;" if os.geteuid() == 0 else "", text, flags=re.MULTILINE)

    def connect(self, source: str = "127.0.0.1", version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        """A connection with TLS from an address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.https), 10, (source, 0)))

    def ask(self, method: str, path: str, source: str = "127.0.0.1", **headers: str) -> Got:
        """One request."""
        with self.connect(source) as connection:
            head = {"Host": NAME, "Connection": "close", "Content-Length": "0", **headers}
            lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            return Got(response.status, response.read().decode(), {name.lower(): value for name, value in response.getheaders()})

    def open_socket(self, path: str, source: str, origin: str = "", host: str = NAME) -> tuple[int, ssl.SSLSocket]:
        """The status of a handshake, and its connection."""
        connection = self.connect(source)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Origin: {origin}"] if origin else []
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        return int(connection.recv(4096).split(b" ")[1]), connection

    def told(self, tag: str = "nginx_refused") -> list[str]:
        """What the journal has got under a tag since the last call, without what syslog adds in front."""
        time.sleep(0.3)
        lines, self.heard = self.heard, []
        return [text for line in lines if (text := line.partition(f" {tag}: ")[2])]

    def hear(self) -> None:
        """Take what nginx sends to the journal at once: what does not fit into the socket it drops."""
        with suppress(OSError):
            while line := self.journal.recv(65536):
                self.heard.append(line.decode())

    def close(self) -> None:
        """Everything ends."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        for server in self.servers.values():
            server.shutdown()
        self.journal.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with closing(Site(tmp_path_factory.mktemp("nginx"))) as made:
        yield made


@pytest.mark.parametrize(("method", "path", "receiver", "expected"), ROUTES, ids=[f"{route[0]} {route[1]}" for route in ROUTES])
def test_route(method: str, path: str, receiver: str, expected: str, site: Site) -> None:
    got = site.ask(method, path)
    if not receiver:
        assert f"{got.status} {got.body}".startswith(expected), got
        return
    port, seen, *_ = got.body.split("\n")
    assert (site.ports[port], seen) == (receiver, expected)


@pytest.mark.parametrize("host", ["evil.example", "", "example.com.evil.example", "127.0.0.1", "10.99.0.11"])
def test_a_host_that_is_not_ours_is_refused_at_both_doors(host: str, site: Site) -> None:
    for path in ("/", "/api/srvinfo", "/.well-known/openid-configuration"):
        got = site.ask("GET", path, Host=host)
        # An empty name is no name: nginx itself says so.
        assert got.status in ((400, 421) if not host else (421,)) and "location" not in got.headers, path
    connection = http.client.HTTPConnection("127.0.0.1", site.http, timeout=10)
    connection.request("GET", "/x", headers={"Host": host})
    assert connection.getresponse().status in ((400, 421) if not host else (421,))


@pytest.mark.parametrize("host", [NAME, "EXAMPLE.com:443", OTHER_NAME, PRIVATE, PUBLIC])
def test_the_names_and_addresses_of_the_node_are_known(host: str, site: Site) -> None:
    assert site.ask("GET", "/app/auth/", Host=host).status == 200
    connection = http.client.HTTPConnection("127.0.0.1", site.http, timeout=10)
    connection.request("GET", "/x?y=1", headers={"Host": host})
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Location")) == (301, f"https://{host.lower().partition(':')[0]}/x?y=1")


@pytest.mark.parametrize(
    ("origin", "opened"),
    [
        ("", True),  # no browser: no page of another site speaks here
        (f"https://{NAME}", True),
        (f"https://{NAME}:443", True),
        (f"https://{OTHER_NAME}", True),
        (f"https://{PUBLIC}", True),
        (CRM, True),
        ("https://evil.example", False),
        (f"https://{NAME}.evil.example", False),
        (f"https://evil.example/https://{NAME}", False),
        ("https://exampleXcom", False),
        (f"http://{NAME}", False),
        (f"{CRM}.evil.example", False),
        ("null", False),
    ],
)
def test_pages_of_other_sites_open_no_web_socket_but_web_chats(origin: str, opened: bool, site: Site) -> None:
    site.told()
    for path, always in (("/sip", False), ("/ws/websocket", False), ("/chat/portal", True)):
        status, connection = site.open_socket(path, "127.0.66.9", origin)
        connection.close()
        assert status == (101 if opened or always else 403), path
    # Whoever is led to a foreign page is no guesser: fail2ban would shut his office out.
    assert site.told() == []


def test_grafana_is_for_operators_unless_it_is_opened(site: Site) -> None:
    site.told()
    for path in ("/grafana/", "/grafana/login", "/grafana/api/health", "/grafana"):
        assert site.ask("GET", path, NO_OPERATOR).status == 403
        assert site.ask("GET", path, STRANGER).status == 200
    assert site.told() == [], "a link to Grafana is no guess"
    assert site.ask("GET", "/api/srvinfo", NO_OPERATOR).status == 200
    text = site_files(grafana="internet")["/etc/nginx/sites-enabled/default"]
    assert "deny all" not in text and "grafana" in text
    # On this host, whose own address is the operators' unless set: as for SSH.
    assert site_files(operators=())["/etc/nginx/sites-enabled/default"].count("    allow 10.77.0.1/32;\n    deny all;\n") == 2


def test_a_reload_drops_no_web_socket(site: Site) -> None:
    status, connection = site.open_socket("/ws", STRANGER)
    workers = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children")
    before = set(workers.read_text().split())
    site.process.send_signal(signal.SIGHUP)
    wait_until(lambda: set(workers.read_text().split()) - before, 10, "new workers")
    assert site.ask("GET", "/api/srvinfo").status == 200
    connection.settimeout(2)
    with pytest.raises(TimeoutError):
        connection.recv(1)  # closed, it would be read as nothing at once
    connection.close()
    assert status == 101


def test_what_a_client_says_of_its_address_is_not_passed_on(site: Site) -> None:
    forged = {"X-Forwarded-For": "10.1.2.3", "X-Real-IP": "10.1.2.3", "X-Forwarded-Proto": "http"}
    for path in (
        "/api/srvinfo",
        "/api/login",
        "/api/storage/media",
        "/api/storage/file/1/download",
        "/any/file/1/stream",
        "/chat/x",
        "/appointments/x",
        "/endpoint/oauth2/1/callback",
        "/ws",
        "/sip",
        "/grafana",
        "/grafana/login",
    ):
        seen = site.ask("GET", path, STRANGER, **forged).body.split("\n")
        assert f"host: {NAME}" in seen and f"x-forwarded-for: {STRANGER}" in seen and "x-forwarded-proto: https" in seen
        (real,) = [line for line in seen if line.startswith("x-real-ip: ")]
        # The vendor's programs differ in what they expect.
        with_port = path.startswith(("/api/srv", "/api/login", "/chat", "/app", "/end", "/ws"))
        assert re.fullmatch(rf"x-real-ip: {STRANGER}" + (r":\d+" if with_port else ""), real), path
        assert "10.1.2.3" not in "\n".join(seen)


def test_the_pages_have_their_headers(site: Site) -> None:
    page, widget, answer = (site.ask("GET", path).headers for path in ("/", "/omni-widget/index.html", "/api/srvinfo"))
    for headers in (page, widget, answer):
        assert headers["strict-transport-security"] == "max-age=31536000" and headers["x-content-type-options"] == "nosniff"
    assert page["x-frame-options"] == "SAMEORIGIN" and "access-control-allow-origin" not in page
    assert widget["access-control-allow-origin"] == "*" and "x-frame-options" not in widget
    assert "frame-ancestors 'self'" in page["content-security-policy"] and "content-security-policy" not in widget
    # A phone in the browser needs them; nobody whose page is shown within ours does.
    assert "microphone=(self)" in page["permissions-policy"] and "camera=(self)" in page["permissions-policy"]
    assert page["cache-control"] == widget["cache-control"] == "no-cache" and "cache-control" not in answer


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("version", "served"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
def test_old_tls_is_refused_by_name(version: ssl.TLSVersion, served: bool, site: Site) -> None:
    if served:
        with site.connect(version=version) as connection:
            assert connection.cipher()[0].startswith(("TLS_", "ECDHE-"))  # type: ignore[index]
        return
    # Alert 70; OpenSSL's own security level would say 80.
    with pytest.raises(ssl.SSLError, match="TLSV1_ALERT_PROTOCOL_VERSION"):
        site.connect(version=version)


def test_a_scanner_finds_nothing(site: Site, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    # Protocols, ciphers, known weaknesses; the certificate is the test's own.
    subprocess.run(
        ["testssl", "--quiet", "--warnings", "off", "-p", "-s", "-U", "--jsonfile", str(report), f"127.0.0.1:{site.https}"],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    found = {row["id"]: row["severity"] for row in json.loads(report.read_text())}
    assert {"SSLv3", "TLS1_3", "cipherlist_3DES_IDEA", "cipherlist_AVERAGE", "heartbleed", "ROBOT", "LUCKY13"} <= found.keys()
    # It would like a proprietary engine of OpenSSL for ciphers that nobody has.
    assert {name for name, severity in found.items() if severity not in ("OK", "INFO")} <= {"engine_problem"}


def test_web_sockets_of_one_address_are_limited_and_others_are_not_disturbed(site: Site) -> None:
    limit = 400
    site.told()
    with ThreadPoolExecutor(16) as pool:
        opened = list(pool.map(lambda _: site.open_socket("/sip", "127.0.66.6"), range(limit + 40)))
    try:
        statuses = [status for status, _ in opened]
        assert 429 in statuses and 0 < statuses.count(101) <= limit, {status: statuses.count(status) for status in set(statuses)}
        assert set(site.told()) == {"refused sip 429 from 127.0.66.6"}
        status, other = site.open_socket("/sip", STRANGER)
        other.close()
        assert status == 101
    finally:
        for _, connection in opened:
            connection.close()


@pytest.mark.parametrize(("path", "door"), [("/api/login", "webitel"), ("/grafana/login", "grafana")])
def test_log_ins_are_told_for_the_records_and_their_pages_are_not(path: str, door: str, site: Site) -> None:
    source = {"webitel": "127.0.66.9", "grafana": "127.0.66.10"}[door]
    site.told()
    assert [site.ask(method, path, source).status for method in ("GET", "POST")] == [200, 200]
    assert site.told("webitel_login") == [f"log-in to {door} answered 200 from {source}"]


@pytest.mark.parametrize(("path", "door"), [("/api/login", "login"), ("/grafana/login", "grafana")])
def test_guesses_are_limited_and_told(path: str, door: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    source = {"login": "127.0.66.7", "grafana": "127.0.66.8"}[door]
    site.told()
    monkeypatch.setattr(Echo, "answers", 401)
    statuses = [site.ask("POST", path, source).status for _ in range(90)]
    assert set(statuses) == {401, 429} and statuses.count(401) >= 60
    lines = site.told()
    assert len(lines) == 90 and set(lines) == {f"refused {door} {status} from {source}" for status in (401, 429)}
    assert site.ask("POST", path, STRANGER).status == 401


def test_passwords_in_a_header_are_guesses_and_an_expired_session_is_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Echo, "answers", 401)
    site.told()
    for path in ("/grafana/api/org", "/api/userinfo"):
        assert site.ask("GET", path, STRANGER).status == 401
        assert site.told() == []
        assert site.ask("GET", path, STRANGER, Authorization="Basic YTpi").status == 401
        assert site.told() == [f"refused {'grafana' if 'grafana' in path else 'login'} 401 from {STRANGER}"]


def test_there_is_room_for_the_agents_of_a_large_office(site: Site) -> None:
    text = (site.folder / "nginx.conf").read_text()
    connections = int(re.search(r"worker_connections (\d+);", text)[1])  # type: ignore[index]
    files = int(re.search(r"worker_rlimit_nofile (\d+);", text)[1])  # type: ignore[index]
    unit = node_files()["/etc/systemd/system/nginx.service.d/webitel.conf"]
    assert connections >= 4 * 4000 and connections < files == int(re.search(r"LimitNOFILE=(\d+)", unit)[1])  # type: ignore[index]
