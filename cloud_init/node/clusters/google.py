"""Google Cloud, asked by the machine itself: who it is, its account's token, and where the rules lead that forward the address
of SIP.

Sources: the discovery document of compute v1, revision 20261106 (forwardingRules.get, setTarget); Compute Engine, View and query
VM metadata, Authenticate workloads by service accounts; `facts/edge-google.md`. Standard library only.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from .ec2 import CALL_SECONDS, METADATA, METADATA_SECONDS, MoveError, exchange

HOST, ROOT = "compute.googleapis.com", "/compute/v1/"
INSTANCE = "/computeMetadata/v1/instance"
TOLD_CHARACTERS = 200


@dataclass(frozen=True)
class Machine:
    """What the metadata say: its name, and where it stands."""

    name: str
    zone: str

    def aim(self, rule: str) -> str:
        """Return what a rule leads to on this machine, by the path of the rule: the adapter calls it as machine and rule."""
        project = rule.partition("/regions/")[0]
        return f"{project}/zones/{self.zone}/targetInstances/{self.name}-{rule.rpartition('-')[2]}"


class Metadata:
    """The metadata service."""

    def __init__(self, host: str = METADATA, port: int = http.client.HTTP_PORT) -> None:
        self.host, self.port = host, port

    def get(self, name: str) -> str:
        """Return a value of the instance."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=METADATA_SECONDS)
        headers = {"Metadata-Flavor": "Google"}
        status, text = exchange(connection, "GET", f"{INSTANCE}/{name}", "", headers, METADATA_SECONDS, "metadata")
        if status == http.client.NOT_FOUND and name.startswith("service-accounts/"):
            raise MoveError("metadata: the machine has no service account; ./webitel up gives it one")
        if status != http.client.OK:
            raise MoveError(f"metadata: {name}: HTTP {status}")
        return text.strip()

    def look(self) -> Machine:
        """Return which machine this is."""
        return Machine(self.get("name"), self.get("zone").rpartition("/")[2])

    def find_token(self) -> str:
        """Return what the machine's account is let in by; the metadata server keeps it until it is nearly over."""
        try:
            said: dict[str, str] = json.loads(self.get("service-accounts/default/token"))
            return said["access_token"]
        except (ValueError, KeyError) as error:
            raise MoveError("metadata: no token of the machine's service account") from error


class Rules:
    """Forwarding rules, by their paths; `source` is the address from which Google is asked."""

    def __init__(self, metadata: Metadata, source: str) -> None:
        self.metadata, self.source = metadata, source

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        return http.client.HTTPSConnection(
            HOST, timeout=CALL_SECONDS, context=ssl.create_default_context(), source_address=(self.source, 0)
        )

    def find_target(self, rule: str) -> str:
        """Return the path of what a rule leads to, "" for nothing."""
        target = str(self.call("GET", rule).get("target", ""))
        return target[target.find("projects/") :] if "projects/" in target else target

    def aim(self, rule: str, target: str) -> None:
        """Have a rule lead to something; done some seconds after the answer, which `find_target` tells."""
        self.call("POST", f"{rule}/setTarget", {"target": target})

    def call(self, method: str, path: str, values: Mapping[str, str] | None = None) -> dict[str, object]:
        """Call compute v1. Raises MoveError with its reason and words where it does not do it."""
        who = f"Google: {path.rpartition('/regions/')[2]}"
        headers = {"Authorization": f"Bearer {self.metadata.find_token()}", "Content-Type": "application/json"}
        body = json.dumps(values) if values else ""
        status, text = exchange(self.connect(), method, ROOT + path, body, headers, CALL_SECONDS, who)
        try:
            said: dict[str, object] = json.loads(text)
        except ValueError as error:
            raise MoveError(f"{who}: HTTP {status}") from error
        # An operation that has failed already says so in an answer that is a good one else.
        if status != http.client.OK or said.get("error"):
            raise MoveError(f"{who}: HTTP {status}: {describe(said.get('error'))}")
        return said


def describe(error: object) -> str:
    """Return an error's words in one line."""
    if isinstance(error, dict):
        found = error.get("message") or next((one.get("message") for one in error.get("errors", ())), "")
        return " ".join(str(found).split())[:TOLD_CHARACTERS]
    return str(error)[:TOLD_CHARACTERS]
