"""Debian's blackbox exporter on the file that a node gets: it sees what answers as users need it, and nothing else."""

import os
import re
import socketserver
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.platform import free_port
from tests.sandbox.runner import node_files
from tests.sandbox.test_prometheus import arguments

pytestmark = pytest.mark.sandbox

WAIT_SECONDS = 20.0
GOOD = {
    "GET /app/auth/": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "GET /sip": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "OPTIONS sip:example.com": "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
}
BAD = {
    "GET /app/auth/": "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "GET /sip": "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "OPTIONS sip:example.com": "SIP/2.0 500 Server Error\r\nContent-Length: 0\r\n\r\n",
}


class Front(socketserver.StreamRequestHandler):
    """Answers by the beginning of a request, and keeps the head of each."""

    answers: dict[str, str]
    heads: list[str]

    def handle(self) -> None:
        head = b"".join(iter(self.rfile.readline, b"\r\n")).decode()
        self.heads.append(head)
        self.wfile.write(next(answer for begin, answer in self.answers.items() if head.startswith(begin)).encode())


class Place:
    """The exporter, and a web server and a SIP server that answer what a test says."""

    def __init__(self, folder: Path) -> None:
        self.answers, self.port = dict(GOOD), free_port()
        self.heads: list[str] = []
        made = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=x",
            "-keyout",
            "key.pem",
            "-out",
            "c.pem",
        ]
        subprocess.run(made, cwd=folder, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "c.pem", folder / "key.pem")
        handler = type("Handler", (Front,), {"answers": self.answers, "heads": self.heads})
        self.sip = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self.web = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self.web.socket = context.wrap_socket(self.web.socket, server_side=True)
        for server in (self.sip, self.web):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        files = node_files()
        (folder / "blackbox.yml").write_text(re.sub(r"\{\{address:[^}]*\}\}", "127.0.0.1", files["/etc/prometheus/blackbox.yml"]))
        words = arguments(files["/etc/default/prometheus-blackbox-exporter"].replace(":9115", f":{self.port}"))
        words = [word.replace("/etc/prometheus", str(folder)) for word in words]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus-blackbox-exporter", *words], stdout=log, stderr=log, env={"PATH": os.environ["PATH"]}
            )

    def look(self, module: str) -> bool:
        """Whether the exporter finds a module's target well."""
        web = f"127.0.0.1:{self.web.server_address[1]}"
        sip = f"127.0.0.1:{self.sip.server_address[1]}"
        target = {"web": f"https://{web}/app/auth/", "web_socket": web, "sip": sip}[module]
        url = f"http://127.0.0.1:{self.port}/probe?module={module}&target={target}"
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    return "\nprobe_success 1\n" in answer.read().decode()
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.sip.shutdown()
        self.web.shutdown()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def test_it_sees_what_works_and_what_does_not(place: Place) -> None:
    assert {module: place.look(module) for module in ("web", "web_socket", "sip")} == dict.fromkeys(
        ("web", "web_socket", "sip"), True
    )
    web, socket, sip = place.heads
    assert (
        "\r\nHost: example.com\r\n" in web and "\r\nHost: example.com\r\n" in socket and "Sec-WebSocket-Protocol: sip" in socket
    )
    assert "\n\n" not in sip and sip.startswith("OPTIONS sip:example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;")
    place.answers.update(BAD)
    assert not any(place.look(module) for module in ("web", "web_socket", "sip"))
