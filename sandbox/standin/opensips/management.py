"""The management interface: JSON-RPC over POST, no log-in."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

VERSION = "3.4.18+sandbox2"
Command = Callable[..., Any]


class CommandError(Exception):
    """A command refuses; the text is the answer's message."""


def serve(address: tuple[str, int], root: str, commands: dict[str, Command]) -> ThreadingHTTPServer:
    """The HTTP server of the interface; raises OSError when the address cannot be had."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The real one logs no request."""

        def do_GET(self) -> None:
            """Only POST is answered with anything."""
            self.answer(405, {"error": "only POST"})

        def do_POST(self) -> None:
            """One command."""
            if self.path.strip("/") != root:
                self.answer(404, {"error": "no such page"})
                return
            try:
                asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                command = commands.get(asked["method"])
            except (ValueError, KeyError, TypeError):
                self.answer(400, {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None})
                return
            said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.get("id")}
            if command is None:
                said["error"] = {"code": -32601, "message": "Method not found"}
            else:
                given = asked.get("params", {})
                try:
                    said["result"] = command(**given) if isinstance(given, dict) else command(*given)
                except TypeError:
                    said["error"] = {"code": -32602, "message": "Invalid params"}
                except Exception as error:
                    said["error"] = {"code": 500, "message": str(error)}
            self.answer(200, said)

        def answer(self, status: int, body: Any) -> None:
            """A JSON answer."""
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    ThreadingHTTPServer.daemon_threads = True
    return ThreadingHTTPServer(address, Handler)
