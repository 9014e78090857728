"""Servers of mail and of the web at a deployment's gateway that take what Alertmanager tells."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.sandbox.test_alertmanager import Mail, Received

HEARTBEAT = "/heartbeat"


@dataclass
class Told:
    """Where it listens, and what came: the status, name and node of each alert, the token that came with it, mails whole, and the
    times of heartbeats."""

    url: str
    heartbeat_url: str
    mail_server: str
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    mails: list[str] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)


@contextmanager
def take_alerts(address: str) -> Iterator[Told]:
    """Listen as long as the context is open."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()
            if self.path == HEARTBEAT:
                told.beats.append(time.monotonic())
                return
            told.tokens.add(self.headers.get("Authorization", ""))
            for alert in body["alerts"]:
                told.alerts.append((alert["status"], alert["labels"]["alertname"], alert["labels"].get("node", "")))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    received = Received()
    mail = socketserver.ThreadingTCPServer((address, 0), type("Inbox", (Mail,), {"received": received}))
    web = ThreadingHTTPServer((address, 0), Hook)
    url = f"http://{address}:{web.server_port}"
    told = Told(f"{url}/hook", f"{url}{HEARTBEAT}", f"{address}:{mail.server_address[1]}", mails=received.mails)
    for server in (mail, web):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told
    finally:
        for server in (mail, web):
            server.shutdown()
            server.server_close()
