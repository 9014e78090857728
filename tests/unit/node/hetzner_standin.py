"""A stand-in for Hetzner Cloud's interface: no Hetzner. Its paths, fields and error codes are those of the vendor's own client
(hetznercloud/hcloud-go at b8cfa39), what it does with an alias that another server has `facts/edge-hetzner.md`."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cloud_init.node.clusters import hcloud
from tests.unit.node.answering import Answering, answer_by

TOKEN, FLOATING, NETWORK, ADDRESS, PUBLIC = "t" * 64, 77, 5, "10.0.0.9", "198.19.0.9"
SERVERS = {11: "s-edge-1", 12: "s-edge-2"}
STATUS = {"unauthorized": 401, "token_readonly": 403, "locked": 423, "rate_limit_exceeded": 429, "ip_not_available": 422}


class Cloud:
    """Which server has which aliases, and to which the floating address leads; `calls` are all changes that were begun.

    `refuses`: error code by the end of a path. `fails`: code with which an action ends later. `hangs`: ends of paths that get no
    answer. `running`: how often an action is told to run still. `reads_only`: what the token may.
    """

    def __init__(self) -> None:
        self.aliases: dict[int, list[str]] = {11: [], 12: ["10.0.0.77"]}
        self.leads_to: int | None = None
        self.calls: list[str] = []
        self.refuses: dict[str, str] = {}
        self.fails: dict[str, str] = {}
        self.hangs: set[str] = set()
        self.running, self.looked, self.asked = 0, 0, 0
        self.token, self.reads_only, self.names, self.released = TOKEN, False, dict(SERVERS), threading.Event()

    def refuse(self, method: str, path: str, token: str) -> str:
        if token != f"Bearer {self.token}":
            return "unauthorized"
        if self.reads_only and method == "POST":
            return "token_readonly"
        return next((code for end, code in self.refuses.items() if path.endswith(end)), "")

    def get(self, path: str, query: dict[str, list[str]]) -> object:
        if path == "/v1/servers":
            assert query == {"label_selector": ["stack=s,role=edge"]}
            own = {11: "10.0.0.1", 12: "10.0.0.2"}
            return {
                "servers": [
                    {"id": id, "name": name, "private_net": [{"network": NETWORK, "ip": own[id], "alias_ips": self.aliases[id]}]}
                    for id, name in self.names.items()
                ]
            }
        if path == f"/v1/floating_ips/{FLOATING}":
            return {"floating_ip": {"id": FLOATING, "server": self.leads_to}}
        number = re.fullmatch(r"/v1/actions/(\d+)", path)
        assert number, path
        self.looked += 1
        return {"action": self.tell(int(number[1]), self.looked <= self.running)}

    def tell(self, number: int, runs: bool) -> object:
        path = self.calls[number].split()[0]
        code = next((code for end, code in self.fails.items() if path.endswith(end)), "")
        error = {"code": code, "message": "what\nHetzner says"} if code else None
        return {"id": number, "status": "running" if runs else "error" if code else "success", "error": error}

    def post(self, path: str, values: dict[str, object]) -> object | str:
        """What was begun, or the code of an error."""
        if path == f"/v1/floating_ips/{FLOATING}/actions/assign":
            server = values["server"]
            assert isinstance(server, int) and list(values) == ["server"]
            self.calls.append(f"{path} {server}")
            if not self.fails:
                self.leads_to = server
        else:
            number = re.fullmatch(r"/v1/servers/(\d+)/actions/change_alias_ips", path)
            wanted = values["alias_ips"]
            assert number and isinstance(wanted, list) and values["network"] == NETWORK and len(values) == 2
            id = int(number[1])
            if any(one in found for other, found in self.aliases.items() if other != id for one in wanted):
                return "ip_not_available"
            self.calls.append(f"{path} {','.join(wanted)}")
            self.aliases[id] = wanted
        return {"action": self.tell(len(self.calls) - 1, bool(self.running or self.fails))}


@contextmanager
def serve(cloud: Cloud, place: tuple[str, int] = ("127.0.0.1", 0), tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve it; gives the port."""

    class Handler(Answering):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            self.do("GET", path, lambda: cloud.get(path, urllib.parse.parse_qs(query)))

        def do_POST(self) -> None:
            values = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.do("POST", self.path, lambda: cloud.post(self.path, values))

        def do(self, method: str, path: str, what: Callable[[], object]) -> None:
            cloud.asked += 1
            if any(path.endswith(end) for end in cloud.hangs):
                cloud.released.wait(60)
            said = cloud.refuse(method, path, self.headers["Authorization"]) or what()
            if isinstance(said, str):
                self.answer(STATUS.get(said, 500), {"error": {"code": said, "message": "what\nHetzner says"}})
            else:
                self.answer(201 if method == "POST" else 200, said)

        def answer(self, status: int, said: object) -> None:
            self.say(status, json.dumps(said))

    with answer_by(Handler, cloud.released, place, tls) as port:
        yield port


class Api(hcloud.Api):
    """Without TLS, at the stand-in's port."""

    def __init__(self, port: int) -> None:
        super().__init__("127.0.0.1")
        self.port = port

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=hcloud.CALL_SECONDS)
