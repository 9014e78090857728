"""Candidates for a lock ask one another directly, without Consul."""

import contextlib
import http.client
import http.server
import json
import threading
import urllib.request

from .locks import Lease

ANSWER_SECONDS = 1.0


def serve(address: str, port: int, leases: dict[str, Lease]) -> http.server.ThreadingHTTPServer:
    """Answer the other candidates in a thread: `/` that this program runs, `/<service>` whether this node stands by."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path[1:]
            found = True if not name else leases[name].stands_by() if name in leases else None
            body = json.dumps(found).encode()
            # Who asked waits for no more than a second; what the library would write of that into the journal is forty lines.
            with contextlib.suppress(ConnectionError):
                self.send_response(http.HTTPStatus.NOT_FOUND if found is None else http.HTTPStatus.OK)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing: candidates ask each other every other second."""

    server = http.server.ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def ask_peer(address: str, port: int, name: str) -> bool | None:
    """Return what another candidate's program says; None where it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/{name}", timeout=ANSWER_SECONDS) as answer:
            return bool(json.loads(answer.read()))
    except (OSError, http.client.HTTPException, ValueError):
        return None
