"""A stand-in for a machine's metadata and for compute v1, in one server: no Google. It does what the discovery document of
compute v1 (revision 20261106) says of forwardingRules.get and setTarget, and what `facts/edge-google.md` has from documentation.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_init.node.clusters import google
from cloud_init.node.clusters.ec2 import CALL_SECONDS
from tests.unit.node.answering import Answering, answer_by

TOKEN = "a token"
RULES = tuple(f"projects/p/regions/europe-west3/forwardingRules/s-sip-{side}" for side in ("outside", "tcp", "udp"))
MACHINES = ("s-edge-1", "s-edge-2")
SELF = "https://www.googleapis.com/compute/v1/"
GET, SET, USE = "compute.forwardingRules.get", "compute.forwardingRules.setTarget", "compute.targetInstances.use"
PATH = re.compile(r"/compute/v1/(projects/[^/]+/regions/[^/]+/forwardingRules/[^/]+?)(/setTarget)?")


class Cloud:
    """Where the rules lead; `calls` are the changes that were asked for.

    `refuses`: status and words by the last word of a rule. `fails`: rules whose operation ends in an error. `hangs`: `metadata`
    or the last word of a rule. `late`: changes are only done by `settle`. `rights`: what the account may do.
    """

    def __init__(self) -> None:
        self.targets = {rule: aim(MACHINES[0], rule) for rule in RULES}
        self.calls: list[str] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        self.fails: set[str] = set()
        self.hangs: set[str] = set()
        self.rights = {GET, SET, USE}
        self.late: dict[str, str] | None = None
        self.has_account, self.released = True, threading.Event()

    def settle(self) -> None:
        """What was asked for is done."""
        self.targets |= self.late or {}
        self.late = None

    def where(self) -> set[str]:
        """The machines to which the rules lead."""
        return {target.rpartition("/")[2].rpartition("-")[0] for target in self.targets.values()}

    def read(self, rule: str) -> tuple[int, dict[str, object]]:
        if GET not in self.rights:
            return 403, refuse(403, f"Required '{GET}' permission for '{rule}'")
        return 200, {"kind": "compute#forwardingRule", "selfLink": SELF + rule, "target": SELF + self.targets[rule]}

    def aim(self, rule: str, target: str) -> tuple[int, dict[str, object]]:
        side = rule.rpartition("-")[2]
        if missing := {SET, USE} - self.rights:
            return 403, refuse(403, f"Required '{min(missing)}' permission")
        if side in self.refuses:
            return self.refuses[side][0], refuse(*self.refuses[side])
        self.calls.append(f"{side} {target.rpartition('/')[2]}")
        operation: dict[str, object] = {"kind": "compute#operation", "operationType": "setTarget", "status": "RUNNING"}
        if side in self.fails:
            return 200, {**operation, "status": "DONE", "error": {"errors": [{"code": "X", "message": "it failed\nlater"}]}}
        if self.late is None:
            self.targets[rule] = target
        else:
            self.late[rule] = target
        return 200, operation


def aim(machine: str, rule: str) -> str:
    """What a rule leads to on a machine."""
    return f"projects/p/zones/europe-west3-a/targetInstances/{machine}-{rule.rpartition('-')[2]}"


def refuse(status: int, words: str) -> dict[str, object]:
    """An error as Google's interfaces write one."""
    return {"error": {"code": status, "message": words, "errors": [{"message": words, "reason": "forbidden"}]}}


@contextmanager
def serve(cloud: Cloud, machine: str) -> Iterator[int]:
    """Serve a machine; gives the port."""

    class Handler(Answering):
        def do_GET(self) -> None:
            if self.path.startswith("/computeMetadata/"):
                self.tell()
                return
            found = PATH.fullmatch(self.path)
            assert found and not found[2]
            self.answer(*(cloud.read(found[1]) if self.is_let_in() else (401, refuse(401, "Invalid Credentials"))))

        def do_POST(self) -> None:
            found = PATH.fullmatch(self.path)
            assert found and found[2]
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert list(body) == ["target"] and self.headers["Content-Type"] == "application/json"
            if found[1].rpartition("-")[2] in cloud.hangs:
                cloud.released.wait(60)
            self.answer(*(cloud.aim(found[1], body["target"]) if self.is_let_in() else (401, refuse(401, "Invalid Credentials"))))

        def is_let_in(self) -> bool:
            return bool(self.headers["Authorization"] == f"Bearer {TOKEN}")

        def tell(self) -> None:
            if "metadata" in cloud.hangs:
                cloud.released.wait(60)
            known = {
                "name": machine,
                "zone": "projects/1234/zones/europe-west3-a",
                "service-accounts/default/token": json.dumps({"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"}),
            }
            if not cloud.has_account:
                del known["service-accounts/default/token"]
            said = known.get(self.path.removeprefix("/computeMetadata/v1/instance/"))
            self.say(403 if self.headers["Metadata-Flavor"] != "Google" else 404 if said is None else 200, said or "")

        def answer(self, status: int, values: dict[str, object]) -> None:
            self.say(status, json.dumps(values))

    with answer_by(Handler, cloud.released) as port:
        yield port


class Rules(google.Rules):
    """Without TLS, at the stand-in's port."""

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.metadata.port, timeout=CALL_SECONDS)
