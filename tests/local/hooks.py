"""A server at a deployment's gateway that takes what Alertmanager tells."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Told:
    """Where it listens, and what came: the status, name and node of each alert, and the token that came with it."""

    url: str
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)


@contextmanager
def take_alerts(address: str) -> Iterator[Told]:
    """Listen as long as the context is open."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.tokens.add(self.headers.get("Authorization", ""))
            for alert in body["alerts"]:
                told.alerts.append((alert["status"], alert["labels"]["alertname"], alert["labels"].get("node", "")))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Hook)
    told = Told(f"http://{address}:{server.server_port}/hook")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
