"""An S3-compatible object storage from its Go module (versitygw): it checks log-ins and signatures, and objects are files."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.model.settings import Settings
from provider.certificates import make_authority, sign_server
from stacks.load import load_deployment
from tests.sandbox.platform import free_port
from tests.waiting import wait_until
from tools.engine.go import get_go

MODULE = "github.com/versity/versitygw"
VERSION = "v1.8.0"
PROGRAM = "versitygw"
HOST, NAME = "localhost", "webitel"
KEY, SECRET = "test-access", "test-secret-key"


def settings_with(storage: ObjectStorage) -> Settings:
    """The settings of `local-single`, backed up there."""
    return Settings.model_validate(
        load_deployment("local-single").settings.model_dump(exclude_unset=True)
        | {
            "backup": {"url": storage.url, "authority": storage.authority.read_text()},
            "backup_key": "[secret]",
            "backup_secret": "[secret]",
        }
    )


def build() -> Path:
    """The program, built once a machine."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "webitel" / f"{PROGRAM}-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / PROGRAM).exists():
            go = get_go(print)
            environment = {**go.environment, "GOBIN": str(folder), "GOFLAGS": "-mod=mod"}
            wanted = f"{MODULE}/cmd/{PROGRAM}@{VERSION}"
            subprocess.run([go.program, "install", wanted], check=True, cwd=folder, env=environment)
    return folder / PROGRAM


@dataclass
class ObjectStorage:
    """A running one with an empty bucket. It can be ended and started again; its objects are files. With
    `versions` it can keep those and knows further users, and its bucket is made by whoever wants one."""

    folder: Path
    port: int
    running: subprocess.Popen[bytes] | None = None
    host: str = HOST
    address: str = "127.0.0.1"
    versions: bool = False

    @property
    def url(self) -> str:
        """What `webitel:backup.url` says."""
        return f"https://{self.host}:{self.port}/{NAME}/kept"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def objects(self) -> Path:
        return self.folder / "objects" / NAME

    def start(self) -> None:
        own, log = str(self.folder / "own.pem"), self.folder / "log"
        options = ["--port", f"{self.address}:{self.port}", "--cert", own, "--key", own, "--access", KEY, "--secret", SECRET]
        with log.open("ab") as target:
            users = ["--iam-dir", str(self.folder / "users")] if self.versions else []
            kept = ["--versioning-dir", str(self.folder / "versions")] if self.versions else []
            place = ["--sidecar", str(self.folder / "sidecar"), *kept, str(self.folder / "objects")]
            command = [str(build()), *options, *users, "posix", *place]
            self.running = subprocess.Popen(command, stdout=target, stderr=target)
        wait_until(lambda: listens(self.port), 20, PROGRAM)

    def stop(self) -> None:
        if self.running:
            self.running.kill()
            self.running.wait()
            self.running = None


def listens(port: int) -> bool:
    # On every address it is one of IPv6, which takes IPv4 too.
    tables = (Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
    return any(re.search(rf":{port:04X} 0+:0000 0A", table) for table in tables)


@contextmanager
def run_bucket(folder: Path, host: str = HOST, address: str = "127.0.0.1", versions: bool = False) -> Iterator[ObjectStorage]:
    """An object storage, on the loopback unless told another address, with a certificate of its own authority for `host`."""
    folder.mkdir()
    made = ObjectStorage(folder, free_port(), host=host, address=address, versions=versions)
    for name in ("sidecar", "users", "versions", "objects"):
        (folder / name).mkdir()
    if not versions:
        made.objects.mkdir()
    authority, shown = make_authority()
    made.authority.write_text(shown)
    (folder / "own.pem").write_text(sign_server(authority, host))
    made.start()
    try:
        yield made
    finally:
        made.stop()
