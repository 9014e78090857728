"""Requests to an S3-compatible storage, signed as AWS documents it (Signature Version 4): what no program of ours asks for."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from tests.sandbox.bucket import NAME, ObjectStorage

REGION = "us-east-1"


@dataclass(frozen=True)
class Answer:
    """What was answered; names of headers are small."""

    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True)
class Client:
    """Somebody with a key."""

    storage: ObjectStorage
    key: str
    secret: str

    def ask(self, method: str, path: str = "", query: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask something of the bucket, or of an object in it."""
        now, place = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), quote(f"/{NAME}/{path}" if path else f"/{NAME}")
        asked = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted((query or {}).items()))
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": f"{self.storage.host}:{self.storage.port}", "x-amz-content-sha256": digest, "x-amz-date": now}
        names, scope = ";".join(headers), f"{now[:8]}/{REGION}/s3/aws4_request"
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        whole = "\n".join((method, place, asked, lines, names, digest))
        text = "\n".join(("AWS4-HMAC-SHA256", now, scope, hashlib.sha256(whole.encode()).hexdigest()))
        own = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            own = hmac.digest(own, part.encode(), "sha256")
        signed = hmac.new(own, text.encode(), "sha256").hexdigest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={signed}"
        context = ssl.create_default_context(cafile=str(self.storage.authority))
        connection = http.client.HTTPSConnection(self.storage.host, self.storage.port, context=context, timeout=60)
        connection.request(method, f"{place}?{asked}" if asked else place, body or None, headers)
        answer = connection.getresponse()
        try:
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode(errors="replace"))
        finally:
            connection.close()
