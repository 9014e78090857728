"""The part of DigitalOcean's own interface that our command line asks: no function of the provider lists firewalls."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.simulator.world import World

FIREWALL = "digitalocean:index/firewall:Firewall"


class Interface:
    """A server on the loopback until `stop()`; `environment` leads to it."""

    def __init__(self, world: World) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.path.startswith("/v2/firewalls") and len(self.headers.get("Authorization", "").split()) == 2
                firewalls = [{"id": thing.id, "name": thing.get("name")} for thing in world.all(FIREWALL)]
                body = json.dumps({"firewalls": firewalls, "links": {}} if known else {"id": "unauthorized"}).encode()
                self.send_response(200 if known else 401)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.environment = {
            "DIGITALOCEAN_API_URL": f"http://127.0.0.1:{self.server.server_port}", "DIGITALOCEAN_TOKEN": "simulated"}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
