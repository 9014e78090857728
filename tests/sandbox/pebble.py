"""Pebble, the test server of the makers of Let's Encrypt, from its Go module: a real ACME server that signs for who answers."""

from __future__ import annotations

import fcntl
import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provider.certificates import make_authority, sign_server
from tests.sandbox.platform import free_port
from tests.waiting import wait_until
from tools.engine.go import get_go

MODULE = "github.com/letsencrypt/pebble/v2"
VERSION = "v2.10.3"
PROGRAMS = ("pebble", "pebble-challtestsrv")


def build() -> Path:
    """The folder with the programs, built once a machine."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "webitel" / f"pebble-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not all((folder / name).exists() for name in PROGRAMS):
            go = get_go(print)
            wanted = [f"{MODULE}/cmd/{name}@{VERSION}" for name in PROGRAMS]
            environment = {**go.environment, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
            subprocess.run([go.program, "install", *wanted], check=True, cwd=folder, env=environment)
    return folder


@dataclass(frozen=True)
class Pebble:
    """A running one: its directory, the authority that its own certificate is of, and where DNS of its world is changed."""

    url: str
    authority: Path
    management: int
    dns: int

    def root(self) -> str:
        """The certificate at the end of what it signs."""
        context = ssl.create_default_context(cafile=str(self.authority))
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=context) as answer:
            return str(answer.read().decode())

    def lead(self, host: str, address: str) -> None:
        """Have a name lead to an address."""
        body = json.dumps({"host": f"{host}.", "addresses": [address]}).encode()
        for step in ("clear-a", "add-a"):
            urllib.request.urlopen(f"http://127.0.0.1:{self.dns}/{step}", body).close()


@contextmanager
def run_pebble(folder: Path, http: int) -> Iterator[Pebble]:
    """A server that asks nginx on that port for its answers."""
    programs = build()
    folder.mkdir()
    authority, shown = make_authority()
    own = sign_server(authority, "localhost")
    (folder / "authority.pem").write_text(shown)
    (folder / "own.pem").write_text(own)
    acme, management, dns, names = free_port(), free_port(), free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{acme}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(folder / "own.pem"),
        "privateKey": str(folder / "own.pem"),
        "httpPort": http,
        "tlsPort": free_port(),
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "ninety days", "validityPeriod": 90 * 86400}},
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    off = [word for name in ("http01", "https01", "tlsalpn01", "doh") for word in (f"-{name}", "")]
    commands = (
        ["pebble-challtestsrv", "-management", f"127.0.0.1:{dns}", "-dnsserver", f"127.0.0.1:{names}", *off, "-defaultIPv6", ""],
        ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{names}"],
    )
    running = []
    try:
        for name, *options in commands:
            with (folder / name).open("w") as log:
                environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1"}
                running.append(subprocess.Popen([programs / name, *options], stdout=log, stderr=log, env=environment))
        made = Pebble(f"https://localhost:{acme}/dir", folder / "authority.pem", management, dns)
        wait_until(lambda: "Listening on" in (folder / "pebble").read_text(), 20, "pebble")
        yield made
    finally:
        for process in running:
            process.kill()
            process.wait()
