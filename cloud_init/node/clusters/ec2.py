"""AWS, asked by the machine itself: what its metadata say of its interface, and EC2's two calls that move the address of SIP.

Sources: the EC2 User Guide (metadata by token, categories), the EC2 API Reference (AssignPrivateIpAddresses, AssociateAddress),
the IAM User Guide (Signature Version 4); `facts/edge-aws.md`. Standard library only.
"""

import datetime
import hashlib
import hmac
import http.client
import json
import re
import ssl
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

METADATA = "169.254.169.254"
METADATA_SECONDS, CALL_SECONDS = 2.0, 5.0
"""For one answer, until its end."""
TOKEN_SECONDS = 300
ANSWER_BYTES = 65_536
SERVICE, API_VERSION, ALGORITHM = "ec2", "2016-11-15", "AWS4-HMAC-SHA256"
CONTENT_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


class MoveError(Exception):
    """The cloud did not answer, or refused; the text is for the operator."""


@dataclass(frozen=True)
class Keys:
    """What the machine's role signs with, for some hours."""

    id: str
    secret: str = field(repr=False)
    token: str = field(repr=False, default="")


@dataclass(frozen=True)
class Machine:
    """What the metadata say: the interface, its private addresses, and with which of them a public one is associated."""

    interface: str
    addresses: tuple[str, ...]
    associated: tuple[str, ...]


class Metadata:
    """The metadata service, asked with a token (IMDSv2)."""

    def __init__(self, host: str = METADATA, port: int = http.client.HTTP_PORT) -> None:
        self.host, self.port = host, port

    def ask(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        """Return what it says, "" for what it does not have."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=METADATA_SECONDS)
        status, text = exchange(connection, method, path, "", headers, METADATA_SECONDS, "metadata")
        if status not in (http.client.OK, http.client.NOT_FOUND):
            raise MoveError(f"metadata: {path}: HTTP {status}")
        return text if status == http.client.OK else ""

    def get(self, *names: str) -> list[str]:
        """Return the values of several categories."""
        token = self.ask("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)})
        return [self.ask("GET", f"/latest/meta-data/{name}", {"X-aws-ec2-metadata-token": token}).strip() for name in names]

    def look(self, public: str) -> Machine:
        """Return what the machine's first interface has."""
        (mac,) = self.get("mac")
        at = f"network/interfaces/macs/{mac}"
        interface, addresses, associated = self.get(f"{at}/interface-id", f"{at}/local-ipv4s", f"{at}/ipv4-associations/{public}")
        return Machine(interface, tuple(addresses.split()), tuple(associated.split()))

    def find_endpoint(self) -> tuple[str, str]:
        """Return where EC2 answers for the machine's region, and the region."""
        region, domain = self.get("placement/region", "services/domain")
        return f"ec2.{region}.{domain or 'amazonaws.com'}", region

    def find_keys(self) -> Keys:
        """Return the keys of the machine's role."""
        (role,) = self.get("iam/security-credentials/")
        if not role:
            raise MoveError("metadata: the machine has no role; ./webitel up gives it one")
        (text,) = self.get(f"iam/security-credentials/{role.split()[0]}")
        try:
            said: dict[str, str] = json.loads(text)
            return Keys(said["AccessKeyId"], said["SecretAccessKey"], said["Token"])
        except (ValueError, KeyError) as error:
            raise MoveError(f"metadata: no keys of role {role}") from error


class Ec2:
    """EC2's query interface, over TLS; `source` is the address from which it is asked."""

    def __init__(self, metadata: Metadata, source: str) -> None:
        self.metadata, self.source = metadata, source

    def connect(self, host: str) -> http.client.HTTPConnection:
        """Return a connection that is not open yet."""
        return http.client.HTTPSConnection(
            host, timeout=CALL_SECONDS, context=ssl.create_default_context(), source_address=(self.source, 0)
        )

    def assign(self, interface: str, address: str) -> None:
        """Have a private address at an interface, whoever has it; a public one that is associated with it comes along."""
        self.call(
            "AssignPrivateIpAddresses",
            {"AllowReassignment": "true", "NetworkInterfaceId": interface, "PrivateIpAddress.1": address},
        )

    def associate(self, interface: str, address: str, allocation: str) -> None:
        """Associate a public address with that private one, whatever it was associated with."""
        self.call(
            "AssociateAddress",
            {
                "AllocationId": allocation,
                "AllowReassociation": "true",
                "NetworkInterfaceId": interface,
                "PrivateIpAddress": address,
            },
        )

    def call(self, action: str, arguments: Mapping[str, str]) -> None:
        """Call EC2. Raises MoveError with its code and words where it does not do it."""
        host, region = self.metadata.find_endpoint()
        body = urllib.parse.urlencode({"Action": action, "Version": API_VERSION, **arguments}, quote_via=urllib.parse.quote)
        headers = sign(self.metadata.find_keys(), region, host, body, datetime.datetime.now(datetime.UTC))
        status, text = exchange(self.connect(host), "POST", "/", body, headers, CALL_SECONDS, f"EC2: {action}")
        if status != http.client.OK:
            code, said = (re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL) for name in ("Code", "Message"))
            told = f"{code[1]}: {' '.join(said[1].split())[:200]}" if code and said else f"HTTP {status}"
            raise MoveError(f"EC2: {action}: {told}")


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str,
    headers: Mapping[str, str],
    seconds: float,
    who: str,
) -> tuple[int, str]:
    """Return status and text of an answer. Raises MoveError where it does not come in time, a byte a second included."""
    end = time.monotonic() + seconds
    try:
        connection.request(method, path, body or None, dict(headers))
        answer, text = connection.getresponse(), b""
        while len(text) < ANSWER_BYTES and (part := answer.read1(ANSWER_BYTES)):
            text += part
            if time.monotonic() > end:
                raise TimeoutError(f"no whole answer within {seconds:g} s")
        return answer.status, text.decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise MoveError(f"{who}: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()


def sign(keys: Keys, region: str, host: str, body: str, now: datetime.datetime) -> dict[str, str]:
    """Return the headers of a POST to `/` that is signed by Signature Version 4."""
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    headers = {"content-type": CONTENT_TYPE, "host": host, "x-amz-date": stamp}
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    signature, signed = make_signature(keys.secret, region, SERVICE, stamp, ("POST", "/", ""), headers, body)
    scope = f"{stamp[:8]}/{region}/{SERVICE}/aws4_request"
    headers["authorization"] = f"{ALGORITHM} Credential={keys.id}/{scope}, SignedHeaders={signed}, Signature={signature}"
    return headers


def make_signature(
    secret: str, region: str, name: str, stamp: str, what: tuple[str, str, str], headers: Mapping[str, str], body: str
) -> tuple[str, str]:
    """Return the signature of a request to a service of that name (method, path and query as they are sent), and which headers it
    covers."""
    scope = f"{stamp[:8]}/{region}/{name}/aws4_request"
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
    whole = "\n".join([*what, lines, names, hashlib.sha256(body.encode()).hexdigest()])
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(whole.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (stamp[:8], region, name, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), names
