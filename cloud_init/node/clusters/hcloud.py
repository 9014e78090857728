"""Hetzner Cloud, asked by the machine itself: the floating address of SIP, and the private one as an alias in the network.

Sources: Hetzner Cloud API reference (servers, floating IPs, actions, errors); hetznercloud/hcloud-go; `facts/edge-hetzner.md`.
Standard library only.
"""

import http.client
import json
import pathlib
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from typing import TypedDict

from ..manifest import Manifest
from .ec2 import MoveError, exchange

HOST, BASE = "api.hetzner.cloud", "/v1"
CALL_SECONDS, ACTION_SECONDS, LOOK_SECONDS = 5.0, 10.0, 0.5
"""For one answer, until its end; for what an answer only began; between two looks at that."""
SEE_SECONDS = 30.0
"""Between two looks at what was whole: two requests of the 3600 an hour that all who ask for the project have together."""
LIMITED_SECONDS = 15.0
"""Without a request after there were too many: one comes free each second, and a move takes up to ten."""
TOKEN = pathlib.Path("/etc/webitel/address-token")
RUNNING, FAILED = "running", "error"


class Place(TypedDict):
    """A server in a network (`private_net`)."""

    network: int
    ip: str
    alias_ips: list[str]


class Server(TypedDict):
    """What is used of a server."""

    id: int
    name: str
    private_net: list[Place]


class Fault(TypedDict):
    """Of an answer, or of what it began."""

    code: str
    message: str


class Action(TypedDict):
    """What a call began."""

    id: int
    status: str
    error: Fault | None


class FloatingIp(TypedDict):
    """What is used of a floating address."""

    server: int | None


class Answer(TypedDict, total=False):
    """Of every call, one of these."""

    action: Action
    error: Fault
    floating_ip: FloatingIp
    servers: list[Server]


class Api:
    """Hetzner's interface, over TLS; `source` is the address from which it is asked."""

    def __init__(self, source: str) -> None:
        self.source, self.free_at = source, 0.0

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        return http.client.HTTPSConnection(
            HOST, timeout=CALL_SECONDS, context=ssl.create_default_context(), source_address=(self.source, 0)
        )

    def call(self, method: str, path: str, values: Mapping[str, int | list[str]] | None = None) -> Answer:
        """Return what it says. Raises MoveError with its code and words where it does not do it."""
        who = f"Hetzner: {method} {path.partition('?')[0]}"
        if (wait := self.free_at - time.monotonic()) > 0:
            raise MoveError(f"{who}: rate_limit_exceeded: asked again in {wait:.0f} s")
        try:
            token = TOKEN.read_text().strip()
        except OSError as error:
            raise MoveError(f"{TOKEN}: {error}; ./webitel up puts webitel:address_token there") from error
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        body = json.dumps(values) if values is not None else ""
        status, text = exchange(self.connect(), method, BASE + path, body, headers, CALL_SECONDS, who)
        try:
            answer: Answer = json.loads(text)
        except ValueError:
            answer = {}
        if status not in (http.client.OK, http.client.CREATED) or not answer:
            if status == http.client.TOO_MANY_REQUESTS:
                self.free_at = time.monotonic() + LIMITED_SECONDS
            raise MoveError(f"{who}: {describe(answer.get('error')) or f'HTTP {status}'}")
        return answer

    def begin(self, path: str, values: Mapping[str, int | list[str]]) -> Action:
        """Begin an action."""
        return self.call("POST", path, values)["action"]

    def finish(self, action: Action) -> None:
        """Wait until it is done. Raises MoveError where it fails, or takes too long."""
        end = time.monotonic() + ACTION_SECONDS
        while action["status"] == RUNNING:
            if time.monotonic() > end:
                raise MoveError(f"Hetzner: action {action['id']} still runs after {ACTION_SECONDS:g} s")
            time.sleep(LOOK_SECONDS)
            action = self.call("GET", f"/actions/{action['id']}")["action"]
        if action["status"] == FAILED:
            raise MoveError(f"Hetzner: action {action['id']}: {describe(action['error']) or 'failed'}")


def describe(fault: Fault | None) -> str:
    """Return code and words on one line."""
    return f"{fault['code']}: {' '.join(fault['message'].split())[:200]}" if fault else ""


class Hetzner:
    """A floating address that the machine has on its own interface, and an alias of the server in the network. An alias does not
    come from another server by itself: it is taken off that first."""

    def __init__(self, manifest: Manifest) -> None:
        move = manifest["address_move"]
        self.address, self.own, self.name = manifest["sip_address"], manifest["address"], manifest["node"]
        self.floating = f"/floating_ips/{move['handle']}"
        labels = f"stack={manifest['stack']},role={manifest['key'].rpartition('-')[0]}"
        self.servers = f"/servers?{urllib.parse.urlencode({'label_selector': labels})}"
        self.api = Api(move["beside"])
        self.whole_at = 0.0

    def move(self) -> None:
        """Have both here, whoever has them."""
        self.whole_at = 0.0
        self.take()

    def complete(self) -> bool:
        """Look whether both are here, now and then; take what is not."""
        if not self.whole_at or time.monotonic() - self.whole_at >= SEE_SECONDS:
            self.whole_at = 0.0
            if self.take():
                print(f"{self.address} or its public address was elsewhere", flush=True)
            self.whole_at = time.monotonic()
        return True

    def take(self) -> bool:
        """Have both here; tell whether anything had to be done. What is begun is also ended, so that nothing comes late."""
        others = {server["name"]: server for server in self.api.call("GET", self.servers)["servers"]}
        mine = others.pop(self.name, None)
        if mine is None:
            raise MoveError(f"Hetzner: no server {self.name} has the labels that ./webitel up gave it")
        begun = []
        if self.api.call("GET", self.floating)["floating_ip"]["server"] != mine["id"]:
            begun.append(self.api.begin(f"{self.floating}/actions/assign", {"server": mine["id"]}))
        place = next((one for one in mine["private_net"] if one["ip"] == self.own), None)
        if place is None:
            raise MoveError(f"Hetzner: {self.name} is in no network with {self.own}")
        done = bool(begun)
        for server in others.values():
            for other in server["private_net"]:
                if other["network"] == place["network"] and self.address in other["alias_ips"]:
                    self.change(server, other, [one for one in other["alias_ips"] if one != self.address])
        if self.address not in place["alias_ips"]:
            self.change(mine, place, [*place["alias_ips"], self.address])
            done = True
        for action in begun:
            self.api.finish(action)
        return done

    def change(self, server: Server, place: Place, addresses: list[str]) -> None:
        """Give a server these aliases in a network in place of all that it has there."""
        values: dict[str, int | list[str]] = {"network": place["network"], "alias_ips": addresses}
        self.api.finish(self.api.begin(f"/servers/{server['id']}/actions/change_alias_ips", values))
