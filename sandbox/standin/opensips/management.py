"""The management interface (JSON-RPC over POST /mi, no log-in), answered from Kamailio's."""

import json
import secrets
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "3.4.18+sandbox1"


class KamailioError(Exception):
    """Kamailio does not answer or refuses."""


def ask_kamailio(run: Path, method: str, *arguments: str | int) -> Any:
    """The result of one command on Kamailio's socket."""
    mine = run / f"mi-{secrets.token_hex(8)}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.settimeout(3)
        try:
            link.bind(str(mine))
            asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(arguments)}
            link.sendto(json.dumps(asked).encode(), str(run / "rpc.sock"))
            answer = json.loads(link.recv(1 << 20))
        except OSError as error:
            raise KamailioError(f"{method}: {error}") from error
        finally:
            mine.unlink(missing_ok=True)
    if "error" in answer:
        raise KamailioError(f"{method}: {answer['error'].get('message')}")
    return answer.get("result")


def rtpengine_nodes(run: Path) -> list[dict[str, Any]]:
    """The rtpengine nodes in OpenSIPS' words; Kamailio writes `1(permanent)` into what is a number there."""
    found = ask_kamailio(run, "rtpengine.show", "all")
    rows = found if isinstance(found, list) else [found]
    nodes = [
        {"url": row["url"], "index": row["index"], "disabled": int(str(row["disabled"])[0]), "weight": row["weight"],
         "recheck_ticks": row["recheck_ticks"]}
        for row in rows
    ]
    return [{"set": 0, "Nodes": nodes}]


def enable_rtpengine(run: Path, url: str, enable: int) -> str:
    """MI `rtpengine_enable`: tests a node that is held for disabled, or disables one."""
    ask_kamailio(run, "rtpengine.enable", url, enable)
    return "OK"


def serve(address: tuple[str, int], commands: dict[str, Callable[..., Any]]) -> ThreadingHTTPServer:
    """The HTTP server of the interface; raises OSError when the address cannot be had."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """The real one logs no request."""

        def do_GET(self) -> None:
            """Only POST is answered with anything."""
            self.answer(405, {"error": "only POST"})

        def do_POST(self) -> None:
            """One command."""
            if self.path.rstrip("/") != "/mi":
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
                except KamailioError as error:
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
