"""A stand-in for Google's object storage: fake-gcs-server from its Go module answers for objects, and a server of ours before it
checks log-ins as Google's documentation has them (OAuth 2.0 for server to server applications): who wants a token signs for it
with an account's key, and a token that may only read changes nothing. Nothing here deletes softly."""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from components.model.settings import Settings
from provider.certificates import make_authority, sign_server
from stacks.load import load_deployment
from tests.sandbox.bucket import listens
from tests.sandbox.platform import free_port
from tests.waiting import wait_until
from tools.engine.go import get_go

MODULE = "github.com/fsouza/fake-gcs-server"
VERSION = "v1.56.1"
PROGRAM = "fake-gcs-server"
HOST, NAME = "localhost", "webitel"
EMAIL = "backup@simulated.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
READS = ("https://www.googleapis.com/auth/devstorage.read_only",)
WRITES = ("https://www.googleapis.com/auth/devstorage.read_write", "https://www.googleapis.com/auth/devstorage.full_control")


def build() -> Path:
    """The program, built once a machine."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "webitel" / f"{PROGRAM}-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / PROGRAM).exists():
            go = get_go(print)
            environment = {**go.environment, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
            subprocess.run([go.program, "install", f"{MODULE}@{VERSION}"], check=True, cwd=folder, env=environment)
    return folder / PROGRAM


def make_key(token_uri: str) -> tuple[str, rsa.RSAPublicKey]:
    """An account's key as Google hands it out, over several lines, and what its signatures are checked with."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    about = {"type": "service_account", "project_id": "simulated", "private_key_id": "1", "client_id": "1"}
    return json.dumps(
        about | {"private_key": pem.decode(), "client_email": EMAIL, "token_uri": token_uri}, indent=2
    ), key.public_key()


@dataclass
class GoogleStorage:
    """A running one with an empty bucket, its objects in memory; `key` opens it to do what `may` says: "", "read" or "write"."""

    folder: Path
    port: int
    key: str
    public: rsa.RSAPublicKey
    may: str = "write"
    tokens: dict[str, bool] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Methods and paths of what was done."""
    behind: int = field(default_factory=free_port)

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def list_names(self) -> list[str]:
        """What is in the bucket."""
        found = json.loads(self.ask("GET", f"/storage/v1/b/{NAME}/o?maxResults=5000", b"", {}).read())
        return sorted(item["name"] for item in found.get("items", ()))

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Ask the program behind, as nobody checks it."""
        there = http.client.HTTPConnection("127.0.0.1", self.behind, timeout=60)
        there.request(method, path, body, headers)
        return there.getresponse()

    def grant(self, text: str) -> tuple[int, dict[str, Any]]:
        """Answer who wants a token."""
        given = dict(urllib.parse.parse_qsl(text))
        signed, _, signature = given.get("assertion", "").rpartition(".")
        head, _, claim = signed.partition(".")
        try:
            self.public.verify(decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        wanted, now = json.loads(decode(claim)), time.time()
        whole = given.get("grant_type") == GRANT and json.loads(decode(head))["alg"] == "RS256" and wanted["iss"] == EMAIL
        if not whole or wanted["aud"] != json.loads(self.key)["token_uri"] or not now < wanted["exp"] <= now + 3605:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT."}
        scopes = wanted["scope"].split()
        if not scopes or not all(scope in (*READS, *WRITES) for scope in scopes):
            return 400, {"error": "invalid_scope", "error_description": wanted["scope"]}
        token = f"ya29.{len(self.tokens)}"
        self.tokens[token] = any(scope in WRITES for scope in scopes)
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": 3599}

    def refuse(self, token: str, method: str) -> tuple[int, str] | None:
        """Why a token may not do that; None = it may."""
        if token not in self.tokens:
            return 401, "Invalid Credentials"
        if not self.may or (method != "GET" and not (self.tokens[token] and self.may == "write")):
            return 403, f"{EMAIL} does not have storage.objects access to the Google Cloud Storage bucket."
        return None


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def make_handler(storage: GoogleStorage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while length := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(length))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def answer_json(self, status: int, told: dict[str, Any]) -> None:
            self.answer(status, json.dumps(told).encode(), {"Content-Type": "application/json"})

        def do_any(self) -> None:
            body = self.read_body()
            if self.path == "/token":
                self.answer_json(*storage.grant(body.decode()))
                return
            storage.asked.append((self.command, self.path))
            if why := storage.refuse(self.headers.get("Authorization", "").removeprefix("Bearer "), self.command):
                self.answer_json(why[0], {"error": {"code": why[0], "message": why[1], "errors": [{"reason": "forbidden"}]}})
                return
            # What was one connection here may be several there.
            dropped = ("host", "connection", "transfer-encoding", "content-length", "accept-encoding")
            found = storage.ask(
                self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in dropped}
            )
            told = {k: v for k, v in found.getheaders() if k.lower() not in ("content-length", "transfer-encoding", "connection")}
            self.answer(found.status, found.read(), told)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: `asked` says it."""

    return Handler


@contextmanager
def run_google_bucket(folder: Path) -> Iterator[GoogleStorage]:
    """An object storage on the loopback, with a certificate of its own authority."""
    folder.mkdir()
    port = free_port()
    storage = GoogleStorage(folder, port, *make_key(f"https://{HOST}:{port}/token"))
    authority, shown = make_authority()
    storage.authority.write_text(shown)
    own = folder / "own.pem"
    own.write_text(sign_server(authority, HOST))
    # It wants whole URLs to answer with, where something is sent in several pieces.
    outside = f"https://{HOST}:{storage.port}"
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(storage.behind), "-backend", "memory"]
    with (folder / "log").open("ab") as log:
        command = [
            str(build()),
            *options,
            "-external-url",
            outside,
            "-public-host",
            f"{HOST}:{storage.port}",
            "-data",
            "/nothing",
        ]
        program = subprocess.Popen(command, stdout=log, stderr=log)
    server = ThreadingHTTPServer(("127.0.0.1", storage.port), make_handler(storage))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        wait_until(lambda: listens(storage.behind), 20, PROGRAM)
        made = storage.ask("POST", "/storage/v1/b?project=simulated", json.dumps({"name": NAME}).encode(), {})
        assert made.status == 200, made.read()
        yield storage
    finally:
        server.shutdown()
        server.server_close()
        program.kill()
        program.wait()


def settings_with(storage: GoogleStorage) -> Settings:
    """The settings of `local-single`, backed up there."""
    return Settings.model_validate(
        load_deployment("local-single").settings.model_dump(exclude_unset=True)
        | {"backup": {"url": f"gs://{NAME}/kept", "authority": storage.authority.read_text()}, "backup_secret": "[secret]"}
    )
