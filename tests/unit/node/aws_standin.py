"""A stand-in for a machine's metadata and for EC2's query interface, in one server: no AWS. It does what the EC2 API Reference
says of AssignPrivateIpAddresses and AssociateAddress, and what `facts/edge-aws.md` has from moto and from documentation."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_init.node.clusters import ec2
from tests.unit.node.answering import Answering, answer_by

SECRET, TOKEN, REGION, ROLE = "secret", "session", "eu-central-1", "s-sip-eu-central-1"
PUBLIC, ALLOCATION, ADDRESS = "198.19.0.9", "eipalloc-1", "10.0.0.9"
INTERFACES = ("eni-1", "eni-2")


class Cloud:
    """Which interface has which addresses, and with what the public one is associated; `calls` are all that were done.

    `refuses`: code of an error by action. `hangs`: actions, or `metadata`, that get no answer. `late`: what the metadata say is
    as it was before the last change. `rights`: action and resource that the role has, None = every one.
    """

    def __init__(self) -> None:
        self.addresses = {"eni-1": ["10.0.0.1"], "eni-2": ["10.0.0.2"]}
        self.associated: tuple[str, str] | None = None
        self.calls: list[str] = []
        self.refuses: dict[str, str] = {}
        self.hangs: set[str] = set()
        self.rights: set[tuple[str, str]] | None = None
        self.late: dict[str, list[str]] | None = None
        self.has_role, self.released = True, threading.Event()

    def call(self, values: dict[str, str]) -> str:
        """Do what EC2 does; "" or the code of an error."""
        action, interface = values["Action"], values["NetworkInterfaceId"]
        if code := self.refuses.get(action):
            return code
        resources = [interface, *([values["AllocationId"]] if "AllocationId" in values else [])]
        if self.rights is not None and not {(action, one) for one in resources} <= self.rights:
            return "UnauthorizedOperation"
        self.calls.append(f"{action} {interface}")
        if action == "AssignPrivateIpAddresses":
            self.assign(interface, values["PrivateIpAddress.1"], values.get("AllowReassignment") == "true")
        elif values["PrivateIpAddress"] not in self.addresses[interface]:
            return "InvalidParameterValue"
        else:
            self.associated = interface, values["PrivateIpAddress"]
        return ""

    def assign(self, interface: str, address: str, moves: bool) -> None:
        """An address that an interface has comes with what is associated with it."""
        assert moves, "EC2 refuses what another interface has"
        for other in self.addresses.values():
            if address in other:
                other.remove(address)
        self.addresses[interface].append(address)
        if self.associated and self.associated[1] == address:
            self.associated = interface, address

    def tell(self, interface: str, path: str) -> str | None:
        """What the metadata of an interface's machine say."""
        at = f"network/interfaces/macs/02:00:00:00:00:0{interface[-1]}/"
        tied = [self.associated[1]] if self.associated and self.associated[0] == interface else []
        known = {
            "mac": at.split("/")[3],
            f"{at}interface-id": interface,
            f"{at}local-ipv4s": "\n".join((self.late or self.addresses)[interface]),
            f"{at}ipv4-associations/{PUBLIC}": "\n".join(tied) or None,
            "placement/region": REGION,
            "services/domain": "amazonaws.com",
            "iam/security-credentials/": ROLE if self.has_role else None,
            f"iam/security-credentials/{ROLE}": json.dumps({"AccessKeyId": "id", "SecretAccessKey": SECRET, "Token": TOKEN}),
        }
        return known.get(path)


@contextmanager
def serve(cloud: Cloud, interface: str) -> Iterator[int]:
    """Serve the machine with an interface; gives the port."""

    class Handler(Answering):
        def do_PUT(self) -> None:
            assert self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            self.say(200, "a token")

        def do_GET(self) -> None:
            if "metadata" in cloud.hangs:
                cloud.released.wait(60)
            said = cloud.tell(interface, self.path.removeprefix("/latest/meta-data/"))
            status = 401 if self.headers["X-aws-ec2-metadata-token"] != "a token" else 404 if said is None else 200
            self.say(status, said or "")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            values = dict(urllib.parse.parse_qsl(body, strict_parsing=True))
            if values["Action"] in cloud.hangs:
                cloud.released.wait(60)
            if "trickles" in cloud.hangs:
                self.trickle()
                return
            code = cloud.call(values) if self.is_signed(body) else "AuthFailure"
            words = f"<Errors><Error><Code>{code}</Code><Message>what EC2\nsays</Message></Error></Errors>"
            self.say(400 if code else 200, f"<Response>{words}</Response>" if code else "<return>true</return>")

        def is_signed(self, body: str) -> bool:
            names = re.search(r"SignedHeaders=([^,]+), Signature=(\w+)", self.headers["Authorization"])
            assert names
            headers = {name: self.headers[name] for name in names[1].split(";")}
            stamp = headers["x-amz-date"]
            wanted, _ = ec2.make_signature(SECRET, REGION, "ec2", stamp, ("POST", "/", ""), headers, body)
            return wanted == names[2] and headers["x-amz-security-token"] == TOKEN

        def trickle(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while not cloud.released.is_set():
                    self.wfile.write(b".")
                    self.wfile.flush()
                    time.sleep(0.01)
            except OSError:
                self.close_connection = True

    with answer_by(Handler, cloud.released) as port:
        yield port


class Ec2(ec2.Ec2):
    """Without TLS, at the stand-in's port."""

    def connect(self, host: str) -> http.client.HTTPConnection:
        assert host == f"ec2.{REGION}.amazonaws.com"
        return http.client.HTTPConnection("127.0.0.1", self.metadata.port, timeout=ec2.CALL_SECONDS)
